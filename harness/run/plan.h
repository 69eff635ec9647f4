// At which of a program's points it is killed: once for each different thing that it has left.
#ifndef KILL9_HARNESS_RUN_PLAN_H_
#define KILL9_HARNESS_RUN_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "harness/run/attempt/attempt.h"
#include "harness/run/attempt/program_options.h"

namespace kill9::run {

// A point as a trace met it.
struct TracedPoint {
  Point point;
  long number = -1;
  uint32_t nth = 0;
  uint64_t points = 1;  // so many instructions that have left the same
  uint64_t left = 0;
  bool repeats = true;  // what is left: false, if another trace has left something else there
  AttemptRequest Request() const {
    return {
        .kind = AttemptKind::kKill, .point = point, .number = number, .nth = nth, .damaged = ""};
  }
};

std::vector<TracedPoint> ReadTrace(const Json& points);

// Of two traces of the same program, the first, in whose paths a * stands for what was different
// in the second. False: the calls were not the same.
bool NameByBoth(std::vector<TracedPoint>& trace, const std::vector<TracedPoint>& again);

// Indices of the points to kill at, in their order, and then a drawn sample of the others.
std::vector<size_t> PlanKills(const std::vector<TracedPoint>& trace, const RunOptions& options);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_PLAN_H_

// What got slower or weaker from one set of results to another, beyond noise.
//
// Speed and costs have rounds: a change counts if the two spreads (lowest to highest round) do not
// touch, and the medians differ by more than kMargin. Verdicts, kill coverage and the shares of a
// stall matrix have no noise of that kind: any step down counts.
#ifndef KILL9_HARNESS_REPORT_COMPARE_H_
#define KILL9_HARNESS_REPORT_COMPARE_H_

#include <string>
#include <vector>

#include "harness/report/results.h"

namespace kill9::report {

// Two identical builds, taken in turn, differed by up to 1.5 in single rounds on the machines at
// hand; their medians, with spreads apart, not by this.
inline constexpr double kMargin = 1.15;

struct Change {
  enum class Kind { kSlower, kFaster, kWeaker, kStronger, kGone } kind;
  std::string what;  // "global_mutex, 95/5, uniform, 64 bytes, 2 processes"
  std::string from;
  std::string to;
  bool bad() const { return kind == Kind::kSlower || kind == Kind::kWeaker || kind == Kind::kGone; }
};

struct Comparison {
  std::vector<Change> changes;  // the bad ones first
  size_t compared = 0;          // figures that both sets have
  bool worse() const { return !changes.empty() && changes.front().bad(); }
};

Comparison Compare(const Results& before, const Results& after);
std::string Describe(const Comparison& comparison);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_COMPARE_H_

// Legal histories of any length, for tests and benchmarks: processes that call, take effect and
// return in random turns on a store that is a plain table here. It shares no code with the models.
#ifndef KILL9_HARNESS_CHECKER_SIMULATED_HISTORY_H_
#define KILL9_HARNESS_CHECKER_SIMULATED_HISTORY_H_

#include <cstdint>
#include <vector>

#include "harness/history/history.h"

namespace kill9 {

struct SimulationOptions {
  uint64_t seed = 1;
  uint32_t processes = 8;
  uint64_t keys = 16;
  uint64_t operations = 1000;
  double crash_share = 0;  // of the operations
  double late_share =
      0;  // of the crashed: those that take effect some time after the death (illegal, strictly)
  double read_share = 0.5;    // of the operations
  bool map_functions = true;  // erase, compare-and-swap, pin, commit too; else put and get only
  bool versions = true;
  bool lossy = false;            // keys are forgotten now and then
  uint64_t distinct_values = 0;  // 0: each value is written once; else so many, again and again
};

// By invoke. Deterministic.
std::vector<Operation> SimulateHistory(const SimulationOptions& options);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SIMULATED_HISTORY_H_

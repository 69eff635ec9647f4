// Torture of the designs, once its command line has been read.
#ifndef KILL9_STRESS_COMMAND_TORTURE_TORTURE_RUN_H_
#define KILL9_STRESS_COMMAND_TORTURE_TORTURE_RUN_H_

#include <cstdint>
#include <string>

namespace kill9 {

// The options, as they are where none is given.
struct TortureFlags {
  std::string variant = "all";
  std::string scenario = "all";
  std::string workload;
  std::string shape = "drawn";
  double seconds = 0;
  uint32_t processes = 4;
  uint64_t seed = 0;
  uint64_t kills = 0;
  uint32_t life_us = 0;
  double watchdog_seconds = 5;
  uint64_t rounds = 0;  // 0: as the runs share the time
  std::string shard;
  std::string json;
  std::string earlier;          // the result that goes on
  std::string counterexamples;  // empty: as Findings says
  bool fail_fast = false;
  bool quiet = false;
  bool without_pauses = false;
};

// Runs all that is asked for and shows what comes of it. Returns the exit code. Throws UsageError.
int TortureDesigns(TortureFlags flags);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_TORTURE_RUN_H_

// What a run of programs is asked for.
#ifndef KILL9_HARNESS_PROGRAMS_OPTIONS_H_
#define KILL9_HARNESS_PROGRAMS_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "harness/programs/protocol/workload.h"

namespace kill9::programs {

inline constexpr uint32_t kMostProcesses = 64;

struct ProgramCommand {
  std::string line;  // as it was given
  bool is_fork_server = false;
};

// Where victims are killed while they are in a call.
enum class KillAt : uint8_t {
  kRandom,       // at a moment drawn over what such a call takes
  kSystemCalls,  // at the entry to, or the exit from, one of the call's system calls
};

struct ProgramOptions {
  std::string name;  // in results; empty: the command lines
  std::vector<ProgramCommand> programs;  // participants have them by turns
  WorkloadOptions workload;
  KillAt kill_at = KillAt::kRandom;
  uint32_t processes = 4;
  double seconds = 10;
  uint64_t kills = 0;    // ends after so many, if that comes first; 0: no limit
  uint32_t life_us = 0;  // of a participant, on average; 0: some dozens of calls
  // A participant that could work and does not answer for so long is stuck.
  uint64_t watchdog_us = 5'000'000;
  uint64_t seed = 1;
  bool isolated = true;         // as far as the machine allows
  std::string counterexamples;  // a folder for what is kept of a failure; empty: nothing is kept
};

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_OPTIONS_H_

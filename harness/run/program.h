// An arbitrary program, killed at each of its system calls, and what is left judged by a command.
//
// One run is followed and tells the system calls before each of which a process may die, and what
// the program has left there (its directory, /dev/shm, /tmp, what it has printed). For each
// different thing left, the program is run again on a fresh copy, killed there, and the check is
// run on what is really there then. This is a process's death, not a loss of power: what a dead
// process has written, the kernel keeps.
#ifndef KILL9_HARNESS_RUN_PROGRAM_H_
#define KILL9_HARNESS_RUN_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/run/attempt/program_options.h"

namespace kill9::run {

struct ProgramProgress {
  uint64_t state_bytes = 0;  // copied for each run of the program
  const char* stage = "";    // what is done before the kills
  size_t points = 0;  // to kill at
  size_t done = 0;
  size_t judged = 0;
  size_t violations = 0;
};

struct ProgramResult {
  Json run;
  Verdict verdict = Verdict::kUndecided;
};

// `progress` is asked before the first run, between them and while they last; false ends the run.
// An error: usage or environment.
absl::StatusOr<ProgramResult> RunProgram(
    const RunOptions& options, const std::function<bool(const ProgramProgress&)>& progress);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_PROGRAM_H_

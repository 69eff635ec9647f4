// Repeats a failure of the sweep.
#ifndef KILL9_STRESS_COMMAND_REPLAY_SWEEP_REPLAY_H_
#define KILL9_STRESS_COMMAND_REPLAY_SWEEP_REPLAY_H_

#include <cstdint>

#include <vector>

#include "harness/result/result.h"
#include "harness/stepper/trace/backtrace.h"
#include "harness/sweep/sweep.h"

namespace kill9 {

struct SweepReplayOptions {
  uint32_t times = 1;
  bool debugger = false;  // stop there under gdb, instead of killing
  double watchdog_seconds = 5;
};

// `run`: of a result file, with its counterexample. Returns the exit code: kExitFailed where it
// failed again each time, kExitPass where it did not, kExitUndecided where it did only sometimes.
int ReplaySweepRun(const Json& run, const SweepReplayOptions& options);

// The calls that the victim of request.place stands in. Empty: they are not known.
std::vector<stepper::StackFrame> FramesOfTheVictim(const sweep::CellRequest& request);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_REPLAY_SWEEP_REPLAY_H_

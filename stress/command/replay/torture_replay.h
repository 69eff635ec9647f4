// From a failure of torture, which chance may not repeat, to its cause.
#ifndef KILL9_STRESS_COMMAND_REPLAY_TORTURE_REPLAY_H_
#define KILL9_STRESS_COMMAND_REPLAY_TORTURE_REPLAY_H_

#include <string>

#include "harness/result/result.h"
#include "stress/command/replay/sweep_replay.h"
#include "variants/object.h"

namespace kill9 {

// Says what the history that was kept of `run` (in `folder`) is checked to be; then looks for a
// cell of the sweep in which the design fails in the same way, each time: kills at instructions of
// one operation after the other, the usual ones first, for half a minute, and repeats what is
// found. False: there is none that was found, or the machine allows no stepping (said on standard
// error).
bool ExplainTorture(const Design& design, const Json& run, const std::string& folder,
                    const SweepReplayOptions& options);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_REPLAY_TORTURE_REPLAY_H_

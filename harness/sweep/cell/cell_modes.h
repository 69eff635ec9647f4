// The ways of sweeping a cell, besides killing once at each instruction. Each records what it finds
// in the runner's result.
#ifndef KILL9_HARNESS_SWEEP_CELL_CELL_MODES_H_
#define KILL9_HARNESS_SWEEP_CELL_CELL_MODES_H_

#include <sys/types.h>

#include <cstdint>

#include "harness/base/random.h"
#include "harness/sweep/cell/runner.h"

namespace kill9::sweep {

// What a judge is told of a kill before step `at` of the request's operation.
JudgeRequest KillRequest(const Runner& runner, const stepper::Trace& trace, uint32_t at, Plan plan);

inline constexpr pid_t kRecovererPid = 103, kSecondRecovererPid = 104;

// A recoverer of what `base` holds, which must live as long as the run.
VictimRun RecoveryOf(const Runner& runner, const stepper::Snapshot& base, pid_t pid, bool judged);
// The victim of the request and a second one, which gets ready after it.
VictimRun TwoVictims(const Runner& runner);
// The recoverer is killed at every distinct state of its recovery, after each distinct thing that
// the victim's death left; a sample of second recoverers dies as well.
void RecoverySweep(Runner& runner);
// One victim is killed at each distinct state while another, stopped at each of its own, dies with
// it.
void TwoVictimsSweep(Runner& runner);
// A victim is stopped in each distinct state; who is blocked? Then it goes on, and all must be
// well.
void StallSweep(Runner& runner, const VictimRun& run, stepper::Trace& trace);
// One such stop, at `at`; which probes are blocked in `blocked`. False: error.
bool StallState(Runner& runner, const VictimRun& run, stepper::Trace& trace, uint32_t at, Plan plan,
                bool (&blocked)[kMostProbesInAll]);
// A victim is stopped right before each of its accesses to the segment, an interferer works on, and
// the victim goes on: what it answers, and what is left, must be legal.
void ResumeSweep(Runner& runner);
// One such stop. False: error.
bool ResumeAfterInterference(Runner& runner, const VictimRun& run, stepper::Trace& trace,
                             uint32_t at, uint32_t interference);
VictimRun ResumeRun(const Runner& runner);
// How far an interferer has come, or that it waits for the victim (false).
bool InterfererReaches(Runner& runner, pid_t interferer, uint32_t step);
// The victim goes on to its end beside the interferer, whose `steps`-th step is its last but one,
// and all is judged. `interfered`: the interferer is through with that step.
Judgement FinishBeside(Runner& runner, Runner::Stopped& stopped, bool interfered, uint32_t steps,
                       Plan plan);
// A victim is stopped right before an access to the segment, an interferer works on, the victim
// goes on, and is killed in a state that it comes to.
void KillAfterResumeSweep(Runner& runner, const VictimRun& run, Trace& trace);
void ReplayKillAfterResume(Runner& runner, const VictimRun& run, Trace& trace);
// A victim is killed and recovered, and its participant's slot has a new owner, who is stopped
// right before each of its accesses to the segment, elsewhere, while an interferer, attached since
// before the death, works on and recovers once more. Then the new owner goes on.
void ReuseSweep(Runner& runner, const Trace& victim_trace);
void ReplayReuse(Runner& runner, const Trace& victim_trace);
// Two stop in the middle of operations of their own, the second one beside the first, and a third
// works. Then both go on, or one dies, or both.
void ThreeMembersSweep(Runner& runner);
void ReplayThreeMembers(Runner& runner);
// Repeats one place, as often as the request says.
void Replay(Runner& runner, const VictimRun& run, stepper::Trace& trace);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_CELL_CELL_MODES_H_

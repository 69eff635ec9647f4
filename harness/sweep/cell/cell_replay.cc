// Replay: one place again, exactly, as often as asked; or the victim left standing there for a
// debugger.
#include <unistd.h>

#include <csignal>

#include "harness/sweep/cell/cell_modes.h"

namespace kill9::sweep {
namespace {

bool CountReplay(Runner& runner, const Trace* trace, uint32_t at, const Judgement& answer) {
  ++runner.result().replayed;
  if (answer.verdict != Verdict::kPass) {
    ++runner.result().replayed_alike;
    runner.Fail(runner.request().place, trace, at, answer);
  }
  return true;
}

bool Once(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
          const JudgeRequest& to_judge) {
  if (at > trace.size() || (at == trace.size() && !trace.ends_blocked())) {
    runner.Error("there is no instruction %u: the operation has %u", at, trace.size());
    return false;
  }
  if (runner.request().stop) {
    runner.LeaveStopped(run, trace, at, to_judge);
    return false;
  }
  Judgement answer;
  return runner.KillAt(run, trace, at, to_judge, &answer) &&
         CountReplay(runner, &trace, at, answer);
}

void ReplayRecovery(Runner& runner, const JudgeRequest& to_judge) {
  const KillPoint& place = runner.request().place;
  Trace victim_trace, first, second;
  const stepper::Snapshot left = runner.NewSnapshot();
  const stepper::Snapshot left_again = runner.NewSnapshot();
  VictimRun victim = runner.RunOfOne(runner.request().operation);
  victim.judged = false;
  if (!runner.TraceRepeatably(victim, victim_trace)) return;
  const bool two = place.at[2] != kNowhere;
  for (uint32_t n = 0; n < runner.request().times; ++n) {
    if (!runner.KillAndLeave(victim, victim_trace, place.at[0], left.data())) return;
    const VictimRun recovery = RecoveryOf(runner, left, kRecovererPid, !two);
    if (!runner.TraceRepeatably(recovery, first)) return;
    if (!two) {
      if (!Once(runner, recovery, first, place.at[1], to_judge)) return;
      continue;
    }
    if (!runner.KillAndLeave(recovery, first, place.at[1], left_again.data())) return;
    const VictimRun again = RecoveryOf(runner, left_again, kSecondRecovererPid, true);
    if (!runner.TraceRepeatably(again, second) ||
        !Once(runner, again, second, place.at[2], to_judge))
      return;
  }
}

void ReplayTwoVictims(Runner& runner, const JudgeRequest& to_judge) {
  const CellRequest& request = runner.request();
  Trace other_trace, trace;
  VictimRun other = TwoVictims(runner);
  other.subject = 1;
  if (!runner.TraceRepeatably(other, other_trace)) return;
  VictimRun run = TwoVictims(runner);
  run.tracee[1].trace = &other_trace;
  run.tracee[1].at = request.place.at[1];
  if (!runner.TraceOnce(run, trace)) return;
  for (uint32_t n = 0; n < request.times; ++n) {
    if (!Once(runner, run, trace, request.place.at[0], to_judge)) return;
  }
}

void ReplayResume(Runner& runner) {
  const CellRequest& request = runner.request();
  const VictimRun run = ResumeRun(runner);
  Trace trace;
  if (!runner.TraceRepeatably(run, trace)) return;
  if (request.place.at[0] >= trace.size() ||
      request.place.at[1] >= runner.driver().interferences()) {
    runner.Error("there is no instruction %u or no interference %u", request.place.at[0],
                 request.place.at[1]);
    return;
  }
  if (request.stop) {
    runner.LeaveStopped(run, trace, request.place.at[0], runner.to_judge());
    return;
  }
  for (uint32_t n = 0; n < request.times; ++n) {
    const uint32_t before = runner.result().failures;
    if (!ResumeAfterInterference(runner, run, trace, request.place.at[0], request.place.at[1])) {
      return;
    }
    ++runner.result().replayed;
    runner.result().replayed_alike += runner.result().failures != before;
  }
}

void ReplayStall(Runner& runner, const VictimRun& run, Trace& trace, const JudgeRequest& to_judge) {
  const CellRequest& request = runner.request();
  if (request.place.at[0] >= trace.size()) {
    runner.Error("there is no instruction %u: the operation has %u", request.place.at[0],
                 trace.size());
    return;
  }
  if (request.stop) {
    runner.LeaveStopped(run, trace, request.place.at[0], to_judge);
    return;
  }
  for (uint32_t n = 0; n < request.times; ++n) {
    bool blocked[kMostProbesInAll];
    uint32_t before = runner.result().failures;
    if (!StallState(runner, run, trace, request.place.at[0], request.place.plan, blocked)) return;
    ++runner.result().replayed;
    runner.result().replayed_alike += runner.result().failures != before;
  }
}

}  // namespace

void Replay(Runner& runner, const VictimRun& run, Trace& trace) {
  const CellRequest& request = runner.request();
  JudgeRequest to_judge = runner.to_judge();
  to_judge.plan = request.place.plan;
  switch (request.place.mode) {
    case Mode::kKill:
      to_judge = KillRequest(runner, trace, request.place.at[0], request.place.plan);
      for (uint32_t n = 0; n < request.times; ++n) {
        if (!Once(runner, run, trace, request.place.at[0], to_judge)) return;
      }
      return;
    case Mode::kRecovery:
      ReplayRecovery(runner, to_judge);
      return;
    case Mode::kTwoVictims:
      ReplayTwoVictims(runner, to_judge);
      return;
    case Mode::kStall:
      ReplayStall(runner, run, trace, to_judge);
      return;
    case Mode::kResume:
      ReplayResume(runner);
      return;
    case Mode::kKillAfterResume:
      ReplayKillAfterResume(runner, run, trace);
      return;
    case Mode::kReuse:
      ReplayReuse(runner, trace);
      return;
    case Mode::kThreeMembers:
      ReplayThreeMembers(runner);
      return;
  }
}

}  // namespace kill9::sweep

// Replay: one place again, exactly, as often as asked; or the victim left standing there for a
// debugger.
#include <unistd.h>

#include <csignal>

#include "harness/sweep/cell_modes.h"

namespace kill9::sweep {
namespace {

constexpr pid_t kRecovererPid = 103, kSecondRecovererPid = 104;

bool CountReplay(Runner& runner, const Trace* trace, uint32_t at, const Answer& answer) {
  ++runner.result().replayed;
  if (answer.verdict != Verdict::kPass) {
    ++runner.result().replayed_alike;
    runner.Fail(runner.request().place, trace, at, answer);
  }
  return true;
}

bool Once(Runner& runner, const Job& job, Trace& trace, uint32_t at, const JudgeRequest& orders) {
  if (at > trace.size() || (at == trace.size() && !trace.ends_blocked())) {
    runner.Error("there is no instruction %u: the operation has %u", at, trace.size());
    return false;
  }
  if (runner.request().stop) {
    runner.LeaveStopped(job, trace, at, orders);
    return false;
  }
  Answer answer;
  return runner.KillAt(job, trace, at, orders, &answer) && CountReplay(runner, &trace, at, answer);
}

void ReplayRecovery(Runner& runner, const JudgeRequest& orders) {
  const Place& place = runner.request().place;
  Trace victim_trace, first, second;
  char* left = runner.NewSnapshot();
  char* left_again = runner.NewSnapshot();
  Job victim{.base = runner.base(), .operation = runner.request().operation, .judged = false};
  if (!runner.TraceRepeatably(victim, victim_trace)) return;
  const bool two = place.at[2] != kNowhere;
  for (uint32_t n = 0; n < runner.request().times; ++n) {
    if (!runner.KillAndLeave(victim, victim_trace, place.at[0], left)) return;
    const OperationKind operation = RecoveryIn(runner.scene());
    Job recovery{.base = left, .operation = operation, .pid = kRecovererPid, .judged = !two};
    if (!runner.TraceRepeatably(recovery, first)) return;
    if (!two) {
      if (!Once(runner, recovery, first, place.at[1], orders)) return;
      continue;
    }
    if (!runner.KillAndLeave(recovery, first, place.at[1], left_again)) return;
    Job again{.base = left_again, .operation = operation, .pid = kSecondRecovererPid};
    if (!runner.TraceRepeatably(again, second) || !Once(runner, again, second, place.at[2], orders))
      return;
  }
}

void ReplayTwoVictims(Runner& runner, JudgeRequest orders) {
  const CellRequest& request = runner.request();
  Trace other_trace, trace;
  const Job first{.base = runner.base(), .operation = request.operation};
  const Job other{.base = runner.base(),
                  .operation = request.second,
                  .id = kSecondVictimId,
                  .pid = Runner::kOtherPid,
                  .waiting = &first};
  if (!runner.TraceRepeatably(other, other_trace)) return;
  if (auto effect = EffectOf(runner.scene(), request.second, kSecondVictimId); effect.has_value()) {
    orders.alternative[orders.alternatives++] = {runner.scene().Subject(request.second), *effect};
  }
  Job job{.base = runner.base(),
          .operation = request.operation,
          .other = &other,
          .other_trace = &other_trace,
          .other_at = request.place.at[1]};
  if (!runner.TraceJob(job, trace)) return;
  for (uint32_t n = 0; n < request.times; ++n) {
    if (!Once(runner, job, trace, request.place.at[0], orders)) return;
  }
}

void ReplayResume(Runner& runner) {
  const CellRequest& request = runner.request();
  const Job job = ResumeJob(runner);
  Trace trace;
  if (!runner.TraceRepeatably(job, trace)) return;
  if (request.place.at[0] >= trace.size() || request.place.at[1] >= kLapCount) {
    runner.Error("there is no instruction %u or no interference %u", request.place.at[0],
                 request.place.at[1]);
    return;
  }
  if (request.stop) {
    runner.LeaveStopped(job, trace, request.place.at[0], runner.orders());
    return;
  }
  for (uint32_t n = 0; n < request.times; ++n) {
    const uint32_t before = runner.result().failures;
    if (!ResumeAfterInterference(runner, job, trace, request.place.at[0],
                                 static_cast<Interference>(request.place.at[1]))) {
      return;
    }
    ++runner.result().replayed;
    runner.result().replayed_alike += runner.result().failures != before;
  }
}

void ReplayStall(Runner& runner, const Job& job, Trace& trace, const JudgeRequest& orders) {
  const CellRequest& request = runner.request();
  if (request.place.at[0] >= trace.size()) {
    runner.Error("there is no instruction %u: the operation has %u", request.place.at[0],
                 trace.size());
    return;
  }
  if (request.stop) {
    runner.LeaveStopped(job, trace, request.place.at[0], orders);
    return;
  }
  for (uint32_t n = 0; n < request.times; ++n) {
    bool blocked[kProbesInAll];
    uint32_t before = runner.result().failures;
    if (!StallState(runner, job, trace, request.place.at[0], request.place.plan, blocked)) return;
    ++runner.result().replayed;
    runner.result().replayed_alike += runner.result().failures != before;
  }
}

}  // namespace

void Replay(Runner& runner, const Job& job, Trace& trace) {
  const CellRequest& request = runner.request();
  JudgeRequest orders = runner.orders();
  orders.plan = request.place.plan;
  switch (request.place.mode) {
    case Mode::kKill:
      orders = KillOrders(runner, trace, request.place.at[0], request.place.plan);
      for (uint32_t n = 0; n < request.times; ++n) {
        if (!Once(runner, job, trace, request.place.at[0], orders)) return;
      }
      return;
    case Mode::kRecovery:
      ReplayRecovery(runner, orders);
      return;
    case Mode::kTwoVictims:
      ReplayTwoVictims(runner, orders);
      return;
    case Mode::kStall:
      ReplayStall(runner, job, trace, orders);
      return;
    case Mode::kResume:
      ReplayResume(runner);
      return;
  }
}

}  // namespace kill9::sweep

// Stall: whom does a process block that stops (and does not die) at an instruction?
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "harness/sweep/cell/cell_modes.h"

namespace kill9::sweep {

using stepper::CpuSeconds;
using stepper::DistinctState;
using stepper::HowItWaits;
using stepper::OwnClock;
using stepper::Reap;
using stepper::Tracee;
using stepper::Waiting;

namespace {

constexpr double kSpinSeconds = 0.2;  // of CPU time: nobody who makes progress needs so long
constexpr double kDozeSeconds = 1.0;  // of sleeps with a time-out, one after another
constexpr int kAsleepLooks = 3;

// Waits until the prober is through, or the probe that it is at is blocked. Returns how many it is
// through.
uint32_t ProbesDone(Runner& runner, pid_t prober) {
  std::atomic<uint32_t>& done = runner.stage().probe;
  uint32_t seen = done.load(std::memory_order_acquire);
  int asleep = 0;
  OwnClock clock(prober);
  double since = 0;
  double cpu_since = CpuSeconds(prober);
  while (seen < runner.probes_in_all()) {
    runner.Nap();
    uint32_t now = done.load(std::memory_order_acquire);
    if (now != seen) {
      seen = now;
      asleep = 0;
      since = clock.Seconds();
      cpu_since = CpuSeconds(prober);
      continue;
    }
    Waiting waiting = HowItWaits(prober);
    // The last probe, and the end, may have come since: who is gone now does nothing after this.
    if (done.load(std::memory_order_acquire) != seen) continue;
    if (waiting == Waiting::kGone) return seen;
    asleep = waiting == Waiting::kForOthers ? asleep + 1 : 0;
    // All that could wake it is stopped or waits for this process: who waits for others does so for
    // ever, however often it looks again.
    if (asleep >= kAsleepLooks || CpuSeconds(prober) - cpu_since > kSpinSeconds ||
        (waiting == Waiting::kForATime && clock.Seconds() - since > kDozeSeconds)) {
      return seen;
    }
  }
  return seen;
}

// One stop at `at`. False: error.
bool StallAt(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
             bool (&blocked)[kMostProbesInAll], Plan plan) {
  uint32_t next = 0;
  std::fill(std::begin(blocked), std::end(blocked), false);
  while (true) {
    Runner::Stopped stopped;
    if (!runner.StopBesideProber(run, trace, at, next, &stopped)) return false;
    runner.LetSurvivorGo();
    const uint32_t probe = ProbesDone(runner, stopped.prober);
    if (probe < runner.probes_in_all()) {
      if (HowItWaits(stopped.prober) == Waiting::kGone) {
        int status = 0;
        Reap(std::exchange(stopped.prober, 0), runner.request().watchdog_seconds, &status);
        runner.Fail({Mode::kStall, plan, {at, probe, kNowhere}}, &trace, at,
                    runner.JudgeSurvivor(0, status));
      }
      blocked[probe] = true;
      next = probe + 1;
      if (runner.scene().DeclaredUnblocked(ProbeOf(probe), NearnessOf(probe))) {
        runner.NoteWaiting(stopped.prober);
      }
      runner.EndStop(stopped);
      continue;
    }
    runner.EndStop(stopped);
    return true;
  }
}

// The victim goes on after others have worked; the store must be as sound as after a kill.
bool ResumeAt(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
              const bool (&blocked)[kMostProbesInAll], Plan plan) {
  // Probes that are blocked are left out: the first that is ends the probing.
  const bool any_blocked =
      std::find(std::begin(blocked), std::end(blocked), true) != std::end(blocked);
  Runner::Stopped stopped;
  const uint32_t from = any_blocked ? runner.probes_in_all() : 0;
  if (!runner.StopBesideProber(run, trace, at, from, &stopped)) return false;
  runner.LetSurvivorGo();
  if (ProbesDone(runner, stopped.prober) < runner.probes_in_all()) {
    runner.EndStop(stopped);
    runner.Error("a survivor was blocked at instruction %u, and was not before", at);
    return false;
  }
  int status = 0;
  const bool survived = runner.ProberEnds(stopped, &status);
  Judgement answer;
  if (!survived) {
    answer = runner.JudgeSurvivor(0, status);
  } else {
    Tracee::Stop stop = stopped.victim().Continue(/*may_block=*/true);
    if (stop == Tracee::Stop::kTrap) stop = stopped.victim().Continue();  // from the end marker
    if (stop == Tracee::Stop::kExited) {
      ++runner.result().resumed;
      JudgeRequest to_judge = runner.to_judge();
      to_judge.plan = plan;
      answer = runner.JudgeNow(to_judge);
    } else {
      answer = {stop == Tracee::Stop::kBlocked ? Verdict::kStuck : Verdict::kSurvivorCrashed,
                DecidedOutcome::kNone, "a process that was stopped did not finish when it went on"};
    }
  }
  runner.EndStop(stopped);
  if (answer.verdict != Verdict::kPass) {
    runner.Fail({Mode::kStall, plan, {at, kNowhere, kNowhere}}, &trace, at, answer);
  }
  return true;
}

void JudgeBlocked(Runner& runner, const Trace& trace, uint32_t at, Plan plan,
                  const bool (&blocked)[kMostProbesInAll]) {
  for (uint32_t probe = 0; probe < runner.probes_in_all(); ++probe) {
    if (!blocked[probe] || !runner.scene().DeclaredUnblocked(ProbeOf(probe), NearnessOf(probe))) {
      continue;
    }
    char message[200];
    std::snprintf(message, sizeof message,
                  "%s (%s) is blocked by a process that is stopped here; the design declares that "
                  "it never is",
                  runner.driver().probes()[ProbeOf(probe)].name.data(),
                  Name(NearnessOf(probe)).data());
    Judgement answer{Verdict::kStuck, DecidedOutcome::kNone, message};
    runner.Fail({Mode::kStall, plan, {at, probe, kNowhere}}, &trace, at, answer);
    return;
  }
}

}  // namespace

bool StallState(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at, Plan plan,
                bool (&blocked)[kMostProbesInAll]) {
  if (!StallAt(runner, run, trace, at, blocked, plan)) return false;
  if (!ResumeAt(runner, run, trace, at, blocked, plan)) return false;
  JudgeBlocked(runner, trace, at, plan, blocked);
  return true;
}

void StallSweep(Runner& runner, const VictimRun& run, Trace& trace) {
  CellResult& result = runner.result();
  const std::span<const ProbeName> probes = runner.driver().probes();
  for (uint32_t probe = 0; probe < probes.size(); ++probe) {
    if (runner.scene().IsTried(probe)) result.probes |= 1u << probe;
  }
  for (uint32_t state = 0; state < trace.state_count(); ++state) {
    if (runner.failed() || runner.TooManyFailures()) return;
    const DistinctState& distinct = trace.state(state);
    bool blocked[kMostProbesInAll];
    Plan plan = static_cast<Plan>(state % kPlanCount);
    if (!StallState(runner, run, trace, distinct.first, plan, blocked)) return;
    result.stalled_instructions += distinct.points;
    bool any[kNearnessCount] = {};
    for (uint32_t probe = 0; probe < runner.probes_in_all(); ++probe) {
      if (!blocked[probe]) continue;
      const auto where = static_cast<uint32_t>(NearnessOf(probe));
      result.blocked_probe[ProbeOf(probe)][where] += distinct.points;
      // What works on the whole object has no place: it is shown by itself.
      if (probes[ProbeOf(probe)].has_place) any[where] = true;
    }
    for (uint32_t where = 0; where < kNearnessCount; ++where) {
      if (any[where]) result.blocked[where] += distinct.points;
    }
  }
}

}  // namespace kill9::sweep

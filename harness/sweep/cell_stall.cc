// Stall: whom does a process block that stops (and does not die) at an instruction?
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "harness/sweep/cell_modes.h"
#include "harness/sweep/prober.h"

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

// Waits until the prober is through. False: the probe that it is at is blocked.
bool ProbesEnd(Runner& runner, pid_t prober) {
  std::atomic<uint32_t>& done = runner.stage().probe;
  uint32_t seen = done.load(std::memory_order_acquire);
  int asleep = 0;
  OwnClock clock(prober);
  double since = 0;
  double cpu_since = CpuSeconds(prober);
  while (seen < kProbesInAll) {
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
    if (waiting == Waiting::kGone) return false;
    asleep = waiting == Waiting::kForOthers ? asleep + 1 : 0;
    // All that could wake it is stopped or waits for this process: who waits for others does so for
    // ever, however often it looks again.
    if (asleep >= kAsleepLooks || CpuSeconds(prober) - cpu_since > kSpinSeconds ||
        (waiting == Waiting::kForATime && clock.Seconds() - since > kDozeSeconds)) {
      return false;
    }
  }
  return true;
}

// What may be seen after the victim went on: its effect as well, unless others came before it for
// certain.
void AllowVictimsEffect(Runner& runner, JudgeRequest* orders) {
  const OperationKind operation = runner.request().operation;
  const uint32_t subject = runner.scene().Subject(operation);
  orders->alternatives = 0;
  std::optional<Entry> effect = EffectOf(runner.scene(), operation, kVictimId);
  if (!effect.has_value() && operation == OperationKind::kErase) effect = Entry{};
  if (!effect.has_value()) return;
  // Its version is gone, if others wrote the key while it stood still.
  if (operation == OperationKind::kCompareAndSwapHit && runner.stage().read_back[subject].present &&
      runner.stage().read_back[subject].id == kJudgeId) {
    return;
  }
  orders->alternatives = 1;
  orders->alternative[0] = {subject, *effect};
}

// One stop at `at`. False: error.
bool StallAt(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
             bool (&blocked)[kProbesInAll], Plan plan) {
  uint32_t next = 0;
  std::fill(std::begin(blocked), std::end(blocked), false);
  while (true) {
    Runner::Stopped stopped;
    if (!runner.StopBesideProber(run, trace, at, next, &stopped)) return false;
    runner.LetSurvivorGo();
    if (!ProbesEnd(runner, stopped.prober)) {
      uint32_t probe =
          std::min(runner.stage().probe.load(std::memory_order_acquire), kProbesInAll - 1);
      if (HowItWaits(stopped.prober) == Waiting::kGone) {
        Judgement answer{Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
                         "a survivor crashed beside a stopped process"};
        runner.Fail({Mode::kStall, plan, {at, probe, kNowhere}}, &trace, at, answer);
      }
      blocked[probe] = true;
      next = probe + 1;
      runner.EndStop(stopped);
      continue;
    }
    runner.EndStop(stopped);
    return true;
  }
}

// The victim goes on after others have worked; the store must be as sound as after a kill.
bool ResumeAt(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
              const bool (&blocked)[kProbesInAll], Plan plan) {
  // Probes that are blocked are left out: the first that is ends the probing.
  uint32_t first_blocked = static_cast<uint32_t>(
      std::find(std::begin(blocked), std::end(blocked), true) - std::begin(blocked));
  Runner::Stopped stopped;
  uint32_t from = first_blocked == kProbesInAll ? 0 : kProbesInAll;
  if (!runner.StopBesideProber(run, trace, at, from, &stopped)) return false;
  runner.LetSurvivorGo();
  if (!ProbesEnd(runner, stopped.prober)) {
    runner.EndStop(stopped);
    runner.Error("a survivor was blocked at instruction %u, and was not before", at);
    return false;
  }
  int status = 0;
  bool read = Reap(stopped.prober, runner.request().watchdog_seconds, &status);
  stopped.prober = 0;
  Judgement answer;
  if (!read) {
    answer = {Verdict::kStuck, DecidedOutcome::kNone,
              "a survivor cannot read beside a stopped process"};
  } else {
    Tracee::Stop stop = stopped.victim().Continue(/*may_block=*/true);
    if (stop == Tracee::Stop::kTrap) {
      stopped.victim().Kill();
      ++runner.result().resumed;
      JudgeRequest orders = runner.orders();
      orders.plan = plan;
      if (from == 0) AllowVictimsEffect(runner, &orders);
      answer = from == 0 ? runner.JudgeAsReadBack(orders) : runner.JudgeNow(orders);
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
                  const bool (&blocked)[kProbesInAll]) {
  const OperationKind victims = runner.request().operation;
  for (uint32_t probe = 0; probe < kProbesInAll; ++probe) {
    if (!blocked[probe] ||
        !DeclaredUnblocked(runner.scene(), victims, ProbeOf(probe), PlaceOf(probe))) {
      continue;
    }
    char message[200];
    std::snprintf(message, sizeof message,
                  "%s (%s) is blocked by a process that is stopped here; the design declares that "
                  "it never is",
                  std::string_view(Name(ProbeOf(probe))).data(), PlaceName(PlaceOf(probe)));
    Judgement answer{Verdict::kStuck, DecidedOutcome::kNone, message};
    runner.Fail({Mode::kStall, plan, {at, probe, kNowhere}}, &trace, at, answer);
    return;
  }
}

}  // namespace

bool StallState(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at, Plan plan,
                bool (&blocked)[kProbesInAll]) {
  if (!StallAt(runner, run, trace, at, blocked, plan)) return false;
  if (!ResumeAt(runner, run, trace, at, blocked, plan)) return false;
  JudgeBlocked(runner, trace, at, plan, blocked);
  return true;
}

void StallSweep(Runner& runner, const VictimRun& run, Trace& trace) {
  CellResult& result = runner.result();
  for (uint32_t probe = 0; probe < kProbeCount; ++probe) {
    const Traits& traits = runner.scene().variant->traits();
    if (IsTried(traits, static_cast<Probe>(probe))) result.probes |= 1u << probe;
  }
  for (uint32_t state = 0; state < trace.state_count(); ++state) {
    if (runner.failed() || runner.TooManyFailures()) return;
    const DistinctState& distinct = trace.state(state);
    bool blocked[kProbesInAll];
    Plan plan = static_cast<Plan>(state % kPlanCount);
    if (!StallState(runner, run, trace, distinct.first, plan, blocked)) return;
    result.stalled_instructions += distinct.points;
    bool any[kPlaceCount] = {};
    for (uint32_t probe = 0; probe < kProbesInAll; ++probe) {
      if (!blocked[probe]) continue;
      result.blocked_probe[ProbeOf(probe)][PlaceOf(probe)] += distinct.points;
      // for_each, recover and attach concern no key: they are shown by themselves.
      if (ProbeOf(probe) < kProbeForEach) any[PlaceOf(probe)] = true;
    }
    for (uint32_t place = 0; place < kPlaceCount; ++place) {
      if (any[place]) result.blocked[place] += distinct.points;
    }
  }
}

}  // namespace kill9::sweep

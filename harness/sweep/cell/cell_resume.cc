// Resume: a victim that stood still while others worked, and then goes on.
#include "harness/sweep/cell/cell_modes.h"
#include "harness/sweep/cell/resume_points.h"

namespace kill9::sweep {

using stepper::HowItWaits;
using stepper::StuckDetector;
using stepper::Tracee;
using stepper::Waiting;

namespace {

ResumePoints points;

}  // namespace

bool InterfererReaches(Runner& runner, pid_t interferer, uint32_t step) {
  StuckDetector stuck_detector(interferer, runner.request().watchdog_seconds);
  int asleep = 0;
  while (runner.stage().probe.load(std::memory_order_acquire) < step) {
    runner.Nap();
    const Waiting waiting = HowItWaits(interferer);
    asleep = waiting == Waiting::kForOthers ? asleep + 1 : 0;
    constexpr int kLooksAsleep = 3;
    if (waiting == Waiting::kGone || asleep >= kLooksAsleep || stuck_detector.Exhausted())
      return false;
  }
  return true;
}

Judgement FinishBeside(Runner& runner, Runner::Stopped& stopped, bool interfered, uint32_t steps,
                       Plan plan) {
  const bool ended = stopped.victim().Continue() == Tracee::Stop::kTrap;  // on the end marker
  if (!ended) {
    return {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
            "a process that was stopped did not finish when it went on"};
  }
  int status = 0;
  // An interferer that waited for a stopped lock owner goes on now.
  bool survived = interfered || InterfererReaches(runner, stopped.prober, steps);
  if (survived) {
    runner.LetSurvivorGo(steps + 1);
    survived = runner.ProberEnds(stopped, &status);
  }
  if (!survived) return runner.JudgeSurvivor(stopped.prober, status);
  if (stopped.victim().Continue() != Tracee::Stop::kExited) {
    return {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
            "a process that was stopped could not tell what it was answered"};
  }
  JudgeRequest to_judge = runner.to_judge();
  to_judge.plan = plan;
  return runner.JudgeNow(to_judge);
}

VictimRun ResumeRun(const Runner& runner) {
  VictimRun run = runner.RunOfOne(runner.request().operation);
  run.tracee[0].tells_all = true;
  return run;
}

bool ResumeAfterInterference(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
                             uint32_t interference) {
  Runner::Stopped stopped;
  // A pin shows a value after its return, too.
  const Runner::Interferer interferer{
      .interference = interference,
      .twice = runner.to_judge().completed.function == Function::kPin,
      .has_heir = std::string_view(runner.request().operation) == kRecoverName};
  if (!runner.StopBesideInterferer(run, trace, at, interferer, &stopped)) return false;
  runner.LetSurvivorGo();
  const bool interfered = InterfererReaches(runner, stopped.prober, 1);
  if (interfered) ++runner.result().resume_stops;
  const Judgement judgement =
      FinishBeside(runner, stopped, interfered, 1, static_cast<Plan>(at % kPlanCount));
  runner.EndStop(stopped);
  if (judgement.verdict != Verdict::kPass) {
    runner.Fail({Mode::kResume, Plan::kWorkFirst, {at, interference, kNowhere}}, &trace, at,
                judgement);
    return true;
  }
  // What the further participant is for. Relaxed: the interferer has ended.
  if (interferer.has_heir &&
      runner.stage().heir_has_its_slot.load(std::memory_order_relaxed) == 0) {
    runner.Error("the further participant was not given the slot of the dead one");
    return false;
  }
  return true;
}

void ResumeSweep(Runner& runner) {
  Trace trace;
  Random random(runner.request().seed + 2);
  const VictimRun run = ResumeRun(runner);
  if (!runner.TraceRepeatably(run, trace)) return;
  points.FindAll(trace);
  runner.result().resume_points = points.size();
  points.Sample(runner.request().pairs, random);
  for (uint32_t n = 0; n < points.size(); ++n) {
    for (uint32_t way = 0; way < runner.driver().interferences(); ++way) {
      if (runner.failed() || runner.TooManyFailures()) return;
      if (!ResumeAfterInterference(runner, run, trace, points[n], way)) return;
    }
  }
}

}  // namespace kill9::sweep

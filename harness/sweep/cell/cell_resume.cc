// Resume: a victim that stood still while others worked, and then goes on.
//
// Between two accesses to the segment (system calls count as such) a process sees and changes
// nothing of the others, so a stop right before each access speaks for all instructions between it
// and the access before. Inside a repeated string instruction the first, second, fourth, eighth ...
// iteration is taken.
#include <sys/wait.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "harness/sweep/cell/cell_modes.h"

namespace kill9::sweep {

using stepper::HowItWaits;
using stepper::kInsideString;
using stepper::kTouches;
using stepper::Reap;
using stepper::StuckDetector;
using stepper::Tracee;
using stepper::Waiting;

namespace {

// The steps to stop at. The last is the end of the operation.
class ResumePoints {
 public:
  void Find(const Trace& trace) {
    size_ = 0;
    uint32_t iteration = 0;
    for (uint32_t at = 0; at < trace.size() && size_ < kMost; ++at) {
      iteration = trace[at].flags & kInsideString ? iteration + 1 : 0;
      if (at + 1 != trace.size()) {
        if (!(trace[at].flags & kTouches)) continue;
        if (iteration > 1 && !std::has_single_bit(iteration)) continue;
      }
      points_[size_++] = at;
    }
  }
  void Sample(uint32_t wanted, Random& random) {
    if (wanted == 0 || wanted >= size_) return;
    for (uint32_t n = 0; n < wanted; ++n)
      std::swap(points_[n], points_[n + random.Below(size_ - n)]);
    size_ = wanted;
    std::sort(points_, points_ + size_);
  }
  uint32_t size() const { return size_; }
  uint32_t operator[](uint32_t n) const { return points_[n]; }

 private:
  static constexpr uint32_t kMost = 64u << 10;
  uint32_t size_ = 0;
  uint32_t points_[kMost];
};
ResumePoints points;  // not on the stack, and not allocated

// Waits until the interferer is through, or waits for the victim.
bool InterferenceEnds(Runner& runner, pid_t interferer) {
  StuckDetector stuck_detector(interferer, runner.request().watchdog_seconds);
  int asleep = 0;
  while (runner.stage().probe.load(std::memory_order_acquire) == 0) {
    runner.Nap();
    const Waiting waiting = HowItWaits(interferer);
    asleep = waiting == Waiting::kForOthers ? asleep + 1 : 0;
    constexpr int kAsleepLooks = 3;
    if (waiting == Waiting::kGone || asleep >= kAsleepLooks || stuck_detector.Exhausted())
      return false;
  }
  return true;
}

}  // namespace

VictimRun ResumeRun(const Runner& runner) {
  VictimRun run = runner.RunOfOne(runner.request().operation);
  run.tracee[0].tells_all = true;
  return run;
}

bool ResumeAfterInterference(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
                             uint32_t interference) {
  Runner::Stopped stopped;
  // A pin shows a value after its return, too.
  const bool twice = runner.to_judge().completed.function == Function::kPin;
  if (!runner.StopBesideInterferer(run, trace, at, interference, twice, &stopped)) {
    return false;
  }
  runner.LetSurvivorGo();
  const bool interfered = InterferenceEnds(runner, stopped.prober);
  if (interfered) ++runner.result().resume_stops;
  Judgement judgement;
  const bool ended = stopped.victim().Continue() == Tracee::Stop::kTrap;  // on the end marker
  int status = 0;
  // An interferer that waited for a stopped lock owner goes on now.
  bool survived = ended && (interfered || InterferenceEnds(runner, stopped.prober));
  if (survived) {
    runner.LetSurvivorGo(2);
    survived = Reap(stopped.prober, runner.request().watchdog_seconds, &status) &&
               WIFEXITED(status) && WEXITSTATUS(status) == 0;
    stopped.prober = 0;
  }
  if (!ended) {
    judgement = {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
                 "a process that was stopped did not finish when it went on"};
  } else if (!survived) {
    judgement = runner.JudgeSurvivor(stopped.prober, status);
  } else if (stopped.victim().Continue() != Tracee::Stop::kExited) {
    judgement = {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
                 "a process that was stopped could not tell what it was answered"};
  } else {
    JudgeRequest to_judge = runner.to_judge();
    to_judge.plan = static_cast<Plan>(at % kPlanCount);
    judgement = runner.JudgeNow(to_judge);
  }
  runner.EndStop(stopped);
  if (judgement.verdict != Verdict::kPass) {
    runner.Fail({Mode::kResume, Plan::kWorkFirst, {at, interference, kNowhere}}, &trace, at,
                judgement);
  }
  return true;
}

void ResumeSweep(Runner& runner) {
  Trace trace;
  Random random(runner.request().seed + 2);
  const VictimRun run = ResumeRun(runner);
  if (!runner.TraceRepeatably(run, trace)) return;
  points.Find(trace);
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

// Resume: a victim that stood still while others worked, and then goes on; and two of them.
#include <sys/wait.h>

#include <csignal>

#include "harness/sweep/cell/cell_modes.h"
#include "harness/sweep/cell/resume_points.h"

namespace kill9::sweep {

using stepper::HowItWaits;
using stepper::StuckDetector;
using stepper::Tracee;
using stepper::Waiting;

namespace {

ResumePoints points, first_stops;

// What comes after two have stood and a third has worked. Who goes on first may have to wait for
// the other, which then goes on.
enum class EndOfThree : uint32_t {
  kBothGoOn,
  kBothGoOnSecondFirst,
  kFirstDies,
  kSecondDies,
  kBothDie,
};
constexpr uint32_t kEndsOfThree = 5;

constexpr Judgement kDidNotFinish = {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
                                     "a process that was stopped did not finish when it went on"};

// Two victims, of which the second one stands where its own trace says.
class ThreeMembers {
 public:
  explicit ThreeMembers(Runner& runner) : runner_(runner), run_(TwoVictims(runner)) {
    run_.tracee[0].tells_all = true;
  }

  // The second one's operation, beside the first one that is ready. False: error.
  bool TraceSecond(Trace& trace) {
    VictimRun other = run_;
    other.subject = 1;
    return runner_.TraceRepeatably(other, trace);
  }
  // The first one's operation, beside the second one that stands at `at`. False: error.
  bool TraceFirst(const Trace& second, uint32_t at, Trace& trace) {
    run_.tracee[1].trace = &second;
    run_.tracee[1].at = second_at_ = at;
    return runner_.TraceBesideInterferer(run_, {}, trace);
  }
  // Both stand, the first one at `at`; a third works in its way; then the end. False: error.
  bool Try(const Trace& first, uint32_t at, uint32_t interference, EndOfThree end) {
    Runner::Stopped stopped;
    const bool twice = runner_.to_judge().completed.function == Function::kPin;
    const Runner::Interferer interferer{.interference = interference, .twice = twice};
    if (!runner_.StopBesideInterferer(run_, first, at, interferer, &stopped)) return false;
    runner_.LetSurvivorGo();
    const bool interfered = InterfererReaches(runner_, stopped.prober, 1);
    const Plan plan = static_cast<Plan>(at % kPlanCount);
    const Judgement judgement = Finish(stopped, interfered, end, plan);
    runner_.EndStop(stopped);
    ++runner_.result().three_member_ends;
    if (judgement.verdict != Verdict::kPass) {
      const uint32_t how = interference * kEndsOfThree + static_cast<uint32_t>(end);
      runner_.Fail({Mode::kThreeMembers, plan, {second_at_, at, how}}, &first, at, judgement);
    }
    return true;
  }

 private:
  static bool Lives(uint32_t number, EndOfThree end) {
    return end != EndOfThree::kBothDie &&
           end != (number == 0 ? EndOfThree::kFirstDies : EndOfThree::kSecondDies);
  }
  // Those who live go on to their ends. False: one does not come there.
  static bool GoOn(Runner::Stopped& stopped, EndOfThree end) {
    const uint32_t begins = end == EndOfThree::kBothGoOnSecondFirst ? 1 : 0;
    bool waits[2] = {};
    for (const uint32_t number : {begins, 1 - begins}) {
      if (!Lives(number, end)) continue;
      const bool other_waits = waits[1 - number];
      const Tracee::Stop stop = stopped.standing[number].Continue(/*may_block=*/!other_waits);
      waits[number] = stop == Tracee::Stop::kBlocked;
      if (!waits[number] && stop != Tracee::Stop::kTrap) return false;
    }
    for (const uint32_t number : {0u, 1u}) {
      // It is on its way: its next stop is awaited as its first one is.
      if (waits[number] && stopped.standing[number].WaitForBegin() != Tracee::Stop::kTrap) {
        return false;
      }
    }
    return true;
  }

  // False: it has ended.
  static bool StopInterferer(const Runner::Stopped& stopped, int* status) {
    kill(stopped.prober, SIGSTOP);
    while (waitpid(stopped.prober, status, WUNTRACED) != stopped.prober) {
    }
    return WIFSTOPPED(*status);
  }

  Judgement Finish(Runner::Stopped& stopped, bool interfered, EndOfThree end, Plan plan) {
    int status = 0;
    // An interferer that waits for a lock goes on after them, so that their way repeats.
    if (!interfered && !StopInterferer(stopped, &status)) {
      stopped.prober = 0;
      return runner_.JudgeSurvivor(0, status);
    }
    for (const uint32_t number : {0u, 1u}) {
      if (!Lives(number, end)) runner_.KillOneStopped(stopped, number);
    }
    const bool have_gone_on = GoOn(stopped, end);
    if (!interfered) kill(stopped.prober, SIGCONT);
    if (!have_gone_on) return kDidNotFinish;
    bool survived = interfered || InterfererReaches(runner_, stopped.prober, 1);
    if (survived) {
      runner_.LetSurvivorGo(2);
      survived = runner_.ProberEnds(stopped, &status);
    }
    if (!survived) return runner_.JudgeSurvivor(stopped.prober, status);
    for (const uint32_t number : {0u, 1u}) {
      if (!Lives(number, end)) continue;
      if (stopped.standing[number].Continue() != Tracee::Stop::kExited) return kDidNotFinish;
    }
    JudgeRequest to_judge = runner_.to_judge();
    to_judge.plan = plan;
    return runner_.JudgeNow(to_judge);
  }

  Runner& runner_;
  VictimRun run_;
  uint32_t second_at_ = 0;
};

}  // namespace

bool InterfererReaches(Runner& runner, pid_t interferer, uint32_t step) {
  StuckDetector stuck_detector(interferer, runner.request().watchdog_seconds);
  int asleep = 0;
  while (runner.stage().probe.load(std::memory_order_acquire) < step) {
    runner.Nap();
    const Waiting waiting = HowItWaits(interferer);
    asleep = waiting == Waiting::kForOthers ? asleep + 1 : 0;
    constexpr int kLooksAsleep = 3;
    if (waiting == Waiting::kGone || asleep >= kLooksAsleep || stuck_detector.Exhausted()) break;
  }
  return runner.stage().probe.load(std::memory_order_acquire) >= step;  // or since that look
}

Judgement FinishBeside(Runner& runner, Runner::Stopped& stopped, bool interfered, uint32_t steps,
                       Plan plan) {
  const bool ended = stopped.victim().Continue() == Tracee::Stop::kTrap;  // on the end marker
  if (!ended) {
    return kDidNotFinish;
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
  const PlaceOfTheDead place = runner.stage().place_of_the_dead.load(std::memory_order_relaxed);
  if (interferer.has_heir && place == PlaceOfTheDead::kGivenToAnother) {
    runner.Error("the further participant was not given the slot of the dead one");
    return false;
  }
  if (place == PlaceOfTheDead::kGiven) ++runner.result().resume_places_given;
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
  // Before it has named any of the dead, and after that, nothing keeps their places.
  const bool recovers = std::string_view(runner.request().operation) == kRecoverName;
  if (recovers && points.size() == runner.result().resume_points && runner.result().failures == 0 &&
      runner.result().resume_places_given == 0) {
    runner.Error("no further participant was given the slot of a dead one");
  }
}

void ThreeMembersSweep(Runner& runner) {
  Trace second, first;
  Random random(runner.request().seed + 5);
  const auto goes_on = [&runner] { return !runner.failed() && !runner.TooManyFailures(); };
  const uint32_t wanted = runner.request().pairs;
  uint32_t ends = static_cast<uint32_t>(random.Below(kEndsOfThree));
  ThreeMembers three(runner);
  if (!three.TraceSecond(second)) return;
  points.FindAccesses(second, /*inside_strings=*/false);
  points.Sample(wanted, random);
  for (uint32_t n = 0; goes_on() && n < points.size(); ++n) {
    if (!three.TraceFirst(second, points[n], first)) return;
    first_stops.FindAll(first);
    first_stops.Sample(wanted, random);
    for (uint32_t stop = 0; stop < first_stops.size(); ++stop) {
      ++runner.result().three_member_places;
      for (uint32_t way = 0; goes_on() && way < runner.driver().interferences(); ++way, ++ends) {
        const auto end = static_cast<EndOfThree>(ends % kEndsOfThree);
        if (!three.Try(first, first_stops[stop], way, end)) return;
      }
    }
  }
}

void ReplayThreeMembers(Runner& runner) {
  const CellRequest& request = runner.request();
  const KillPoint& place = request.place;
  Trace second, first;
  ThreeMembers three(runner);
  if (!three.TraceSecond(second)) return;
  const uint32_t way = place.at[2] / kEndsOfThree;
  if (place.at[0] >= second.size() || way >= runner.driver().interferences()) {
    runner.Error("there is no instruction %u or no interference %u", place.at[0], way);
    return;
  }
  if (!three.TraceFirst(second, place.at[0], first)) return;
  if (place.at[1] >= first.size()) {
    runner.Error("there is no instruction %u: the first one has %u", place.at[1], first.size());
    return;
  }
  for (uint32_t n = 0; n < request.times; ++n) {
    const uint32_t before = runner.result().failures;
    const auto end = static_cast<EndOfThree>(place.at[2] % kEndsOfThree);
    if (!three.Try(first, place.at[1], way, end)) return;
    ++runner.result().replayed;
    runner.result().replayed_alike += runner.result().failures != before;
  }
}

}  // namespace kill9::sweep

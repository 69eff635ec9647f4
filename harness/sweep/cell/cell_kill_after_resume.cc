// Kill after resume: a victim stands still, others work on, it goes on with what it knows, and dies
// on the way.
//
// What a death leaves then, no death and no stop alone leaves: a step that was right when it was
// decided on, and that its owner would have taken back.
//
// A victim that goes on as if nobody had worked meanwhile dies as it would have without: it is
// killed in a few states of its way. One that goes another way is killed in each state of that.
//
// An interferer that waits for the victim (its lock) is stopped while the victim goes on, so that
// the way to a death is the same each time, and goes on after it.
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "harness/sweep/cell/cell_modes.h"
#include "harness/sweep/cell/resume_points.h"

namespace kill9::sweep {

using stepper::HowItWaits;
using stepper::NowSeconds;
using stepper::Reap;
using stepper::Waiting;

namespace {

ResumePoints stops, deaths;

// A victim that others have overtaken.
class Overtaken {
 public:
  Overtaken(Runner& runner, const VictimRun& run, const Trace& trace)
      : runner_(runner), run_(run), trace_(trace) {}
  ~Overtaken() { End(); }
  Overtaken(const Overtaken&) = delete;
  Overtaken& operator=(const Overtaken&) = delete;

  // The victim stands before step `at`, and the interferer has worked or waits. Under the plan
  // look_first it looks at everything after the victim's death, before anybody recovers. False:
  // error.
  bool Stop(uint32_t at, uint32_t interference, Plan plan) {
    at_ = at;
    const Runner::Interferer interferer{.interference = interference,
                                        .looks = plan == Plan::kLookFirst};
    if (!runner_.StopBesideInterferer(run_, trace_, at, interferer, &stopped_)) return false;
    runner_.LetSurvivorGo();
    interfered_ = InterfererReaches(runner_, stopped_.prober, 1);
    if (interfered_) return true;
    if (HowItWaits(stopped_.prober) == Waiting::kGone) {
      crashed_ = true;
      return true;
    }
    int status = 0;
    kill(stopped_.prober, SIGSTOP);
    while (waitpid(stopped_.prober, &status, WUNTRACED) != stopped_.prober) {
    }
    return true;
  }
  bool crashed() const { return crashed_; }
  Runner::Stopped& stopped() { return stopped_; }

  bool TraceRest(Trace& rest) {
    return runner_.TraceOn(stopped_, trace_[at_], /*may_wait=*/!interfered_, rest);
  }
  // Of who crashed, or, after the victim's death, of all.
  Judgement Judge(Plan plan) {
    int status = 0;
    if (crashed_) {
      Reap(std::exchange(stopped_.prober, 0), runner_.request().watchdog_seconds, &status);
      return runner_.JudgeSurvivor(0, status);
    }
    runner_.KillStopped(stopped_);
    if (!interfered_) {
      kill(stopped_.prober, SIGCONT);
      if (!InterfererReaches(runner_, stopped_.prober, 1)) {
        return runner_.JudgeSurvivor(stopped_.prober, status);
      }
    }
    runner_.LetSurvivorGo(2);
    if (!runner_.ProberEnds(stopped_, &status)) return runner_.JudgeSurvivor(0, status);
    JudgeRequest to_judge = runner_.to_judge();
    to_judge.plan = plan;
    return runner_.JudgeNow(to_judge);
  }
  void End() { runner_.EndStop(stopped_); }

 private:
  Runner& runner_;
  const VictimRun& run_;
  const Trace& trace_;
  uint32_t at_ = 0;
  bool interfered_ = false, crashed_ = false;
  Runner::Stopped stopped_;
};

struct Stop {
  uint32_t at, interference;
};

// What the victim goes on with, traced. False: error, or a failure that was noted.
bool TraceRest(Runner& runner, const VictimRun& run, const Trace& trace, const Stop& stop,
               Trace& rest) {
  Overtaken overtaken(runner, run, trace);
  if (!overtaken.Stop(stop.at, stop.interference, Plan::kWorkFirst)) return false;
  if (!overtaken.crashed()) return overtaken.TraceRest(rest);
  runner.Fail({Mode::kKillAfterResume, Plan::kWorkFirst, {stop.at, stop.interference, 0}}, &trace,
              stop.at, overtaken.Judge(Plan::kWorkFirst));
  return false;
}

// Where the victim dies on its way on.
void ChooseDeaths(const Trace& trace, const Stop& stop, const Trace& rest, uint32_t wanted,
                  Random& random) {
  const uint32_t shorter = std::min(rest.size(), trace.size() - stop.at);
  uint32_t alike = 0;
  while (alike < shorter && rest[alike].address == trace[stop.at + alike].address) ++alike;
  if (alike < rest.size()) {
    deaths.FindStates(rest, alike);
    deaths.Sample(wanted, random);
  } else {
    constexpr uint32_t kOnTheSameWay = 2;
    deaths.FindStates(rest, 0);
    deaths.Sample(wanted == 0 ? kOnTheSameWay : std::min(wanted, kOnTheSameWay), random);
  }
}

// The victim stands before step `later` of what it goes on with. False: error.
bool BringOn(Runner& runner, Overtaken& overtaken, const Stop& stop, const Trace& rest,
             uint32_t later, Plan plan) {
  while (true) {
    if (!overtaken.Stop(stop.at, stop.interference, plan)) return false;
    if (overtaken.crashed() || runner.GoOn(overtaken.stopped(), rest, later)) return true;
    overtaken.End();
    if (!runner.MissedBreakpoint()) return false;
  }
}

bool KillOn(Runner& runner, const VictimRun& run, const Trace& trace, const Stop& stop, Trace& rest,
            uint32_t later, Plan plan) {
  Overtaken overtaken(runner, run, trace);
  if (!BringOn(runner, overtaken, stop, rest, later, plan)) return false;
  const Judgement judgement = overtaken.Judge(plan);
  if (judgement.verdict != Verdict::kPass) {
    runner.Fail({Mode::kKillAfterResume, plan, {stop.at, stop.interference, later}}, &rest, later,
                judgement);
  }
  return true;
}

}  // namespace

void KillAfterResumeSweep(Runner& runner, const VictimRun& run, Trace& trace) {
  CellResult& result = runner.result();
  Trace rest;
  Random random(runner.request().seed + 3);
  const double start = NowSeconds();
  stops.FindAccesses(trace, /*inside_strings=*/false);
  result.kill_after_resume_accesses = stops.size();
  stops.Sample(runner.request().pairs, random);
  for (uint32_t n = 0; n < stops.size(); ++n) {
    for (uint32_t way = 0; way < runner.driver().interferences(); ++way) {
      if (runner.failed() || runner.TooManyFailures()) return;
      const Stop stop{stops[n], way};
      if (!TraceRest(runner, run, trace, stop, rest)) continue;
      ++result.kill_after_resume_stops;
      ChooseDeaths(trace, stop, rest, runner.request().pairs, random);
      for (uint32_t death = 0; death < deaths.size(); ++death) {
        if (runner.TooManyFailures()) return;
        const Plan plan = static_cast<Plan>((n + way + death) % kPlanCount);
        if (!KillOn(runner, run, trace, stop, rest, deaths[death], plan)) return;
        ++result.kill_after_resume_kill_points;
      }
    }
  }
  result.kill_seconds += NowSeconds() - start;
}

void ReplayKillAfterResume(Runner& runner, const VictimRun& run, Trace& trace) {
  const CellRequest& request = runner.request();
  const KillPoint& place = request.place;
  const Stop stop{place.at[0], place.at[1]};
  Trace rest;
  if (stop.at >= trace.size() || stop.interference >= runner.driver().interferences()) {
    runner.Error("there is no instruction %u or no interference %u", stop.at, stop.interference);
    return;
  }
  for (uint32_t n = 0; n < request.times; ++n) {
    const uint32_t before = runner.result().failures;
    if (TraceRest(runner, run, trace, stop, rest)) {
      if (place.at[2] >= rest.size()) {
        runner.Error("there is no instruction %u: it goes on for %u", place.at[2], rest.size());
        return;
      }
      if (request.stop) {
        Overtaken overtaken(runner, run, trace);
        if (BringOn(runner, overtaken, stop, rest, place.at[2], place.plan) && !overtaken.crashed())
          runner.LeaveStopped(overtaken.stopped().standing);
        return;
      }
      if (!KillOn(runner, run, trace, stop, rest, place.at[2], place.plan)) return;
    }
    if (runner.failed()) return;
    ++runner.result().replayed;
    runner.result().replayed_alike += runner.result().failures != before;
  }
}

}  // namespace kill9::sweep

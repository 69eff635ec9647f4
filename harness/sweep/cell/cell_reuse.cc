// Reuse: what a death left behind under the name of a slot, and that slot's next owner.
//
// An interferer attaches; the victim dies; the interferer recovers; the next owner attaches, is
// given the slot of a dead one, begins an operation elsewhere, and is stopped in the middle of it;
// then the interferer works where the victim had worked, and recovers once more. Whatever it takes
// for the dead one's, and is the new owner's by now, shows.
#include <functional>

#include "absl/functional/function_ref.h"
#include "harness/sweep/cell/cell_modes.h"
#include "harness/sweep/cell/resume_points.h"

namespace kill9::sweep {

using stepper::NowSeconds;

namespace {

ResumePoints victim_deaths, owner_stops;
SlotOwners at_death;

// One death of the victim, and what comes after it.
class Reuse {
 public:
  // `victim_trace`: of the victim alone, beside an interferer.
  Reuse(Runner& runner, const Trace& victim_trace, uint32_t died_at) : runner_(runner) {
    run_ = runner.RunOfOne(runner.request().operation);
    run_.tracee[0].trace = &victim_trace;
    run_.tracee[0].at = died_at;
    run_.tracee[0].died = &died_;
    run_.tracee[1] = {.operation = runner.OperationOf(runner.second()),
                      .number = kNewOwner,
                      .pid = Runner::kOtherPid,
                      .tells_all = true};
    run_.count = 2;
    run_.subject = 1;
  }
  Reuse(const Reuse&) = delete;
  Reuse& operator=(const Reuse&) = delete;

  // The new owner's operation, traced. False: error, or a failure that was noted, or nobody is
  // given the slot of a dead one: the victim had none.
  bool TraceOwner(Trace& trace) {
    const bool traced = runner_.TraceBesideInterferer(run_, {.recovers = true}, trace);
    if (not_recovered_.verdict != Verdict::kPass) {
      Fail(nullptr, 0, 0, not_recovered_, Plan::kWorkFirst);
    }
    // The owner has died in its slot since, and nobody has recovered it.
    if (!traced || !at_death.AnyHasANewOwner(Table())) return false;
    if (!trace.ends_blocked()) return true;
    Fail(&trace, trace.size() - 1, 0,
         {Verdict::kStuck, DecidedOutcome::kNone, "the slot's next owner is blocked"},
         Plan::kWorkFirst);
    return false;
  }

  // It is stopped at `at` while the interferer works in its way, and goes on. False: error.
  bool StopOwner(const Trace& trace, uint32_t at, uint32_t interference, Plan plan) {
    Runner::Stopped stopped;
    if (!Bring(trace, at, interference, &stopped)) return false;
    runner_.LetSurvivorGo(2);
    const bool interfered = InterfererReaches(runner_, stopped.prober, 2);
    const Judgement judgement = FinishBeside(runner_, stopped, interfered, 2, plan);
    runner_.EndStop(stopped);
    if (judgement.verdict != Verdict::kPass) Fail(&trace, at, interference, judgement, plan);
    return true;
  }

  void LeaveOwner(const Trace& trace, uint32_t at) {
    Runner::Stopped stopped;
    if (!Bring(trace, at, 0, &stopped)) return;
    runner_.LeaveStopped(stopped.standing);
    runner_.EndStop(stopped);
  }

 private:
  ParticipantTable Table() const { return runner_.scene().segment()->participants(); }

  // What each stop is for: the owner's slot is a dead one's.
  bool Bring(const Trace& trace, uint32_t at, uint32_t interference, Runner::Stopped* stopped) {
    const Runner::Interferer interferer{.interference = interference, .recovers = true};
    if (!runner_.StopBesideInterferer(run_, trace, at, interferer, stopped)) return false;
    if (at_death.AnyHasANewOwner(Table())) return true;
    runner_.Error("nobody has been given the slot of a dead participant");
    runner_.EndStop(*stopped);
    return false;
  }
  // The victim is dead: the interferer recovers. False: it does not.
  bool AfterDeath() {
    runner_.CloseFirstVictim(run_);
    at_death.Note(Table());
    runner_.LetSurvivorGo(1);
    if (InterfererReaches(runner_, runner_.interferer(), 1)) return true;
    const JudgeReport& report = runner_.stage().report;
    if (report.message[0] != '\0') {
      not_recovered_ = {report.verdict, DecidedOutcome::kNone, report.message};
    } else if (stepper::HowItWaits(runner_.interferer()) == stepper::Waiting::kGone) {
      not_recovered_ = {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
                        "the survivor that recovers after the death crashed"};
    } else {
      not_recovered_ = {Verdict::kStuck, DecidedOutcome::kNone,
                        "the survivor that recovers after the death made no progress"};
    }
    return false;
  }
  void Fail(const Trace* trace, uint32_t at, uint32_t interference, const Judgement& judgement,
            Plan plan) {
    runner_.Fail({Mode::kReuse, plan, {run_.tracee[0].at, at, interference}}, trace, at, judgement);
  }

  Runner& runner_;
  VictimRun run_;
  Judgement not_recovered_;
  const std::function<bool()> after_death_ = [this] { return AfterDeath(); };
  const absl::FunctionRef<bool()> died_ = after_death_;
};

bool GoesOn(Runner& runner) { return !runner.failed() && !runner.TooManyFailures(); }

}  // namespace

void ReuseSweep(Runner& runner, const Trace& victim_trace) {
  CellResult& result = runner.result();
  Trace trace;
  Random random(runner.request().seed + 4);
  const double start = NowSeconds();
  victim_deaths.FindStates(victim_trace, 0);
  const uint32_t wanted = runner.request().pairs;  // of those that leave a slot to another
  if (wanted != 0) victim_deaths.Shuffle(random);
  for (uint32_t death = 0; GoesOn(runner) && death < victim_deaths.size(); ++death) {
    if (wanted != 0 && result.reuse_deaths == wanted) break;
    Reuse reuse(runner, victim_trace, victim_deaths[death]);
    if (!reuse.TraceOwner(trace)) continue;
    ++result.reuse_deaths;
    owner_stops.FindAccesses(trace, /*inside_strings=*/false);
    owner_stops.Sample(wanted, random);
    for (uint32_t stop = 0; stop < owner_stops.size(); ++stop) {
      for (uint32_t way = 0; GoesOn(runner) && way < runner.driver().interferences(); ++way) {
        const Plan plan = static_cast<Plan>((death + stop + way) % kPlanCount);
        if (!reuse.StopOwner(trace, owner_stops[stop], way, plan)) return;
        ++result.reuse_stops;
      }
    }
  }
  result.kill_seconds += NowSeconds() - start;
}

void ReplayReuse(Runner& runner, const Trace& victim_trace) {
  const CellRequest& request = runner.request();
  const KillPoint& place = request.place;
  Trace trace;
  if (place.at[0] >= victim_trace.size() || place.at[2] >= runner.driver().interferences()) {
    runner.Error("there is no instruction %u or no interference %u", place.at[0], place.at[2]);
    return;
  }
  for (uint32_t n = 0; n < request.times; ++n) {
    const uint32_t before = runner.result().failures;
    Reuse reuse(runner, victim_trace, place.at[0]);
    if (reuse.TraceOwner(trace)) {
      if (place.at[1] >= trace.size()) {
        runner.Error("there is no instruction %u: the slot's next owner has %u", place.at[1],
                     trace.size());
        return;
      }
      if (request.stop) return reuse.LeaveOwner(trace, place.at[1]);
      if (!reuse.StopOwner(trace, place.at[1], place.at[2], place.plan)) return;
    }
    if (runner.failed()) return;
    ++runner.result().replayed;
    runner.result().replayed_alike += runner.result().failures != before;
  }
}

}  // namespace kill9::sweep

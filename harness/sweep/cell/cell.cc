#include "harness/sweep/cell/cell.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "harness/sweep/cell/cell_modes.h"
#include "harness/sweep/cell/runner.h"

namespace kill9::sweep {

using stepper::BreakpointChoice;
using stepper::Breakpoints;
using stepper::FindBreakpoints;
using stepper::kInsideString;
using stepper::kKilled;
using stepper::kRestartable;
using stepper::kSystemCall;
using stepper::kUnrepeatable;
using stepper::kVdso;
using stepper::NowSeconds;
using stepper::Tracee;

namespace {

constexpr std::array<std::string_view, kModeCount> kModeNames = {
    "kill",   "recovery",          "two_victims", "stall",
    "resume", "kill_after_resume", "reuse",       "three_members"};
constexpr std::array<std::string_view, kPlanCount> kPlanNames = {"work_first", "recover_first",
                                                                 "look_first"};

// Kills in every distinct state under each plan, in a sample of all instructions, and (full) in
// all.
class KillSweep {
 public:
  KillSweep(Runner& runner, Trace& trace, const VictimRun& run)
      : runner_(runner), trace_(trace), run_(run) {}

  void Run() {
    const double start = NowSeconds();
    const PageFaults before = runner_.page_faults();
    for (uint32_t state = 0; Going() && state < trace_.state_count(); ++state) KillIn(state);
    // Having returned, the operation must have happened.
    for (int plan = 0; Going() && plan < Plans(); ++plan) {
      Kill(trace_.size() - 1, static_cast<Plan>(plan), /*first_of_state=*/false);
    }
    if (runner_.request().full) {
      for (uint32_t at = 0; Going() && at < trace_.size(); ++at) {
        if (!(trace_[at].flags & kKilled)) Kill(at, static_cast<Plan>(at % kPlanCount), false);
      }
    } else {
      Random random(runner_.request().seed);
      for (uint32_t n = 0; Going() && n < runner_.request().sample; ++n) {
        uint32_t at = static_cast<uint32_t>(random.Below(trace_.size()));
        ++runner_.result().sampled;
        Kill(at, static_cast<Plan>(n % kPlanCount), false);
      }
    }
    const PageFaults after = runner_.page_faults();
    runner_.result().page_faults = {after.victims - before.victims, after.judges - before.judges,
                                    after.tracer - before.tracer};
    runner_.result().kill_seconds += NowSeconds() - start;
  }

 private:
  bool Going() const { return !runner_.failed() && !runner_.TooManyFailures(); }
  // Looking first says nothing new where the operation changes nothing that could be seen.
  int Plans() const {
    return runner_.has_effect() ? kPlanCount : static_cast<int>(Plan::kLookFirst);
  }

  // A state that is not survived under one plan is not killed in under the others.
  void KillIn(uint32_t state) {
    CellResult& result = runner_.result();
    const uint32_t before = result.failures;
    const uint32_t at = trace_.state(state).first;
    const bool in_turn = !runner_.request().full && IsAmongManyIterations(at);
    for (int plan = 0; Going() && result.failures == before && plan < Plans(); ++plan) {
      if (in_turn && plan != static_cast<int>(at) % Plans()) continue;
      Kill(at, static_cast<Plan>(plan), /*first_of_state=*/true);
    }
    if (runner_.failed()) return;
    result.instructions_judged += trace_.state(state).points;
    if (result.failures == before) return;
    result.instructions_not_survived += trace_.state(state).points;
    trace_[trace_.state(state).first].flags |= stepper::kNotSurvived;
  }

  // Whether this is an iteration of a repeated string instruction, with many more before and
  // behind: of a long copy each byte is a state, which has neighbours that differ by it alone. So
  // such states are killed in under one plan each, in turn.
  bool IsAmongManyIterations(uint32_t at) const {
    constexpr uint32_t kMany = 16;
    if (at < kMany || trace_.size() - at <= kMany) return false;
    for (uint32_t step = at - kMany; step <= at + kMany; ++step) {
      if ((trace_[step].flags & kInsideString) == 0) return false;
    }
    return true;
  }

  void Kill(uint32_t at, Plan plan, bool first_of_state) {
    CellResult& result = runner_.result();
    JudgeRequest to_judge = KillRequest(runner_, trace_, at, plan);
    Judgement answer;
    if (!runner_.KillAt(run_, trace_, at, to_judge, &answer)) return;
    ++result.kill_points;
    switch (answer.outcome) {
      case DecidedOutcome::kHappened:
        ++result.happened;
        break;
      case DecidedOutcome::kDidNotHappen:
        ++result.did_not_happen;
        break;
      case DecidedOutcome::kNone:
        ++result.indistinguishable;
        break;
    }
    if (answer.verdict != Verdict::kPass) {
      runner_.Fail({Mode::kKill, plan, {at, kNowhere, kNowhere}}, &trace_, at, answer);
    }
    uint8_t& known = known_[trace_[at].state][static_cast<int>(plan)];
    uint8_t found = static_cast<uint8_t>(1 + static_cast<int>(answer.verdict) * 3 +
                                         static_cast<int>(answer.outcome));
    if (first_of_state) {
      known = found;
    } else if (known != 0 && known != found && at + 1 != trace_.size()) {
      ++result.sampled_differently;
      runner_.Error(
          "instruction %u is judged otherwise than instruction %u, which is in the same state", at,
          trace_.state(trace_[at].state).first);
    }
  }

  Runner& runner_;
  Trace& trace_;
  const VictimRun& run_;
  inline static uint8_t known_[Trace::kMaxStates][kPlanCount];
};

void CountTrace(const Trace& trace, CellResult& result) {
  result.instructions = trace.size() - 1;  // the last step is the end marker
  result.distinct_states = trace.state_count();
  uint32_t dearest = 0;
  for (uint32_t at = 0; at < trace.size(); ++at) {
    const TraceStep& step = trace[at];
    result.system_calls += (step.flags & kSystemCall) != 0;
    result.string_iterations += (step.flags & kInsideString) != 0;
    result.vdso_instructions += (step.flags & kVdso) != 0;
    result.restartable_sequences += (step.flags & kRestartable) != 0;
    result.unrepeatable += (step.flags & kUnrepeatable) != 0;
    if (step.cost > trace[dearest].cost) dearest = at;
  }
  result.longest_way = trace.StopsOnWay(dearest, stepper::WayCostsOf(Tracee::breakpoints()));
}

void CountCoverage(Runner& runner, const Trace& trace) {
  runner.addresses().AddTrace(trace);
  CellResult& result = runner.result();
  for (uint32_t at = 0; at < trace.size(); ++at) {
    const TraceStep& step = trace[at];
    if (step.flags & kKilled) {
      ++result.instructions_killed;
    } else if (trace[trace.state(step.state).first].flags & kKilled) {
      ++result.instructions_spoken_for;
    }
  }
}

bool AllThatWasAskedRan(const CellRequest& request, const CellResult& result, bool only_killed,
                        bool may_stall) {
  if (result.kill_points == 0) return false;
  if (only_killed || request.samples_mode != 0) return true;
  return (!request.recovery || result.recovery_kill_points > 0) &&
         (!request.two_victims || result.two_victim_kill_points > 0) &&
         (!request.resume || result.resume_points > 0) &&
         (!request.kill_after_resume || result.kill_after_resume_kill_points > 0 ||
          result.kill_after_resume_accesses == 0) &&
         (!request.reuse || result.reuse_stops > 0 || !may_stall) &&
         (!request.three_members || result.three_member_ends > 0 || !may_stall) &&
         (!request.stall || result.stalled_instructions > 0 || !may_stall);
}

// A prober that has no place before the victim stops could only try to get one.
bool MayStall(const Runner& runner) { return !runner.scene().making().all_participants_dead; }

// A full table of the living is the judge's: nobody else can be there before the victim, or beside
// it.
bool OnlyKilled(const Runner& runner) {
  return runner.creating() || runner.scene().making().all_participants_alive;
}

void Sweep(Runner& runner) {
  if (!runner.Prepare()) return;
  const CellRequest& request = runner.request();
  const VictimRun run = runner.RunOfOne(request.operation);
  Trace trace;
  if (!runner.TraceRepeatably(run, trace)) return;
  CountTrace(trace, runner.result());
  if (request.replay) {
    Replay(runner, run, trace);
    return;
  }
  KillSweep(runner, trace, run).Run();
  CountCoverage(runner, trace);
  if (OnlyKilled(runner)) return;  // nobody else is there to be met
  // A trace of its own for each: the runner's heap is another than it was when the first was made,
  // and a victim has it from the runner.
  Trace own;
  runner.BeginMode();
  if (request.stall && MayStall(runner) && runner.TraceRepeatably(run, own)) {
    StallSweep(runner, run, own);
  }
  runner.BeginMode();
  if (request.resume) ResumeSweep(runner);
  runner.BeginMode();
  if (request.kill_after_resume && runner.TraceRepeatably(run, own)) {
    KillAfterResumeSweep(runner, run, own);
  }
  runner.BeginMode();
  if (request.reuse && MayStall(runner) && runner.TraceRepeatably(run, own)) {
    ReuseSweep(runner, own);
  }
  runner.BeginMode();
  if (request.three_members && MayStall(runner)) ThreeMembersSweep(runner);
  runner.BeginMode();
  if (request.recovery) RecoverySweep(runner);
  runner.BeginMode();
  if (request.two_victims) TwoVictimsSweep(runner);
}

}  // namespace

std::string_view Name(Mode mode) { return kModeNames[static_cast<size_t>(mode)]; }
std::string_view Name(Plan plan) { return kPlanNames[static_cast<size_t>(plan)]; }

Count PlaceNumbers(Mode mode) {
  switch (mode) {
    case Mode::kKill:
      return {1, 1};
    case Mode::kRecovery:
      return {2, 3};
    case Mode::kStall:
      return {1, 2};
    case Mode::kKillAfterResume:
    case Mode::kReuse:
    case Mode::kThreeMembers:
      return {3, 3};
    case Mode::kTwoVictims:
    case Mode::kResume:
      break;
  }
  return {2, 2};
}

JudgeRequest KillRequest(const Runner& runner, const Trace& trace, uint32_t at, Plan plan) {
  JudgeRequest to_judge = runner.to_judge();
  to_judge.plan = plan;
  to_judge.returned = at + 1 == trace.size();
  return to_judge;
}

void RunCell(CellArea& area, DesignFinder find) {
  CellResult& result = area.result;
  std::memset(static_cast<void*>(&result), 0, sizeof result);
  const double start = NowSeconds();
  if (area.request.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<size_t>(area.request.cpu), &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);  // refused: slower, not wrong
  }
  stepper::StartTicker();
  bool ran = false;
  {
    Runner runner(area, find);
    const BreakpointChoice wanted = area.request.breakpoints;
    const std::optional<Breakpoints> found = FindBreakpoints(wanted);
    if (found.has_value()) {
      Tracee::UseBreakpoints(*found);
      result.stopped_by = *found;
      result.breakpoints = *found == Breakpoints::kDebugRegisters;
      Sweep(runner);
      ran = runner.scene_made() &&
            AllThatWasAskedRan(area.request, result, OnlyKilled(runner), MayStall(runner));
    } else {
      runner.Error("this machine has no breakpoints by %s", std::string(Name(wanted)).c_str());
    }
  }
  if (result.failures == 0) {
    result.verdict = Verdict::kPass;
    if (result.error[0] != '\0')
      result.verdict = Verdict::kUndecided;
    else if (!area.request.replay && !ran)
      result.verdict = Verdict::kVacuous;
  }
  result.seconds = NowSeconds() - start;
  result.finished = 1;
}

}  // namespace kill9::sweep

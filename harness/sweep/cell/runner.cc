#include "harness/sweep/cell/runner.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "harness/sweep/cell/common_victim.h"

namespace kill9::sweep {

Runner::Runner(CellArea& area, DesignFinder find)
    : area_(area),
      design_(find(area.request.variant)),
      stage_(MapShared<CellSharedMemory>()),
      stepper_({this, BeVictim, stage_->victim_message, area.result.error,
                &area.result.missed_breakpoints}) {}

Runner::~Runner() {
  DismissJudge();
  if (holder_ > 0) stepper::KillAndReap(holder_);
  if (stepper_.shared().has_files()) Segment::Unlink(scene_->options().location).IgnoreError();
}

uint32_t Runner::OperationOf(std::string_view name) const {
  return *IndexOf(driver_->operations(), name);
}

VictimRun Runner::RunOfOne(std::string_view operation) const {
  VictimRun run;
  run.base = base();
  run.tracee[0] = {.operation = OperationOf(operation), .pid = kVictimPid};
  return run;
}

std::unique_ptr<Victim> Runner::NewVictim(uint32_t operation, uint32_t number, bool tells_all) {
  std::unique_ptr<Victim> victim =
      NewCommonVictim(*scene_, driver_->operations()[operation], to_judge_.created_name);
  if (victim != nullptr) return victim;
  return scene_->NewVictim(operation, number, tells_all, stage_->history.VictimLog(number));
}

// Those of every mode, whichever was asked for: a trace must be the same when a failure is
// repeated.
void Runner::BuildVictims() {
  const auto build = [this](std::string_view name, uint32_t number, bool tells_all) {
    const std::optional<uint32_t> operation = IndexOf(driver_->operations(), name);
    if (!operation.has_value()) return;
    built_.push_back({*operation, number, tells_all, NewVictim(*operation, number, tells_all)});
  };
  build(request().operation, 0, false);
  build(request().operation, 0, true);
  build(second(), 1, false);
  build(recovery(), kRecoverer, false);
  build(second(), kNewOwner, true);
}

void Runner::BeVictim(void* self, const TraceeStart& start) {
  Runner& runner = *static_cast<Runner*>(self);
  CellSharedMemory& stage = *runner.stage_;
  stage.victim_done = 0;
  stage.victim_message[0] = '\0';
  std::unique_ptr<Victim> made;
  Victim* victim = nullptr;
  for (const BuiltVictim& built : runner.built_) {
    if (built.operation == start.operation && built.number == start.number &&
        built.tells_all == start.tells_all) {
      victim = built.victim.get();
    }
  }
  if (victim == nullptr) {
    made = runner.NewVictim(start.operation, start.number, start.tells_all);
    victim = made.get();
  }
  const absl::Status status = victim->Prepare();
  if (!status.ok()) {
    std::snprintf(stage.victim_message, sizeof stage.victim_message, "%s",
                  status.ToString().c_str());
    _exit(1);
  }
  stepper::TraceMe();
  stepper::MarkBegin();
  victim->Run();
  stepper::MarkEnd();
  victim->Record();
  stage.victim_done = 1;
  _exit(0);
}

void Runner::BeginHistory(const SteppedRun& run) {
  CellHistory& history = stage_->history;
  history.survivor_count.store(0, std::memory_order_relaxed);  // a fork, or a signal, orders them
  for (uint32_t number = 0; number < kMostVictims; ++number) {
    if (run.base == base()) history.victim_count[number].store(0, std::memory_order_relaxed);
  }
  for (uint32_t n = 0; n < run.count; ++n) {
    history.victim_count[run.tracee[n].number].store(0, std::memory_order_relaxed);
  }
  // From the end of what was before: the same operations then have the same times in every run.
  uint64_t end = beginning_.empty() ? 0 : beginning_.back().finish;
  for (uint32_t number = 0; number < kMostVictims; ++number) {
    for (const Operation& earlier : history.VictimLog(number).operations()) {
      // What may happen at any later time has no end.
      if (earlier.finish != kNever) end = std::max(end, earlier.finish);
    }
  }
  history.time.store(end, std::memory_order_relaxed);
}

void Runner::CloseVictims(const VictimRun& run, bool returned) {
  for (uint32_t n = 0; n < run.count; ++n) {
    const uint32_t number = run.tracee[n].number;
    // What is refused when nobody kills it has no effect when somebody does.
    const bool as_completed =
        number == 0 && (returned || to_judge_.completed.outcome == Outcome::kRefused);
    stage_->history.CloseVictim(number, as_completed ? &to_judge_.completed : nullptr);
  }
}

void Runner::BeforeVictims(const VictimRun& run, const JudgeRequest& request) {
  BeginHistory(run);
  if (run.judged) CallJudge(request);
}

bool Runner::TraceOnce(const VictimRun& run, Trace& trace) {
  bool traced = false;
  do {
    traced = stepper_.TraceSubject(
        run, [&] { BeforeVictims(run, to_judge_); }, trace);
    DismissJudge();
  } while (!traced && stepper_.MissedBreakpoint());
  return traced;
}

bool Runner::TraceRepeatably(const VictimRun& run, Trace& trace) {
  // Where PIDs do not repeat, a word may be one of them by chance: hardly with other ones, too.
  constexpr int kMostTries = 3;
  Trace again;
  for (int tries = 1; TraceOnce(run, trace) && TraceOnce(run, again); ++tries) {
    const bool differ = trace.size() != again.size() || trace.FirstDifference(again) < trace.size();
    if (!differ || stepper::PidsRepeat() || tries == kMostTries) {
      return stepper_.AreTheSame(trace, again);
    }
    DismissJudge();
  }
  return false;
}

bool Runner::Bring(const VictimRun& run, const JudgeRequest& request, const Trace& trace,
                   uint32_t at, stepper::Stepper::Standing* standing) {
  while (!stepper_.Bring(
      run, [&] { BeforeVictims(run, request); }, trace, at, standing)) {
    DismissJudge();
    if (!stepper_.MissedBreakpoint()) return false;
  }
  return true;
}

bool Runner::KillOnce(const VictimRun& run, Trace& trace, uint32_t at, const JudgeRequest& request,
                      Judgement* judgement) {
  stepper::Stepper::Standing standing;
  if (!Bring(run, request, trace, at, &standing)) return false;
  faults_.victims += standing.KillAll();
  CloseVictims(run, request.returned);
  CountKill();
  if (at < trace.size()) trace[at].flags |= stepper::kKilled;
  *judgement = AskJudge();
  return true;
}

bool Runner::KillAt(const VictimRun& run, Trace& trace, uint32_t at, const JudgeRequest& request,
                    Judgement* judgement) {
  const bool was_new = judgements_ == 0;
  if (!KillOnce(run, trace, at, request, judgement)) return false;
  if (judgement->verdict == Verdict::kPass || was_new) return true;
  // That judge has judged others before: a new one must find the same.
  const Verdict found = judgement->verdict;
  DismissJudge();
  if (!KillOnce(run, trace, at, request, judgement)) return false;
  if (judgement->verdict == found) return true;
  Error("a judge found %s at instruction %u, and a new judge found %s",
        std::string(VerdictName(found)).c_str(), at,
        std::string(VerdictName(judgement->verdict)).c_str());
  return false;
}

bool Runner::KillAndLeave(const VictimRun& run, Trace& trace, uint32_t at, char* left) {
  stepper::Stepper::Standing standing;
  if (!Bring(run, to_judge_, trace, at, &standing)) return false;
  standing.KillAll();
  CloseVictims(run, /*returned=*/false);
  DismissJudge();
  stepper_.Save(left);
  return !failed();
}

void Runner::Fail(const KillPoint& place, const Trace* trace, uint32_t at,
                  const Judgement& judgement) {
  CellResult& all = area_.result;
  if (judgement.verdict == Verdict::kStuck && all.waiting_stack[0] != '\0') {
    all.waiting_is_of_a_failure = 1;
  }
  if (all.failures == 0) {
    all.verdict = judgement.verdict;
    all.leaked_blocks = stage_->report.leaked_blocks;
    all.doubly_owned_blocks = stage_->report.doubly_owned_blocks;
  }
  if (all.failures < kMostFailures) {
    Failure& failure = all.failure[all.failures];
    failure.place = place;
    failure.verdict = judgement.verdict;
    failure.instructions = trace != nullptr ? trace->size() : 0;
    if (trace != nullptr && at < trace->size()) {
      failure.address = (*trace)[at].address;
      failure.segment_hash = trace->state((*trace)[at].state).id.segment_hash;
    }
    std::snprintf(failure.message, sizeof failure.message, "%s", judgement.message);
    std::snprintf(failure.window, sizeof failure.window, "%s", judgement.window);
  }
  ++all.failures;
}

}  // namespace kill9::sweep

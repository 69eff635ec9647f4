#include "harness/sweep/runner.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace kill9::sweep {
namespace {

template <typename T>
T* MapSharedObject() {
  return static_cast<T*>(
      mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

}  // namespace

Runner::Runner(CellArea& area, VariantFinder find)
    : area_(area),
      variant_(find(area.request.variant)),
      stage_(MapSharedObject<CellSharedMemory>()),
      mail_(MapSharedObject<PartnerMail>()),
      stepper_({this, BeVictim, stage_->victim_message, area.result.error,
                &area.result.missed_breakpoints}) {}

Runner::~Runner() {
  DismissJudge();
  if (holder_ > 0) stepper::KillAndReap(holder_);
  if (stepper_.shared().has_files()) Segment::Unlink(scene_->options.location).IgnoreError();
}

VictimRun Runner::RunOfOne(OperationKind operation) const {
  VictimRun run;
  run.base = base();
  run.tracee[0] = {.operation = static_cast<uint32_t>(operation), .pid = kVictimPid};
  return run;
}

void Runner::BeVictim(void* self, const TraceeStart& start) {
  Runner& runner = *static_cast<Runner*>(self);
  CellSharedMemory& stage = *runner.stage_;
  stage.victim_done = 0;
  stage.victim_message[0] = '\0';
  VictimOperation operation(*runner.scene_, static_cast<OperationKind>(start.operation),
                            start.number == 0 ? kVictimId : kSecondVictimId,
                            start.tells_all ? &stage.victim : nullptr);
  absl::Status status = operation.Prepare();
  if (!status.ok()) {
    std::snprintf(stage.victim_message, sizeof stage.victim_message, "%s",
                  status.ToString().c_str());
    _exit(1);
  }
  stepper::TraceMe();
  stepper::MarkBegin();
  status = operation.Run();
  stepper::MarkEnd();
  if (start.tells_all) operation.Report(status);
  stage.victim_status = status.code();
  stage.victim_done = 1;
  _exit(0);
}

void Runner::BeforeVictims(const VictimRun& run, const JudgeRequest& request) {
  if (run.judged) CallJudge(request);
}

bool Runner::TraceOnce(const VictimRun& run, Trace& trace) {
  bool traced = false;
  do {
    traced = stepper_.TraceSubject(
        run, [&] { BeforeVictims(run, orders_); }, trace);
    DismissJudge();
  } while (!traced && stepper_.MissedBreakpoint());
  return traced;
}

bool Runner::TraceRepeatably(const VictimRun& run, Trace& trace) {
  Trace again;
  return TraceOnce(run, trace) && TraceOnce(run, again) && stepper_.AreTheSame(trace, again);
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
  if (!Bring(run, orders_, trace, at, &standing)) return false;
  standing.KillAll();
  DismissJudge();
  stepper_.Save(left);
  return !failed();
}

void Runner::Fail(const KillPoint& place, const Trace* trace, uint32_t at,
                  const Judgement& judgement) {
  CellResult& all = area_.result;
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
  }
  ++all.failures;
}

}  // namespace kill9::sweep

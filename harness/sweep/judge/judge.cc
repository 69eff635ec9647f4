#include "harness/sweep/judge/judge.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "harness/base/text/count_of.h"

namespace kill9::sweep {

void JudgeReport::Say(Verdict found, const std::string& what, const std::string& of_history) {
  verdict = found;
  std::snprintf(message, sizeof message, "%s", what.c_str());
  std::snprintf(window, sizeof window, "%s", of_history.c_str());
}

Judge::Judge(const Scene& scene, const JudgeRequest& request, JudgeReport* report,
             CellHistory& history, HistoryCheck& check, RemoteSurvivor* remote)
    : scene_(&scene),
      request_(request),
      report_(report),
      history_(history),
      check_(check),
      remote_(remote) {
  report_->verdict = Verdict::kPass;
}

void Judge::SetPhase(const char* stage) {
  std::snprintf(report_->stage, sizeof report_->stage, "%s", stage);
}

// What was wrong first is said: where the history is not legal so far, that.
void Judge::Fail(Verdict verdict, const std::string& message) {
  const HistoryCheck::Found found = check_.Check(history_);
  if (found.verdict == Verdict::kViolation) {
    report_->Say(found.verdict, found.message, found.window);
  } else {
    report_->Say(verdict, absl::StrCat(report_->stage, ": ", message), "");
  }
  report_->done = 1;
  _exit(0);  // as it stands: no destructor may touch an object that just failed
}

std::unique_ptr<Survivor> Judge::Attach(CellProcess process) {
  absl::StatusOr<std::unique_ptr<Survivor>> survivor =
      remote_ != nullptr && process == kSurvivorAfter
          ? remote_->Attach(process, *this)
          : scene_->NewSurvivor(process, *this, history_.SurvivorLog());
  Check(survivor.ok(), Verdict::kAuditFailed, "cannot attach: ", survivor.status());
  return *std::move(survivor);
}

void Judge::AttachBefore() {
  if (request_.creates() || scene_->making().all_participants_dead) return;
  SetPhase("attach before the kill");
  before_ = Attach(kSurvivorBefore);
  if (scene_->making().all_participants_alive) FillTable();
}

void Judge::FillTable() {
  SetPhase("fill the table of participants");
  const uint32_t places = scene_->options().max_participants;
  while (true) {
    absl::StatusOr<std::unique_ptr<SharedObject>> other =
        scene_->design().AttachObject(scene_->segment());
    if (!other.ok()) {
      Check(absl::IsResourceExhausted(other.status()), Verdict::kAuditFailed,
            "cannot attach: ", other.status());
      break;
    }
    others_.push_back(*std::move(other));
    Check(others_.size() < places, Verdict::kAuditFailed, "a table of ", places,
          " participants has more");
  }
  Check(others_.size() + 1 == places, Verdict::kAuditFailed, "a table of ", places,
        " participants is full with ", others_.size() + 1);
}

void Judge::Run() {
  others_.clear();
  if (request_.creates()) {
    SetPhase("open what a dying creator left");
    created_ = OpenCreated();
    scene_ = created_.get();
  }
  if (before_ == nullptr) {
    SetPhase("survivor attaches");
    before_ = Attach(kSurvivorBefore);
  }
  Work();
  JudgeHistory();
  report_->done = 1;
}

void Judge::Work() {
  if (request_.plan == Plan::kWorkFirst) {
    SetPhase("survivor from before the kill looks");
    before_->Look();
    SetPhase("survivor from before the kill works");
    before_->Work(Nearness::kSame);
    before_->Write(Nearness::kElsewhere);
    Recover(*before_);
    before_->Look();
    CheckAudit(*before_, 1, false);
    SetPhase("survivor attaches after the kill");
    after_ = Attach(kSurvivorAfter);
    after_->Look();
    SetPhase("survivor from after the kill works");
    after_->Work(Nearness::kNear);
    after_->Write(Nearness::kSame);
    FillAndEmpty(*after_, *before_);
  } else {
    if (request_.plan == Plan::kLookFirst) {
      SetPhase("survivor from before the kill looks");
      before_->Look();
    }
    SetPhase("survivor attaches after the kill");
    after_ = Attach(kSurvivorAfter);
    Recover(*after_);
    SetPhase("survivor from after the kill looks");
    after_->Look();
    CheckAudit(*after_, 2, false);
    SetPhase("survivor from before the kill works");
    before_->Work(Nearness::kSame);
    after_->Look();
    SetPhase("survivor from after the kill works");
    after_->Work(Nearness::kElsewhere);
    FillAndEmpty(*before_, *after_);
  }
  SetPhase("survivors detach");
  before_.reset();
  after_.reset();
  SetPhase("a newcomer audits the emptied object");
  before_ = Attach(kNewcomer);
  before_->Look();
  CheckAudit(*before_, 1, true);
}

void Judge::Recover(Survivor& survivor) {
  const std::string stage = report_->stage;
  SetPhase("recover");
  absl::StatusOr<RecoveryReport> recovery = survivor.object().Recover();
  if (recovery.ok()) report_->recovered_participants += recovery->participants;
  Check(recovery.ok() || absl::IsUnimplemented(recovery.status()), Verdict::kAuditFailed,
        recovery.status());
  SetPhase(stage.c_str());
}

// `attached`: how many participants of the judge itself are.
void Judge::CheckAudit(Survivor& survivor, uint32_t attached, bool emptied) {
  if (!scene_->design().object_traits().has_audit) return;
  const std::string stage = report_->stage;
  SetPhase(emptied ? "audit of the emptied object" : "audit after recovery");
  absl::StatusOr<AuditReport> audit = survivor.object().Audit();
  Check(audit.ok(), Verdict::kAuditFailed, audit.status());
  report_->leaked_blocks = static_cast<int64_t>(audit->leaked.blocks);
  report_->doubly_owned_blocks = static_cast<int64_t>(audit->doubly_owned);
  Check(audit->violations.empty(), Verdict::kAuditFailed,
        audit->violations.empty() ? "" : audit->violations.front());
  Check(audit->doubly_owned == 0, Verdict::kLeak, CountOf(audit->doubly_owned, "block"),
        " owned twice");
  auto adds_up = [](uint64_t free, uint64_t live, uint64_t held, uint64_t capacity) {
    return free + live + held == capacity;
  };
  bool exact =
      adds_up(audit->free.blocks, audit->live.blocks, audit->held.blocks, audit->capacity.blocks) &&
      adds_up(audit->free.bytes, audit->live.bytes, audit->held.bytes, audit->capacity.bytes);
  Check(audit->leaked.blocks == 0 && audit->leaked.bytes == 0 && exact, Verdict::kLeak,
        CountOf(audit->leaked.blocks, "block"), ", ", audit->leaked.bytes,
        " bytes leaked; free + live + held = ",
        audit->free.bytes + audit->live.bytes + audit->held.bytes, " of ", audit->capacity.bytes,
        " bytes");
  // Who does not tell whom it recovered does not count who is attached either.
  Check(!scene_->design().object_traits().tells_recovered ||
            audit->participants == attached + request_.live_holders,
        Verdict::kLeak, CountOf(audit->participants, "participant"), " attached, there should be ",
        attached + request_.live_holders);
  survivor.CheckContents(*audit);
  if (emptied) {
    report_->held_blocks_at_end = static_cast<int64_t>(audit->held.blocks);
    Check(request_.held_blocks_at_end < 0 ||
              report_->held_blocks_at_end == request_.held_blocks_at_end,
          Verdict::kLeak, audit->held.blocks,
          " blocks are held in the emptied object; without a kill ", request_.held_blocks_at_end);
  }
  SetPhase(stage.c_str());
}

void Judge::FillAndEmpty(Survivor& filler, Survivor& emptier) {
  SetPhase("fill to exhaustion");
  const uint32_t filled = filler.Fill();
  SetPhase("empty it");
  emptier.Empty(filled);
}

std::unique_ptr<Scene> Judge::OpenCreated() {
  const SegmentLocation location{SegmentKind::kNamed, request_.created_name};
  absl::StatusOr<std::shared_ptr<Segment>> segment = scene_->design().Open(location);
  creation_ = segment.ok() ? DecidedOutcome::kHappened : DecidedOutcome::kDidNotHappen;
  Check(segment.ok() || absl::IsNotFound(segment.status()), Verdict::kAuditFailed,
        segment.status());
  Check(segment.ok() || !request_.returned, Verdict::kViolation, "what was created is not there");
  if (!segment.ok()) {
    SegmentOptions options = scene_->options();
    options.location = location;
    segment = scene_->design().Create(options);
  }
  Check(segment.ok(), Verdict::kAuditFailed, "cannot create it anew: ", segment.status());
  return scene_->In(*std::move(segment));
}

void Judge::JudgeHistory() {
  SetPhase("check the history");
  const HistoryCheck::Found found = check_.Check(history_);
  if (found.verdict != Verdict::kPass) {
    report_->Say(found.verdict, found.message, found.window);
    report_->done = 1;
    _exit(0);
  }
  report_->outcome = request_.creates() ? creation_ : check_.OutcomeOf(request_.completed);
}

}  // namespace kill9::sweep

#include "harness/sweep/judge.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kMostFills = 400;
constexpr uint32_t kLossyFills = 40;

std::string FillKey(uint32_t number) { return absl::StrCat("fill-", number); }

}  // namespace

Judge::Judge(const Scene& scene, const JudgeRequest& orders, JudgeReport* report, Entry* read_back,
             RemoteSurvivor* remote_survivor)
    : scene_(scene),
      traits_(scene.variant->traits()),
      orders_(orders),
      report_(report),
      read_back_(read_back),
      remote_survivor_(remote_survivor),
      model_(scene.entries),
      newest_(scene.keys.size(), kAbsent),
      undecided_(scene.keys.size(), false) {
  for (size_t key = 0; key < model_.size(); ++key) newest_[key] = model_[key].version;
  for (uint32_t n = 0; n < orders.alternatives; ++n) undecided_[orders.alternative[n].key] = true;
}

void Judge::SetPhase(const char* stage) {
  std::snprintf(report_->stage, sizeof report_->stage, "%s", stage);
}

void Judge::Fail(Verdict verdict, const std::string& message) {
  report_->verdict = verdict;
  std::snprintf(report_->message, sizeof report_->message, "%s: %s", report_->stage,
                message.c_str());
  report_->done = 1;
  _exit(0);  // as it stands: no destructor may touch a store that just failed
}

std::string Judge::Piece(const absl::Status& status) {
  return status.message().empty() ? status.ToString() : std::string(status.message());
}

std::unique_ptr<Store> Judge::Attach() {
  absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant->Attach(scene_.segment);
  if (!store.ok())
    Fail(Verdict::kAuditFailed, absl::StrCat("cannot attach: ", Piece(store.status())));
  return *std::move(store);
}

std::unique_ptr<Store> Judge::AttachNewcomer() {
  if (remote_survivor_ == nullptr) return Attach();
  absl::StatusOr<std::unique_ptr<Store>> store = remote_survivor_->Attach(
      [this](const std::string& how) { Fail(Verdict::kSurvivorCrashed, how); });
  if (!store.ok())
    Fail(Verdict::kAuditFailed, absl::StrCat("cannot attach: ", Piece(store.status())));
  return *std::move(store);
}

void Judge::AttachBefore() {
  report_->verdict = Verdict::kPass;
  if (scene_.all_participants_dead) return;
  SetPhase("attach before the kill");
  before_ = Attach();
}

void Judge::Run() {
  if (before_ == nullptr) {
    SetPhase("survivor attaches to a table of the dead");
    before_ = Attach();
  }
  Judgement();
  report_->done = 1;
}

void Judge::RunCreate() {
  report_->verdict = Verdict::kPass;
  CreateJudgement();
  report_->done = 1;
}

void Judge::Judgement() {
  if (orders_.only_read) {
    Recover(*before_);
    SetPhase("read the keys of the scene");
    for (uint32_t key = 0; key < scene_.keys.size(); ++key) {
      absl::StatusOr<Version> version = before_->Get(scene_.keys[key], &read_);
      Entry entry;
      if (version.ok()) {
        entry = {true, 0, static_cast<uint32_t>(read_.size()), *version};
        Check(ReadValue(read_, &entry.id), Verdict::kViolation, Where(key),
              " holds a value that nobody wrote");
      } else {
        Check(absl::IsNotFound(version.status()), Verdict::kAuditFailed, version.status());
      }
      read_back_[key] = entry;
    }
    return;
  }
  const uint32_t subject = orders_.alternatives > 0 ? orders_.alternative[0].key : scene_.target;
  if (orders_.plan == Plan::kWorkFirst) {
    SetPhase("survivor from before the kill looks");
    CheckAll(*before_);
    SetPhase("survivor from before the kill works");
    Work(*before_, subject);
    Put(*before_, scene_.elsewhere);
    Recover(*before_);
    CheckAll(*before_);
    CheckAudit(*before_, 1, false);
    SetPhase("survivor attaches after the kill");
    after_ = AttachNewcomer();
    CheckAll(*after_);
    SetPhase("survivor from after the kill works");
    Work(*after_, scene_.same_stripe);
    Put(*after_, subject);
    FillAndEmpty(*after_, *before_);
  } else {
    if (orders_.plan == Plan::kLookFirst) {
      SetPhase("survivor from before the kill looks");
      CheckAll(*before_);
    }
    SetPhase("survivor attaches after the kill");
    after_ = AttachNewcomer();
    Recover(*after_);
    SetPhase("survivor from after the kill looks");
    CheckAll(*after_);
    CheckAudit(*after_, 2, false);
    SetPhase("survivor from before the kill works");
    Work(*before_, subject);
    CheckAll(*after_);
    SetPhase("survivor from after the kill works");
    Work(*after_, scene_.elsewhere);
    FillAndEmpty(*before_, *after_);
  }
  SetPhase("survivors detach");
  before_.reset();
  after_.reset();
  SetPhase("a newcomer audits the emptied store");
  before_ = Attach();
  CheckAll(*before_);
  CheckAudit(*before_, 1, true);
}

void Judge::Seen(uint32_t key, bool present, std::string_view value, Version version) {
  auto fits = [&](const Entry& entry) {
    return entry.present == present && (!present || IsValue(value, entry.id, entry.size)) &&
           (entry.version == kAbsent || entry.version == version);
  };
  Entry& entry = model_[key];
  if (undecided_[key]) {
    undecided_[key] = false;
    bool of_first = key == orders_.alternative[0].key;
    bool forgotten = !traits_.lossless && !present;
    bool unchanged = fits(entry);
    for (uint32_t n = 0; n < orders_.alternatives; ++n) {
      const AllowedEffect& alternative = orders_.alternative[n];
      if (alternative.key != key || !fits(alternative.entry)) continue;
      Check(!present || !traits_.has_versions || version > entry.version, Verdict::kViolation,
            Where(key), " was written with version ", version, ", not above ", entry.version);
      entry = alternative.entry;
      entry.version = present ? version : kAbsent;
      newest_[key] = std::max(newest_[key], version);
      if (n == 0 && of_first) report_->outcome = DecidedOutcome::kHappened;
      return;
    }
    if (unchanged || forgotten) {
      if (!present) entry = Entry{};
      if (of_first) report_->outcome = DecidedOutcome::kDidNotHappen;
      Check(!(orders_.must_happen && of_first) || forgotten, Verdict::kViolation, Where(key),
            " does not show the operation that completed");
      return;
    }
  }
  if (fits(entry)) {
    if (present) entry.version = version;
    newest_[key] = std::max(newest_[key], version);
    return;
  }
  if (!traits_.lossless && !present) {
    entry = Entry{};
    return;
  }
  uint32_t id = 0;
  std::string found = "is absent";
  if (present) {
    found =
        ReadValue(value, &id)
            ? absl::StrCat("holds value ", id, " of ", value.size(), " bytes, version ", version)
            : absl::StrCat("holds ", value.size(), " bytes that nobody wrote");
  }
  std::string expected = entry.present ? absl::StrCat("value ", entry.id, " of ", entry.size,
                                                      " bytes, version ", entry.version)
                                       : "absent";
  Fail(Verdict::kViolation, absl::StrCat(Piece(Where(key)), " ", found, "; legal: ", expected));
}

void Judge::CheckKey(Store& store, uint32_t key) {
  absl::StatusOr<Version> version = store.Get(scene_.keys[key], &read_);
  Check(version.ok() || absl::IsNotFound(version.status()), Verdict::kAuditFailed, "get ",
        Where(key), ": ", version.status());
  Seen(key, version.ok(), version.ok() ? std::string_view(read_) : std::string_view(),
       version.ok() ? *version : kAbsent);
}

void Judge::CheckAll(Store& store) {
  for (uint32_t key = 0; key < scene_.keys.size(); ++key) CheckKey(store, key);
  // ForEach must show the same: each key once, none besides.
  seen_.assign(scene_.keys.size(), 0);
  absl::Status status = store.ForEach([&](const EntryView& view) {
    auto found = scene_.numbers.find(view.key);
    Check(found != scene_.numbers.end(), Verdict::kViolation, "for_each shows a key of ",
          view.key.size(), " bytes that nobody put");
    uint32_t key = found->second;
    Check(!std::exchange(seen_[key], 1), Verdict::kViolation, "for_each shows ", Where(key),
          " twice");
    Seen(key, true, view.value, view.version);
    return true;
  });
  if (absl::IsUnimplemented(status)) return;
  Check(status.ok(), Verdict::kAuditFailed, std::string(status.message()));
  for (uint32_t key = 0; key < scene_.keys.size(); ++key) {
    Check(seen_[key] || !model_[key].present || !traits_.lossless, Verdict::kViolation,
          "for_each does not show ", Where(key));
  }
}

void Judge::Recover(Store& store) {
  std::string stage = report_->stage;
  SetPhase("recover");
  absl::StatusOr<RecoveryReport> recovery = store.Recover();
  if (recovery.ok()) report_->recovered_participants += recovery->participants;
  Check(recovery.ok() || absl::IsUnimplemented(recovery.status()), Verdict::kAuditFailed,
        recovery.status());
  SetPhase(stage.c_str());
}

// `attached`: how many participants of the judge itself are.
void Judge::CheckAudit(Store& store, uint32_t attached, bool emptied) {
  if (!traits_.has_audit) return;
  std::string stage = report_->stage;
  SetPhase(emptied ? "audit of the emptied store" : "audit after recovery");
  absl::StatusOr<AuditReport> audit = store.Audit();
  Check(audit.ok(), Verdict::kAuditFailed, audit.status());
  report_->leaked_blocks = static_cast<int64_t>(audit->leaked.blocks);
  report_->doubly_owned_blocks = static_cast<int64_t>(audit->doubly_owned);
  Check(audit->violations.empty(), Verdict::kAuditFailed,
        audit->violations.empty() ? "" : audit->violations.front());
  Check(audit->doubly_owned == 0, Verdict::kLeak, audit->doubly_owned, " blocks are owned twice");
  auto adds_up = [](uint64_t free, uint64_t live, uint64_t held, uint64_t capacity) {
    return free + live + held == capacity;
  };
  bool exact =
      adds_up(audit->free.blocks, audit->live.blocks, audit->held.blocks, audit->capacity.blocks) &&
      adds_up(audit->free.bytes, audit->live.bytes, audit->held.bytes, audit->capacity.bytes);
  Check(audit->leaked.blocks == 0 && audit->leaked.bytes == 0 && exact, Verdict::kLeak,
        audit->leaked.blocks, " blocks, ", audit->leaked.bytes,
        " bytes leaked; free + live + held = ",
        audit->free.bytes + audit->live.bytes + audit->held.bytes, " of ", audit->capacity.bytes,
        " bytes");
  Check(audit->participants == attached + orders_.live_holders, Verdict::kLeak, audit->participants,
        " participants are attached, there should be ", attached + orders_.live_holders);
  uint64_t entries = static_cast<uint64_t>(std::count_if(
      model_.begin(), model_.end(), [](const Entry& entry) { return entry.present; }));
  Check(audit->entries == entries || (!traits_.lossless && audit->entries < entries),
        Verdict::kAuditFailed, "the audit counts ", audit->entries, " entries, ", entries,
        " are visible");
  if (emptied) {
    report_->held_blocks_at_end = static_cast<int64_t>(audit->held.blocks);
    Check(
        orders_.held_blocks_at_end < 0 || report_->held_blocks_at_end == orders_.held_blocks_at_end,
        Verdict::kLeak, audit->held.blocks,
        " blocks are held in the emptied store; without a kill ", orders_.held_blocks_at_end);
  }
  SetPhase(stage.c_str());
}

bool Judge::Full(const absl::Status& status) const { return absl::IsResourceExhausted(status); }

void Judge::Wrote(uint32_t key, uint32_t id, uint32_t size, Version version) {
  Check(!traits_.has_versions || version > newest_[key], Verdict::kViolation, Where(key),
        " was written with version ", version, ", not above ", newest_[key]);
  newest_[key] = version;
  model_[key] = {true, id, size, version};
}

void Judge::Put(Store& store, uint32_t key) {
  const uint32_t id = ++next_id_;
  value_.resize(scene_.value_bytes);
  FillValue(value_, id);
  absl::StatusOr<Version> version = store.Put(scene_.keys[key], value_);
  if (version.ok()) {
    Wrote(key, id, scene_.value_bytes, *version);
  } else {
    Check(Full(version.status()), Verdict::kAuditFailed, "put ", Where(key), ": ",
          version.status());
  }
  CheckKey(store, key);
}

void Judge::CompareAndSwap(Store& store, uint32_t key) {
  if (!traits_.has_compare_and_swap) return;
  const Entry before = model_[key];
  const uint32_t id = ++next_id_;
  FillValue(value_, id);
  const Version wrong = newest_[key] + (uint64_t{1} << 40);
  absl::StatusOr<CasResult> miss = store.CompareAndSwap(scene_.keys[key], wrong, value_);
  Check(miss.ok() || Full(miss.status()), Verdict::kAuditFailed, miss.status());
  Check(!miss.ok() || (!miss->swapped && (miss->version == before.version || !traits_.lossless)),
        Verdict::kViolation, "compare_and_swap of ", Where(key), " with a wrong version");
  absl::StatusOr<CasResult> hit = store.CompareAndSwap(scene_.keys[key], before.version, value_);
  Check(hit.ok() || Full(hit.status()), Verdict::kAuditFailed, hit.status());
  if (hit.ok() && hit->swapped) {
    Wrote(key, id, static_cast<uint32_t>(value_.size()), hit->version);
  } else {
    Check(!hit.ok() || !traits_.lossless, Verdict::kViolation, "compare_and_swap of ", Where(key),
          " failed with the present version");
  }
  CheckKey(store, key);
}

void Judge::PinAndOverwrite(Store& store, uint32_t key) {
  if (!traits_.has_pin) return;
  absl::StatusOr<PinnedValue> pin = store.Pin(scene_.keys[key]);
  Check(pin.ok() || absl::IsNotFound(pin.status()) || Full(pin.status()), Verdict::kAuditFailed,
        pin.status());
  const Entry pinned = model_[key];
  if (pin.ok()) {
    Check(pinned.present && IsValue(pin->value(), pinned.id, pinned.size) &&
              pin->version() == pinned.version,
          Verdict::kViolation, "a pin of ", Where(key), " shows another value");
  }
  Put(store, key);
  if (pin.ok()) {
    Check(IsValue(pin->value(), pinned.id, pinned.size), Verdict::kViolation,
          "the pinned value of ", Where(key), " changed");
  }
}

void Judge::Drafts(Store& store, uint32_t key) {
  if (!traits_.has_draft) return;
  for (bool commit : {false, true}) {
    absl::StatusOr<Draft> draft = store.Reserve(scene_.keys[key], scene_.value_bytes);
    Check(draft.ok() || Full(draft.status()), Verdict::kAuditFailed, draft.status());
    if (!draft.ok()) continue;
    const uint32_t id = ++next_id_;
    FillValue(draft->bytes(), id);
    CheckKey(store, key);
    if (commit) {
      absl::StatusOr<Version> version = store.Commit(*std::move(draft));
      Check(version.ok() || Full(version.status()), Verdict::kAuditFailed, version.status());
      if (version.ok()) Wrote(key, id, scene_.value_bytes, *version);
    } else {
      draft->Drop();
    }
    CheckKey(store, key);
  }
}

void Judge::Erase(Store& store, uint32_t key) {
  absl::StatusOr<bool> erased = store.Erase(scene_.keys[key]);
  Check(erased.ok(), Verdict::kAuditFailed, "erase ", Where(key), ": ", erased.status());
  Check(*erased == model_[key].present || (!traits_.lossless && !*erased), Verdict::kViolation,
        "erase says that ", Where(key), *erased ? " was there" : " was not there");
  model_[key] = Entry{};
  CheckKey(store, key);
}

void Judge::Work(Store& store, uint32_t key) {
  Put(store, key);
  CompareAndSwap(store, key);
  PinAndOverwrite(store, key);
  Drafts(store, key);
  Erase(store, key);
  Put(store, key);
}

void Judge::FillAndEmpty(Store& filler, Store& emptier) {
  SetPhase("fill to exhaustion");
  const size_t bytes = std::min<size_t>(scene_.fill_bytes, filler.max_value_bytes());
  value_.resize(bytes);
  const uint32_t most = traits_.lossless && traits_.bounded ? kMostFills : kLossyFills;
  uint32_t count = 0;
  for (; count < most; ++count) {
    FillValue(value_, ++next_id_);
    absl::StatusOr<Version> version = filler.Put(FillKey(count), value_);
    if (!version.ok()) {
      Check(Full(version.status()), Verdict::kAuditFailed, version.status());
      break;
    }
  }
  report_->puts_to_exhaustion = count;
  value_.resize(scene_.value_bytes);
  SetPhase("look at what fills it");
  for (uint32_t n = 0; n < count; ++n) {
    absl::StatusOr<Version> version = emptier.Get(FillKey(n), &read_);
    uint32_t id = next_id_ - (count < most ? count : count - 1) + n;
    Check(version.ok() || (!traits_.lossless && absl::IsNotFound(version.status())),
          Verdict::kViolation, "a key put while filling is gone: ", version.status());
    Check(!version.ok() || IsValue(read_, id, static_cast<uint32_t>(bytes)), Verdict::kViolation,
          "a key put while filling holds another value");
  }
  SetPhase("empty it");
  for (uint32_t n = 0; n < count; ++n) {
    absl::StatusOr<bool> erased = emptier.Erase(FillKey(n));
    Check(erased.ok(), Verdict::kViolation, erased.status());
    Check(*erased || !traits_.lossless, Verdict::kViolation,
          "a key put while filling cannot be erased");
  }
  for (uint32_t key = 0; key < scene_.keys.size(); ++key) Erase(emptier, key);
}

void Judge::CreateJudgement() {
  SetPhase("open what a dying creator left");
  const SegmentLocation location{SegmentKind::kNamed, scene_.created_name};
  SegmentOptions options = scene_.options;
  options.location = location;
  absl::StatusOr<std::shared_ptr<Segment>> segment = scene_.variant->Open(location);
  report_->outcome = segment.ok() ? DecidedOutcome::kHappened : DecidedOutcome::kDidNotHappen;
  Check(segment.ok() || absl::IsNotFound(segment.status()), Verdict::kAuditFailed,
        segment.status());
  Check(segment.ok() || !orders_.must_happen, Verdict::kViolation, "what was created is not there");
  if (!segment.ok()) segment = scene_.variant->Create(options);
  Check(segment.ok(), Verdict::kAuditFailed, "cannot create it anew: ", segment.status());
  Scene created = scene_;
  created.segment = *std::move(segment);
  JudgeRequest orders;
  orders.plan = orders_.plan;
  orders.held_blocks_at_end = orders_.held_blocks_at_end;
  DecidedOutcome outcome = report_->outcome;
  Judge judge(created, orders, report_, read_back_);
  judge.AttachBefore();
  judge.Run();
  report_->outcome = outcome;
}

}  // namespace kill9::sweep

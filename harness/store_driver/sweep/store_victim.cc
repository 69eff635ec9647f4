#include "harness/store_driver/sweep/store_victim.h"

#include <chrono>
#include <optional>
#include <utility>

#include "variants/room.h"

namespace kill9::sweep {
namespace {

constexpr Expiry kFarOff = Expiry::AtNs(int64_t{1} << 62);

// For ever: no time of the clock, which is another one in every run, gets into the segment.
LeaseOptions Unhurried() {
  LeaseOptions options;
  options.lease_for = std::chrono::nanoseconds::max();
  return options;
}

// As histories know it; nothing where it has no effect on keys, and shows none.
std::optional<Function> FunctionOf(StoreOperation operation) {
  switch (operation) {
    case StoreOperation::kPutInsert:
    case StoreOperation::kPutSame:
    case StoreOperation::kPutLarger:
    case StoreOperation::kPutSmaller:
    case StoreOperation::kPutLongestKey:
    case StoreOperation::kPutTerms:
      return Function::kPut;
    case StoreOperation::kGet:
    case StoreOperation::kGetLongestKey:
    case StoreOperation::kGetAgain:
    case StoreOperation::kGetLarge:
    case StoreOperation::kGetAging:
    case StoreOperation::kGetExpired:
    case StoreOperation::kGetMany:
    case StoreOperation::kGetOrLease:
      return Function::kGet;
    case StoreOperation::kErase:
    case StoreOperation::kEraseLarge:
    case StoreOperation::kEraseLongestKey:
    case StoreOperation::kClear:  // all that is there is the key
      return Function::kErase;
    case StoreOperation::kCompareAndSwapHit:
    case StoreOperation::kCompareAndSwapMiss:
    case StoreOperation::kModify:
    case StoreOperation::kPutLeased:
      return Function::kCompareAndSwap;
    case StoreOperation::kPin:
      return Function::kPin;
    case StoreOperation::kCommit:
    case StoreOperation::kCommitLarge:
      return Function::kCommit;
    case StoreOperation::kForEach:
      return Function::kForEach;
    default:
      return std::nullopt;
  }
}

bool TakesValue(Function function) {
  return function == Function::kPut || function == Function::kCommit ||
         function == Function::kCompareAndSwap;
}

}  // namespace

StoreVictim::StoreVictim(const StoreScene& scene, StoreOperation operation, uint32_t number,
                         bool tells_all, OperationLog log)
    : scene_(scene),
      operation_(operation),
      process_(kVictims + number),
      tells_all_(tells_all),
      log_(log),
      key_number_(number == kNewOwner ? scene.At(Nearness::kElsewhere) : scene.Subject(operation)),
      key_(scene.key(key_number_)),
      id_(MakeValueId(process_, 1)),
      value_(BytesWritten(scene.sizes(), operation), '\0') {
  FillValue(id_, key_number_, value_);
  // Room for what is read: growing it would be the string's instructions, not the store's.
  read_.reserve(size_t{16} << 10);
  if (tells_all_) visits_.reserve(2 * scene.key_count());
}

absl::Status StoreVictim::Take(const absl::StatusOr<Version>& version) {
  if (version.ok()) answered_ = *version;
  return version.status();
}

void StoreVictim::TakeSwap(const absl::StatusOr<CasResult>& result) {
  status_ = result.status();
  if (!result.ok()) return;
  answered_ = result->version;
  yes_ = result->swapped;
}

absl::Status StoreVictim::Prepare() {
  absl::StatusOr<std::unique_ptr<Store>> store = scene_.design().Attach(scene_.segment());
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  absl::Status status = GetReady();
  const std::optional<Function> function = FunctionOf(operation_);
  if (!status.ok() || !function.has_value()) return status;
  announced_ = &log_.Begin(process_, *function, key_number_, TakesValue(*function) ? id_ : kNothing,
                           expected_);
  return status;
}

absl::Status StoreVictim::GetReady() {
  switch (operation_) {
    case StoreOperation::kCompareAndSwapHit:
    case StoreOperation::kCompareAndSwapMiss:
    case StoreOperation::kModify: {
      absl::StatusOr<Version> version = store_->Get(key_, nullptr);
      if (version.ok()) expected_ = *version;
      // A version that no entry of the scene has: another's, or any at all for an absent key.
      if (operation_ == StoreOperation::kCompareAndSwapMiss) expected_ += uint64_t{1} << 40;
      return absl::OkStatus();
    }
    case StoreOperation::kGetAgain: {
      absl::Status status = store_->Get(key_, &read_).status();
      return absl::IsNotFound(status) ? absl::OkStatus() : status;
    }
    case StoreOperation::kGetAging:
      if (auto* moves = dynamic_cast<MovesHot*>(store_.get())) moves->SetPromotionChance(1);
      return absl::OkStatus();
    case StoreOperation::kRelease: {
      absl::StatusOr<PinnedValue> pin = store_->Pin(key_);
      if (pin.ok()) pin_ = *std::move(pin);
      return absl::IsNotFound(pin.status()) ? absl::OkStatus() : pin.status();
    }
    case StoreOperation::kPutLeased:
    case StoreOperation::kDropLease: {
      absl::StatusOr<LeaseAnswer> answer = store_->GetOrLease(key_, &read_, Unhurried());
      if (answer.ok()) lease_ = std::move(answer->lease);
      return answer.status();
    }
    case StoreOperation::kCommit:
    case StoreOperation::kCommitLarge:
    case StoreOperation::kDrop: {
      absl::StatusOr<Draft> draft = store_->Reserve(key_, value_.size());
      if (draft.ok()) {
        draft_ = *std::move(draft);
        value_.copy(draft_.bytes().data(), value_.size());
      }
      // In a full segment there is nothing to commit: the operation is then a misuse, refused.
      return absl::IsResourceExhausted(draft.status()) ? absl::OkStatus() : draft.status();
    }
    default:
      return absl::OkStatus();
  }
}

void StoreVictim::Run() {
  switch (operation_) {
    case StoreOperation::kPutInsert:
    case StoreOperation::kPutSame:
    case StoreOperation::kPutLarger:
    case StoreOperation::kPutSmaller:
    case StoreOperation::kPutLongestKey:
      status_ = Take(store_->Put(key_, value_));
      return;
    case StoreOperation::kGet:
    case StoreOperation::kGetAgain:
    case StoreOperation::kGetLarge:
    case StoreOperation::kGetLongestKey:
    case StoreOperation::kGetAging:
    case StoreOperation::kGetExpired:
      status_ = Take(store_->Get(key_, &read_));
      return;
    case StoreOperation::kErase:
    case StoreOperation::kEraseLarge:
    case StoreOperation::kEraseLongestKey: {
      absl::StatusOr<bool> erased = store_->Erase(key_);
      yes_ = erased.ok() && *erased;
      status_ = erased.status();
      return;
    }
    case StoreOperation::kCompareAndSwapHit:
    case StoreOperation::kCompareAndSwapMiss:
      TakeSwap(store_->CompareAndSwap(key_, expected_, value_));
      return;
    case StoreOperation::kPin: {
      absl::StatusOr<PinnedValue> pin = store_->Pin(key_);
      if (pin.ok()) pin_ = *std::move(pin);
      status_ = pin.status();
      return;
    }
    case StoreOperation::kRelease:
      pin_.Release();
      return;
    case StoreOperation::kReserve:
    case StoreOperation::kReserveLarge: {
      absl::StatusOr<Draft> draft = store_->Reserve(key_, value_.size());
      if (draft.ok()) draft_ = *std::move(draft);
      return;
    }
    case StoreOperation::kCommit:
    case StoreOperation::kCommitLarge:
      status_ = Take(store_->Commit(std::move(draft_)));
      return;
    case StoreOperation::kDrop:
      draft_.Drop();
      return;
    case StoreOperation::kForEach:
      status_ = store_->ForEach([this](const EntryView& view) {
        if (tells_all_) NoteVisit(view);
        return true;
      });
      return;
    default:
      RunWithTerms();
  }
}

void StoreVictim::RunWithTerms() {
  switch (operation_) {
    case StoreOperation::kPutTerms:
      status_ = Take(store_->Put(key_, value_, {kFarOff, id_}));
      return;
    case StoreOperation::kGetMany: {
      const std::string_view keys[] = {key_, scene_.key(scene_.At(Nearness::kElsewhere))};
      status_ = absl::Status(absl::StatusCode::kNotFound, "");
      absl::Status status = store_->GetMany(keys, [this](size_t index, const EntryView* entry) {
        if (index != 0 || entry == nullptr) return;
        read_.assign(entry->value);
        answered_ = entry->version;
        status_ = absl::OkStatus();
      });
      if (!status.ok()) status_ = status;
      return;
    }
    case StoreOperation::kGetOrLease: {
      absl::StatusOr<LeaseAnswer> answer = store_->GetOrLease(key_, &read_, Unhurried());
      status_ = answer.ok() && !answer->has_value ? absl::Status(absl::StatusCode::kNotFound, "")
                                                  : answer.status();
      if (answer.ok()) answered_ = answer->version;
      return;
    }
    case StoreOperation::kPutLeased:
      TakeSwap(store_->PutLeased(lease_, value_));
      return;
    case StoreOperation::kDropLease:
      status_ = store_->DropLease(lease_).status();
      return;
    case StoreOperation::kModify: {
      absl::StatusOr<Modified> modified = store_->Modify(key_, [this](const EntryView* present) {
        return present != nullptr && present->version == expected_ ? Change::Set(value_)
                                                                   : Change::Keep();
      });
      status_ = modified.status();
      if (!modified.ok()) return;
      answered_ = modified->version;
      yes_ = modified->changed;
      return;
    }
    case StoreOperation::kClear:
      status_ = store_->Clear();
      return;
    default:
      return;  // the sweep's own
  }
}

// No tick of the history's time here: that is another one in every run, and this is traced.
void StoreVictim::NoteVisit(const EntryView& view) {
  if (IsInterferenceKey(view.key) || visits_.size() == visits_.capacity()) return;
  const std::optional<uint32_t> known = scene_.NumberOf(view.key);
  const uint64_t key = known.has_value() ? *known : kStrangeKey;
  visits_.push_back({key, ReadId(key, view.value), view.version});
}

// Each key was seen at some moment of the whole visit, and those that were not shown were absent at
// one. A key that is shown once more shows a value that nobody wrote.
void StoreVictim::RecordVisits() {
  std::vector<bool> shown(scene_.key_count(), false);
  const auto record = [this](uint64_t key, uint64_t value, Version version) {
    Operation& visit = log_.Begin(process_, Function::kGet, key);
    log_.End(visit, Outcome::kOk, value, version);
    visit.invoke = announced_->invoke;
    visit.finish = announced_->finish;
  };
  for (const Visit& visit : visits_) {
    const bool again = visit.key < shown.size() && shown[visit.key];
    record(visit.key, again ? kUnreadValue : visit.value, visit.version);
    if (visit.key < shown.size()) shown[visit.key] = true;
  }
  for (uint32_t key = 0; status_.ok() && key < shown.size(); ++key) {
    if (!shown[key]) record(key, kNothing, kAbsent);
  }
}

void StoreVictim::Record() {
  if (announced_ == nullptr) return;
  const Function function = announced_->function;
  const bool reads = function == Function::kGet || function == Function::kPin;
  uint64_t result = kNothing;
  Outcome outcome = status_.ok() ? Outcome::kOk : Outcome::kRefused;
  if (reads && status_.ok()) {
    // A pin: what it shows now.
    result = ReadId(key_number_, function == Function::kPin ? pin_.value() : read_);
    if (function == Function::kPin) answered_ = pin_.version();
  } else if (reads && absl::IsNotFound(status_)) {
    outcome = Outcome::kOk;
  } else if (function == Function::kErase) {
    result = operation_ == StoreOperation::kClear ? kErasedUntold : yes_;
  } else if (function == Function::kCompareAndSwap && status_.ok() && !yes_) {
    // A lease that was over by then: another has had the key since, or the store forgot it.
    const bool is_over = operation_ == StoreOperation::kPutLeased && answered_ == kAbsent;
    outcome = is_over ? Outcome::kRefused : Outcome::kFail;
  }
  log_.End(*announced_, outcome, result, answered_);
  if (function == Function::kForEach && tells_all_) RecordVisits();
}

}  // namespace kill9::sweep

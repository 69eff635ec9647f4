// What a victim runs between the markers.
#include "absl/strings/str_cat.h"
#include "harness/sweep/interferer.h"
#include "harness/sweep/scene.h"

namespace kill9::sweep {

VictimOperation::VictimOperation(const Scene& scene, OperationKind operation, uint32_t id,
                                 VictimReport* report)
    : scene_(scene), operation_(operation), id_(id), report_(report) {
  Entry effect =
      EffectOf(scene, operation, id).value_or(Entry{true, id, scene.value_bytes, kAbsent});
  value_.resize(effect.size);
  FillValue(value_, id);
  // Room for what is read: growing it would be the string's instructions, not the store's.
  read_.reserve(size_t{16} << 10);
}

absl::Status VictimOperation::Prepare() {
  if (operation_ == OperationKind::kAttach || operation_ == OperationKind::kCreate) {
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant->Attach(scene_.segment);
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  const std::string& key = scene_.keys[scene_.Subject(operation_)];
  switch (operation_) {
    case OperationKind::kCompareAndSwapHit:
    case OperationKind::kCompareAndSwapMiss: {
      absl::StatusOr<Version> version = store_->Get(key, nullptr);
      if (version.ok()) version_ = *version;
      // A version that no entry of the scene has: another's, or any at all for an absent key.
      if (operation_ == OperationKind::kCompareAndSwapMiss) version_ += uint64_t{1} << 40;
      return absl::OkStatus();
    }
    case OperationKind::kGetAgain: {
      absl::Status status = store_->Get(key, &read_).status();
      return absl::IsNotFound(status) ? absl::OkStatus() : status;
    }
    case OperationKind::kRelease: {
      absl::StatusOr<PinnedValue> pin = store_->Pin(key);
      if (pin.ok()) pin_ = *std::move(pin);
      return absl::IsNotFound(pin.status()) ? absl::OkStatus() : pin.status();
    }
    case OperationKind::kCommit:
    case OperationKind::kDrop: {
      absl::StatusOr<Draft> draft = store_->Reserve(key, value_.size());
      if (draft.ok()) {
        draft_ = *std::move(draft);
        FillValue(draft_.bytes(), 0);
        value_.copy(draft_.bytes().data(), value_.size());
      }
      // In a full segment there is nothing to commit: the operation is then a misuse, refused.
      return absl::IsResourceExhausted(draft.status()) ? absl::OkStatus() : draft.status();
    }
    default:
      return absl::OkStatus();
  }
}

absl::Status VictimOperation::Run() {
  const std::string& key = scene_.keys[scene_.Subject(operation_)];
  auto note = [this](const absl::StatusOr<Version>& version) {
    if (version.ok()) answered_ = *version;
    return version.status();
  };
  switch (operation_) {
    case OperationKind::kPutInsert:
    case OperationKind::kPutSame:
    case OperationKind::kPutLarger:
    case OperationKind::kPutSmaller:
      return note(store_->Put(key, value_));
    case OperationKind::kGet:
    case OperationKind::kGetAgain:
      return note(store_->Get(key, &read_));
    case OperationKind::kErase: {
      absl::StatusOr<bool> erased = store_->Erase(key);
      yes_ = erased.ok() && *erased;
      return erased.status();
    }
    case OperationKind::kCompareAndSwapHit:
    case OperationKind::kCompareAndSwapMiss: {
      absl::StatusOr<CasResult> result = store_->CompareAndSwap(key, version_, value_);
      if (!result.ok()) return result.status();
      answered_ = result->version;
      yes_ = result->swapped;
      return result->swapped ? absl::OkStatus() : absl::AbortedError("");
    }
    case OperationKind::kPin: {
      absl::StatusOr<PinnedValue> pin = store_->Pin(key);
      if (pin.ok()) pin_ = *std::move(pin);
      return pin.status();
    }
    case OperationKind::kRelease:
      pin_.Release();
      return absl::OkStatus();
    case OperationKind::kReserve: {
      absl::StatusOr<Draft> draft = store_->Reserve(key, value_.size());
      if (draft.ok()) draft_ = *std::move(draft);
      return draft.status();
    }
    case OperationKind::kCommit:
      return note(store_->Commit(std::move(draft_)));
    case OperationKind::kDrop:
      draft_.Drop();
      return absl::OkStatus();
    case OperationKind::kForEach:
      return store_->ForEach([this](const EntryView& view) {
        if (report_ != nullptr) NoteVisit(view);
        return true;
      });
    case OperationKind::kAttach: {
      absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant->Attach(scene_.segment);
      if (store.ok()) store_ = *std::move(store);
      return store.status();
    }
    case OperationKind::kDetach:
      store_.reset();
      return absl::OkStatus();
    case OperationKind::kRecover:
      return store_->Recover().status();
    case OperationKind::kCreate: {
      SegmentOptions options = scene_.options;
      options.location = {SegmentKind::kNamed, scene_.created_name};
      return scene_.variant->Create(options).status();
    }
  }
  return absl::InternalError("no such operation");
}

void VictimOperation::NoteVisit(const EntryView& view) {
  auto found = scene_.numbers.find(view.key);
  if (found == scene_.numbers.end() || report_->visits == VictimReport::kMostVisits) {
    report_->strange = report_->strange || !Interferer::IsOwn(view.key);
    return;
  }
  Visit& visit = report_->visit[report_->visits++];
  visit.key = found->second;
  visit.answered = {Answered::Kind::kGet, true, false, 0, view.version, kAbsent};
  visit.answered.sound = ReadValue(view.value, &visit.answered.id);
}

void VictimOperation::Report(const absl::Status& status) {
  Answered& answered = report_->answered;
  answered.version = answered_;
  answered.expected = version_;
  answered.id = id_;
  answered.yes = status.ok();
  switch (operation_) {
    case OperationKind::kPutInsert:
    case OperationKind::kPutSame:
    case OperationKind::kPutLarger:
    case OperationKind::kPutSmaller:
    case OperationKind::kCommit:
      answered.kind = Answered::Kind::kPut;
      return;
    case OperationKind::kGet:
    case OperationKind::kGetAgain:
      answered.kind = Answered::Kind::kGet;
      if (answered.yes) answered.sound = ReadValue(read_, &answered.id);
      return;
    case OperationKind::kPin:
      answered.kind = Answered::Kind::kGet;
      answered.version = pin_.version();
      if (answered.yes) answered.sound = ReadValue(pin_.value(), &answered.id);
      return;
    case OperationKind::kErase:
      answered.kind = Answered::Kind::kErase;
      answered.yes = yes_;
      return;
    case OperationKind::kCompareAndSwapHit:
    case OperationKind::kCompareAndSwapMiss:
      // Refused for want of room: it did nothing, and tells no version.
      if (!status.ok() && !absl::IsAborted(status)) return;
      answered.kind = Answered::Kind::kCompareAndSwap;
      answered.yes = yes_;
      return;
    default:
      return;
  }
}

}  // namespace kill9::sweep

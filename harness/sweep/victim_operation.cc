// What a victim runs between the markers.
#include "absl/strings/str_cat.h"
#include "harness/sweep/scene.h"

namespace kill9::sweep {

VictimOperation::VictimOperation(const Scene& scene, OperationKind operation, uint32_t id)
    : scene_(scene), operation_(operation) {
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
  switch (operation_) {
    case OperationKind::kPutInsert:
    case OperationKind::kPutSame:
    case OperationKind::kPutLarger:
    case OperationKind::kPutSmaller:
      return store_->Put(key, value_).status();
    case OperationKind::kGet:
      return store_->Get(key, &read_).status();
    case OperationKind::kErase:
      return store_->Erase(key).status();
    case OperationKind::kCompareAndSwapHit:
    case OperationKind::kCompareAndSwapMiss: {
      absl::StatusOr<CasResult> result = store_->CompareAndSwap(key, version_, value_);
      if (!result.ok()) return result.status();
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
      return store_->Commit(std::move(draft_)).status();
    case OperationKind::kDrop:
      draft_.Drop();
      return absl::OkStatus();
    case OperationKind::kForEach:
      return store_->ForEach([](const EntryView&) { return true; });
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
      options.location = {SegmentKind::kNamed, kCreatedName};
      return scene_.variant->Create(options).status();
    }
  }
  return absl::InternalError("no such operation");
}

}  // namespace kill9::sweep

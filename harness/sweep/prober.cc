#include "harness/sweep/prober.h"

namespace kill9::sweep {

const char* PlaceName(uint32_t place) {
  constexpr const char* kNames[kPlaceCount] = {"same_key", "same_stripe", "elsewhere"};
  return kNames[place];
}

namespace {

bool TakesRoom(OperationKind operation) {
  return operation == OperationKind::kPutInsert || operation == OperationKind::kPutLarger ||
         operation == OperationKind::kPutSmaller || operation == OperationKind::kReserve;
}

}  // namespace

bool TakesNoKey(OperationKind operation) {
  return operation == OperationKind::kForEach || operation == OperationKind::kRecover ||
         operation == OperationKind::kAttach || operation == OperationKind::kDetach;
}

bool DeclaredUnblocked(const Scene& scene, OperationKind victims, Probe probe, uint32_t place) {
  constexpr uint32_t kElsewhere = 2;
  const Traits& traits = scene.variant->traits();
  Progress progress = Progress::kBlocking;
  switch (probe) {
    case kProbeGet:
      progress = traits.read;
      break;
    case kProbePut:
    case kProbeErase:
    case kProbeCas:
    case kProbeDraft:
      progress = traits.write;
      break;
    case kProbePin:
      progress = traits.pin;
      break;
    default:
      return false;  // the traits do not speak of it
  }
  if (progress != Progress::kBlocking || traits.blocks == Traits::Reach::kNowhere) return true;
  const bool borrowing = traits.borrows_room && scene.full && TakesRoom(victims);
  const bool wanders = borrowing || TakesNoKey(victims);
  return traits.blocks == Traits::Reach::kStripe && place == kElsewhere && !wanders;
}

bool IsTried(const Traits& traits, Probe probe) {
  switch (probe) {
    case kProbeCas:
      return traits.has_compare_and_swap;
    case kProbePin:
      return traits.has_pin;
    case kProbeDraft:
      return traits.has_draft;
    case kProbeRecover:
      return traits.has_recovery;
    case kProbeAttach:
      return !traits.needs_name;
    default:
      return true;
  }
}

Prober::Prober(const Scene& scene, OperationKind victims)
    : scene_(scene),
      keys_{scene.keys[scene.Subject(victims)], scene.keys[scene.same_stripe],
            scene.keys[scene.elsewhere]},
      value_(scene.value_bytes, '\0') {
  FillValue(value_, kJudgeId);
  read_.reserve(size_t{16} << 10);
}

bool Prober::Attach() {
  absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant->Attach(scene_.segment);
  if (store.ok()) store_ = *std::move(store);
  return store.ok();
}

// Results are not looked at here: blocked or not is the question, and the judge comes afterwards.
void Prober::Run(uint32_t probe) {
  const std::string& key = keys_[PlaceOf(probe)];
  const bool once = PlaceOf(probe) == 0;  // probes that take no key
  if (!IsTried(scene_.variant->traits(), ProbeOf(probe))) return;
  switch (ProbeOf(probe)) {
    case kProbeGet:
      store_->Get(key, &read_).IgnoreError();
      break;
    case kProbePut:
      store_->Put(key, value_).IgnoreError();
      break;
    case kProbeErase:
      store_->Erase(key).IgnoreError();
      break;
    case kProbeCas:
      store_->CompareAndSwap(key, kAbsent, value_).IgnoreError();
      break;
    case kProbePin:
      store_->Pin(key).IgnoreError();
      break;
    case kProbeDraft: {
      absl::StatusOr<Draft> draft = store_->Reserve(key, value_.size());
      if (draft.ok()) {
        value_.copy(draft->bytes().data(), value_.size());
        store_->Commit(*std::move(draft)).IgnoreError();
      }
      break;
    }
    case kProbeForEach:
      if (once) store_->ForEach([](const EntryView&) { return true; }).IgnoreError();
      break;
    case kProbeRecover:
      if (once) store_->Recover().IgnoreError();
      break;
    case kProbeAttach:
      if (once) scene_.variant->Attach(scene_.segment).IgnoreError();
      break;
  }
}

void Prober::ReadBack(Entry* entries) { ReadKeys(scene_, *store_, entries); }

}  // namespace kill9::sweep

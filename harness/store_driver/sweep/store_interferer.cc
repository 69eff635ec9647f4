// What others do while a victim stands still in the middle of its operation: an interferer, which
// uses what the victim uses; a prober, which sees who is blocked.
#include <algorithm>
#include <utility>

#include "harness/store_driver/sweep/store_survivor.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kChurnKeys = 6;
constexpr uint32_t kChurns = 120;  // more than a heap may keep aside before it uses space again
constexpr uint32_t kMostFills = 400;
constexpr uint32_t kLossyFills = 48;  // once through the smallest segment, and more

}  // namespace

void StoreSurvivor::Churn() { ChurnBeside(std::nullopt); }

// Its keys are no scene's: what it does is in no history. Every second one is left, in turn: what
// the victim has seen may be another's by now, and must stay that one's.
void StoreSurvivor::ChurnBeside(std::optional<uint64_t> kept) {
  const bool keeps = kept.has_value() && !scene_.traits().lossless;
  auto* const moves = dynamic_cast<MovesHot*>(store_.get());
  if (keeps && moves != nullptr) moves->SetPromotionChance(1);
  const auto keep = [&] {
    if (keeps) store_->Get(scene_.key(*kept), &read_).IgnoreError();
  };
  EndInterference();
  value_.resize(scene_.sizes().value);
  for (uint32_t n = 0; n < kChurns; ++n) {
    FillValue(NextId(), kStrangeKey, value_);
    store_->Put(InterferenceKey(n % kChurnKeys), value_).IgnoreError();
    keep();
  }
  value_.resize(std::min<size_t>(kFillBytes, store_->max_value_bytes()));
  const uint32_t most = scene_.traits().lossless ? kMostFills : kLossyFills;
  uint32_t count = kChurnKeys;
  for (; count < most; ++count) {
    FillValue(NextId(), kStrangeKey, value_);
    if (!store_->Put(InterferenceKey(count), value_).ok()) break;
    keep();
  }
  ++churns_;
  for (uint32_t n = 0; n < count; ++n) {
    if ((n + churns_) % 2 != 0) {
      store_->Erase(InterferenceKey(n)).IgnoreError();
    } else if (store_->Get(InterferenceKey(n), nullptr).ok()) {
      left_.push_back(n);
    }
  }
}

void StoreSurvivor::EndInterference() {
  for (const uint32_t n : std::exchange(left_, {})) {
    const absl::StatusOr<Version> version = store_->Get(InterferenceKey(n), &read_);
    const bool may_go = !scene_.traits().lossless || scene_.options().keeps_terms;
    findings_.Check(version.ok() || (may_go && absl::IsNotFound(version.status())),
                    Verdict::kViolation,
                    "another key, which nobody has touched: ", version.status());
    findings_.Check(!version.ok() || CheckValue(kStrangeKey, read_).defect == ValueDefect::kNone,
                    Verdict::kViolation, "another key, which nobody has touched, is torn");
    store_->Erase(InterferenceKey(n)).IgnoreError();
  }
}

void StoreSurvivor::Interfere(uint32_t way) {
  const uint64_t key = scene_.At(Nearness::kSame);
  switch (way) {
    case 0:  // the key is there all the time
      Get(key);
      Put(key, scene_.sizes().value);
      Put(key, scene_.sizes().value);
      Get(key);
      Put(key, scene_.sizes().smaller);  // leaves the old room to others
      Churn();
      Get(key);
      return;
    case 1:  // it goes, comes back, and goes
      Erase(key);
      Get(key);
      Churn();
      Put(key, scene_.sizes().value);
      Get(key);
      Erase(key);
      Churn();
      return;
    case 2:  // it is only looked at; all else changes
      Get(key);
      ChurnBeside(key);
      Get(key);
      return;
    default:  // it alone changes: what it was is there still, in a place that nobody uses again
      Put(key, scene_.sizes().value);
      Get(key);
      return;
  }
}

void StoreSurvivor::Probe(uint32_t probe, Nearness where) {
  const uint64_t key = scene_.At(where);
  switch (probe) {
    case kProbeGet:
      Get(key);
      return;
    case kProbePut:
      Put(key, scene_.sizes().value);
      return;
    case kProbeErase:
      Erase(key);
      return;
    case kProbeCas:
      CompareAndSwap(key, kAbsent);
      return;
    case kProbePin:
      Pin(key).IgnoreError();
      return;
    case kProbeDraft:
      PutDraft(key, /*commit=*/true);
      return;
    case kProbeForEach:
      store_->ForEach([](const EntryView&) { return true; }).IgnoreError();
      return;
    case kProbeRecover:
      store_->Recover().IgnoreError();
      return;
    case kProbeAttach:
      scene_.design().Attach(scene_.segment()).IgnoreError();
      return;
    default:
      return;
  }
}

}  // namespace kill9::sweep

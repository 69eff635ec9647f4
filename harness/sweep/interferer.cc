#include "harness/sweep/interferer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kill9::sweep {
namespace {

constexpr char kPrefix[] = "interference-";
constexpr uint32_t kSmallBytes = 40;  // of the last overwrite: it leaves the old size to others
constexpr uint32_t kChurnKeys = 6;
constexpr uint32_t kChurns = 120;  // more than a heap may keep aside before it uses space again
constexpr uint32_t kMostFills = 400;
constexpr uint32_t kLossyFills = 48;  // a whole interference of the smallest segment, and more

// A key as the operations answered so far have left it.
struct Register {
  bool present;
  uint32_t id;
  Version version, newest;

  bool Newer(Version fresh) {
    if (fresh <= newest) return false;
    newest = fresh;
    return true;
  }
  void Set(uint32_t fresh_id, Version fresh) {
    present = true;
    id = fresh_id;
    version = fresh;
  }
  // A lossy store may have forgotten it by itself.
  bool Absent(const Traits& traits) {
    if (present && traits.lossless) return false;
    present = false;
    return true;
  }
  bool Apply(const Traits& traits, const Answered& answered) {
    switch (answered.kind) {
      case Answered::Kind::kNone:
        return true;
      case Answered::Kind::kPut:
        if (!answered.yes) return true;
        if (!Newer(answered.version)) return false;
        Set(answered.id, answered.version);
        return true;
      case Answered::Kind::kGet:
        if (!answered.yes) return Absent(traits);
        return answered.sound && present && id == answered.id && version == answered.version;
      case Answered::Kind::kErase:
        if (!answered.yes) return Absent(traits);
        return std::exchange(present, false);
      case Answered::Kind::kCompareAndSwap:
        break;
    }
    if (!answered.yes) {
      if (answered.version == kAbsent) return answered.expected != kAbsent && Absent(traits);
      return present && version == answered.version && version != answered.expected;
    }
    if (answered.expected == kAbsent ? !Absent(traits) : !present || version != answered.expected) {
      return false;
    }
    if (!Newer(answered.version)) return false;
    Set(answered.id, answered.version);
    return true;
  }
};

}  // namespace

bool Fits(const Traits& traits, const Entry& first, const LapReport& interferences,
          const Answered& victims, const Entry& last) {
  for (uint32_t place = 0; place <= interferences.count; ++place) {
    Register key{first.present, first.id, first.version, first.version};
    bool fits = true;
    for (uint32_t n = 0; fits && n <= interferences.count; ++n) {
      if (n == place) fits = key.Apply(traits, victims);
      if (fits && n < interferences.count) fits = key.Apply(traits, interferences.answered[n]);
    }
    if (!fits) continue;
    const bool as_left = last.present
                             ? key.present && key.id == last.id && key.version == last.version
                             : key.Absent(traits);
    if (as_left) return true;
  }
  return false;
}

Interferer::Interferer(const Scene& scene, OperationKind victims, LapReport* report)
    : scene_(scene), key_(scene.keys[scene.Subject(victims)]), report_(report) {
  read_.reserve(size_t{16} << 10);
}

bool Interferer::IsOwn(std::string_view key) { return key.starts_with(kPrefix); }

bool Interferer::Attach() {
  absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant->Attach(scene_.segment);
  if (store.ok()) store_ = *std::move(store);
  return store.ok();
}

Answered& Interferer::Next(Answered::Kind kind) {
  Answered& next = report_->answered[report_->count++];
  next = Answered{};
  next.kind = kind;
  return next;
}

void Interferer::Put(uint32_t bytes) {
  Answered& answered = Next(Answered::Kind::kPut);
  answered.id = ++next_id_;
  value_.resize(bytes);
  FillValue(value_, answered.id);
  absl::StatusOr<Version> version = store_->Put(key_, value_);
  answered.yes = version.ok();
  if (version.ok()) answered.version = *version;
}

void Interferer::Get() {
  Answered& answered = Next(Answered::Kind::kGet);
  absl::StatusOr<Version> version = store_->Get(key_, &read_);
  answered.yes = version.ok();
  if (!version.ok()) return;
  answered.version = *version;
  answered.sound = ReadValue(read_, &answered.id);
}

void Interferer::Erase() {
  Answered& answered = Next(Answered::Kind::kErase);
  absl::StatusOr<bool> erased = store_->Erase(key_);
  answered.yes = erased.ok() && *erased;
}

void Interferer::Churn() {
  auto name = [](uint32_t number) { return absl::StrCat(kPrefix, number); };
  value_.resize(scene_.value_bytes);
  for (uint32_t n = 0; n < kChurns; ++n) {
    FillValue(value_, ++next_id_);
    store_->Put(name(n % kChurnKeys), value_).IgnoreError();
  }
  value_.resize(std::min<size_t>(scene_.fill_bytes, store_->max_value_bytes()));
  const uint32_t most = scene_.variant->traits().lossless ? kMostFills : kLossyFills;
  uint32_t count = kChurnKeys;
  for (; count < most; ++count) {
    FillValue(value_, ++next_id_);
    if (!store_->Put(name(count), value_).ok()) break;
  }
  for (uint32_t n = 0; n < count; ++n) store_->Erase(name(n)).IgnoreError();
}

void Interferer::Run(Interference interference) {
  switch (interference) {
    case Interference::kOverwrite:
      Get();
      Put(scene_.value_bytes);
      Put(scene_.value_bytes);
      Get();
      Put(kSmallBytes);
      Churn();
      Get();
      return;
    case Interference::kErase:
      Erase();
      Get();
      Churn();
      Put(scene_.value_bytes);
      Get();
      Erase();
      Churn();
      return;
    case Interference::kAround:
      Get();
      Churn();
      Get();
      return;
  }
}

}  // namespace kill9::sweep

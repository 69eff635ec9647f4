#include "harness/store_driver/sweep/store_survivor.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace kill9::sweep {
namespace {

constexpr uint32_t kMostSurvivorFills = 400;
constexpr uint32_t kLossySurvivorFills = 40;

}  // namespace

StoreSurvivor::StoreSurvivor(const StoreScene& scene, CellProcess process,
                             std::unique_ptr<Store> store, Findings& findings, OperationLog log)
    : scene_(scene),
      process_(process),
      findings_(findings),
      log_(log),
      visited_(scene.key_count()),
      store_(std::move(store)) {
  read_.reserve(size_t{16} << 10);
}

// Absent where `also_absent`, and no room: all else that a call may say is no answer.
void StoreSurvivor::Allow(const char* what, const absl::Status& status, bool also_absent) {
  findings_.Check(
      status.ok() || absl::IsResourceExhausted(status) || (also_absent && absl::IsNotFound(status)),
      Verdict::kAuditFailed, what, ": ", status);
}

StoreSurvivor::Shown StoreSurvivor::Get(uint64_t key) { return Get(key, scene_.key(key)); }

StoreSurvivor::Shown StoreSurvivor::Get(uint64_t key, const std::string& name) {
  Operation& get = log_.Begin(process_, Function::kGet, key);
  absl::StatusOr<Version> version = store_->Get(name, &read_);
  if (version.ok()) {
    log_.End(get, Outcome::kOk, ReadId(key, read_), *version);
    return {true, *version};
  }
  findings_.Check(absl::IsNotFound(version.status()), Verdict::kAuditFailed,
                  "get: ", version.status());
  log_.End(get, Outcome::kOk);
  return {};
}

bool StoreSurvivor::Put(uint64_t key, uint32_t bytes) { return Put(key, scene_.key(key), bytes); }

bool StoreSurvivor::Put(uint64_t key, const std::string& name, uint32_t bytes) {
  value_.resize(bytes);
  const ValueId id = NextId();
  FillValue(id, key, value_);
  Operation& put = log_.Begin(process_, Function::kPut, key, id);
  absl::StatusOr<Version> version = store_->Put(name, value_);
  if (version.ok()) {
    log_.End(put, Outcome::kOk, kNothing, *version);
  } else {
    Allow("put", version.status());
    log_.End(put, Outcome::kRefused);
  }
  return version.ok();
}

bool StoreSurvivor::Erase(uint64_t key) { return Erase(key, scene_.key(key)); }

bool StoreSurvivor::Erase(uint64_t key, const std::string& name) {
  Operation& erase = log_.Begin(process_, Function::kErase, key);
  absl::StatusOr<bool> erased = store_->Erase(name);
  findings_.Check(erased.ok(), Verdict::kAuditFailed, "erase: ", erased.status());
  log_.End(erase, Outcome::kOk, *erased);
  return *erased;
}

void StoreSurvivor::CompareAndSwap(uint64_t key, Version expected) {
  value_.resize(scene_.sizes().value);
  const ValueId id = NextId();
  FillValue(id, key, value_);
  Operation& swap = log_.Begin(process_, Function::kCompareAndSwap, key, id, expected);
  absl::StatusOr<CasResult> result = store_->CompareAndSwap(scene_.key(key), expected, value_);
  if (!result.ok()) {
    Allow("compare_and_swap", result.status());
    log_.End(swap, Outcome::kRefused);
  } else {
    log_.End(swap, result->swapped ? Outcome::kOk : Outcome::kFail, kNothing, result->version);
  }
}

absl::StatusOr<PinnedValue> StoreSurvivor::Pin(uint64_t key) {
  Operation& operation = log_.Begin(process_, Function::kPin, key);
  absl::StatusOr<PinnedValue> pin = store_->Pin(scene_.key(key));
  if (pin.ok()) {
    log_.End(operation, Outcome::kOk, ReadId(key, pin->value()), pin->version());
  } else {
    Allow("pin", pin.status(), /*also_absent=*/true);
    log_.End(operation, absl::IsNotFound(pin.status()) ? Outcome::kOk : Outcome::kRefused);
  }
  return pin;
}

void StoreSurvivor::PutDraft(uint64_t key, bool commit) {
  absl::StatusOr<Draft> draft = store_->Reserve(scene_.key(key), scene_.sizes().value);
  Allow("reserve", draft.status());
  if (!draft.ok()) return;
  const ValueId id = NextId();
  FillValue(id, key, draft->bytes());
  Get(key);
  if (!commit) {
    draft->Drop();
    return;
  }
  Operation& operation = log_.Begin(process_, Function::kCommit, key, id);
  absl::StatusOr<Version> version = store_->Commit(*std::move(draft));
  if (version.ok()) {
    log_.End(operation, Outcome::kOk, kNothing, *version);
  } else {
    Allow("commit", version.status());
    log_.End(operation, Outcome::kRefused);
  }
}

// Each key once, none besides; one that is not shown is absent.
void StoreSurvivor::ForEach() {
  visited_.assign(scene_.key_count(), false);
  const auto record = [this](uint64_t key, uint64_t value, Version version) {
    log_.End(log_.Begin(process_, Function::kGet, key), Outcome::kOk, value, version);
  };
  absl::Status status = store_->ForEach([&](const EntryView& view) {
    if (!left_.empty() && IsInterferenceKey(view.key)) return true;
    const std::optional<uint32_t> key = scene_.NumberOf(view.key);
    findings_.Check(key.has_value(), Verdict::kViolation, "for_each shows a key of ",
                    view.key.size(), " bytes that nobody put");
    findings_.Check(!visited_[*key], Verdict::kViolation, "for_each shows key '", scene_.key(*key),
                    "' twice");
    visited_[*key] = true;
    record(*key, ReadId(*key, view.value), view.version);
    return true;
  });
  if (absl::IsUnimplemented(status)) return visited_.assign(scene_.key_count(), true);
  findings_.Check(status.ok(), Verdict::kAuditFailed, "for_each: ", status);
  for (uint32_t key = 0; key < visited_.size(); ++key) {
    if (!visited_[key]) record(key, kNothing, kAbsent);
  }
}

void StoreSurvivor::Look() {
  present_ = 0;
  shown_.assign(scene_.key_count(), false);
  for (uint32_t key = 0; key < scene_.key_count(); ++key) {
    shown_[key] = Get(key).present;
    present_ += shown_[key];
  }
  ForEach();
  // Nobody writes meanwhile: a store that may forget has no reason to.
  for (uint32_t key = 0; key < visited_.size(); ++key) {
    findings_.Check(!shown_[key] || visited_[key], Verdict::kViolation, "for_each leaves out key '",
                    scene_.key(key), "', which get has just shown");
  }
}

void StoreSurvivor::CheckContents(const AuditReport& audit) {
  // The lease of the key is noted in an entry, which for everybody is absent.
  const uint64_t leased = scene_.options().keeps_terms ? 1 : 0;
  findings_.Check((audit.entries >= present_ && audit.entries <= present_ + leased) ||
                      (!scene_.traits().lossless && audit.entries < present_),
                  Verdict::kAuditFailed, "the audit counts ", audit.entries, " entries, ", present_,
                  " are visible");
}

StoreSurvivor::Shown StoreSurvivor::PutAndLook(uint64_t key) {
  Put(key, scene_.sizes().value);
  return Get(key);
}

void StoreSurvivor::PinAndOverwrite(uint64_t key) {
  absl::StatusOr<PinnedValue> pin = Pin(key);
  const uint64_t pinned = pin.ok() ? ReadId(key, pin->value()) : kNothing;
  PutAndLook(key);
  findings_.Check(!pin.ok() || ReadId(key, pin->value()) == pinned, Verdict::kViolation,
                  "the pinned value of key '", scene_.key(key), "' changed");
}

void StoreSurvivor::Work(Nearness where) {
  const uint64_t key = scene_.At(where);
  const Version present = PutAndLook(key).version;
  if (scene_.traits().has_compare_and_swap) {
    CompareAndSwap(key, present + (uint64_t{1} << 40));  // a version that it does not have
    CompareAndSwap(key, present);
    Get(key);
  }
  if (scene_.traits().has_pin) PinAndOverwrite(key);
  for (const bool commit : {false, true}) {
    if (!scene_.traits().has_draft) break;
    PutDraft(key, commit);
    Get(key);
  }
  Erase(key);
  Get(key);
  PutAndLook(key);
}

uint32_t StoreSurvivor::Fill() {
  const uint32_t bytes =
      static_cast<uint32_t>(std::min<size_t>(kFillBytes, store_->max_value_bytes()));
  const Traits& traits = scene_.traits();
  const uint32_t most =
      traits.lossless && traits.bounded ? kMostSurvivorFills : kLossySurvivorFills;
  uint32_t count = 0;
  while (count < most && Put(kFillKeys + count, FillKey(count), bytes)) ++count;
  return count;
}

void StoreSurvivor::Empty(uint32_t filled) {
  for (uint32_t n = 0; n < filled; ++n) Get(kFillKeys + n, FillKey(n));
  for (uint32_t n = 0; n < filled; ++n) Erase(kFillKeys + n, FillKey(n));
  for (uint32_t key = 0; key < scene_.key_count(); ++key) {
    Erase(key);
    Get(key);
  }
}

}  // namespace kill9::sweep

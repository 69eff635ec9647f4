// The store's operations where the segment keeps terms: they are made of the design's own, one step
// each.
//
// T1  What is stored in a past era is absent. The era is read after the entry: an entry of that era
//     was alive when it was seen. Eras only rise, so what was cleared never comes back.
// T2  What has expired is removed, if it is still there, before anybody is told that it is absent.
//     So it never comes back, whatever the clocks say; and a change that expected it, by an earlier
//     reading of the clock, comes before or fails.
// T3  A change that depends on what is there is a compare-and-swap with the version that was seen.
//     If a Clear comes between the look and the swap, the new entry is of the past era: it was
//     published while what was seen was there until the Clear, so it stands right before the Clear.
// T4  Where nothing was stored, the version says nothing of what came and went. There, and in what
//     is set whatever is there, the design dates the entry (Store::Date) between its own look and
//     the step that fails if anything has changed since.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "variants/terms/handle.h"

namespace kill9 {

using terms::Handle;

namespace {

// Whether what has expired has given room. A search goes through all entries: after one in vain the
// next is not before that has become a twentieth of the time.
bool FindsRoom(Store& store, Handle& handle) {
  constexpr int kRest = 20;
  const auto begin = std::chrono::steady_clock::now();
  if (begin < handle.next_search) return false;
  const absl::StatusOr<uint64_t> dropped = store.DropExpired();
  if (dropped.ok() && *dropped != 0) return true;
  const auto end = std::chrono::steady_clock::now();
  handle.next_search = end + kRest * (end - begin);
  return false;
}

}  // namespace

Store::Store(const ForkGuard& guard) : SharedObject(guard) {}

Store::Store(std::shared_ptr<Segment> segment, const Participant& participant)
    : SharedObject(participant.guard()) {
  if (!segment->keeps_terms()) return;
  terms_ = std::make_unique<Handle>(std::move(segment), participant);
  term_words_ = &terms_->words;
  term_counters_ = &terms_->mine();
}

Store::~Store() = default;

absl::StatusOr<bool> Store::DoEraseVersion(std::string_view, Version) {
  return absl::UnimplementedError("this store cannot erase a version");
}

absl::Status Store::LacksTrailer() {
  return absl::DataLossError("the segment is damaged: an entry without terms");
}

absl::Status Store::CountMiss() const {
  terms::Count(term_counters_->misses);
  return absl::Status(absl::StatusCode::kNotFound, "");
}

void Store::DoPrefetch(std::span<const std::string_view>) {}

absl::Status Store::LacksTerms() const {
  return absl::UnimplementedError(
      "the segment keeps no terms (SegmentOptions::keeps_terms): no deadlines, leases or clears");
}

void Store::DateNow(char* value, size_t bytes) const {
  uint64_t dated;
  char* const at = value + bytes - sizeof(terms::Trailer) + offsetof(terms::Trailer, era_and_flags);
  std::memcpy(&dated, at, sizeof dated);
  dated &= (uint64_t{1} << terms::kEraShift) - 1;
  // Acquire: not before the design's look at what is there (T4).
  dated |= era_->load(std::memory_order_acquire) << terms::kEraShift;
  std::memcpy(at, &dated, sizeof dated);
}

void Store::WakeWaiters() { terms_->sleeper.Wake(terms_->sleepers); }

void Store::TellForgotten() {
  if (keeps_terms()) terms_->sleeper.WakeAfterStores(terms_->sleepers);
}

absl::StatusOr<bool> Store::RemoveIfDead(std::string_view key, const Seen& seen) {
  const bool cleared = seen.carried.era < seen.era;
  if (!cleared && seen.carried.terms.expires.never()) return false;
  const bool expired = seen.carried.terms.expires <= Expiry::Now();
  if (!cleared && !expired) return false;
  const absl::StatusOr<bool> removed = DoEraseVersion(key, seen.stored);
  if (!removed.ok()) return removed.status();
  if (!*removed) return true;
  terms::Count(cleared ? terms_->mine().cleared : terms_->mine().expired);
  if (seen.carried.lease.holder != 0) WakeWaiters();  // L3
  return true;
}

absl::StatusOr<Store::Seen> Store::Look(std::string_view key, std::string* bytes) {
  while (true) {
    Seen seen;
    // First, so that a clear that is due comes before the look.
    CurrentEra();
    const absl::StatusOr<Version> version = DoGet(key, bytes);
    if (!version.ok()) {
      if (!absl::IsNotFound(version.status())) return version.status();
      seen.era = CurrentEra();
      return seen;
    }
    seen.era = CurrentEra();
    seen.stored = *version;
    if (!terms::TakeApart(*bytes, &seen.carried)) {
      return LacksTrailer();
    }
    const absl::StatusOr<bool> dead = RemoveIfDead(key, seen);
    if (!dead.ok()) return dead.status();
    if (*dead) continue;
    seen.present = seen.carried.has_value;
    return seen;
  }
}

absl::StatusOr<Version> Store::PutWithTerms(std::string_view key, std::string_view value,
                                            const Terms& terms) {
  if (absl::Status status = CheckValue(value.size()); !status.ok()) return status;
  std::string& bytes = terms_->written;
  bytes.assign(value);
  terms::Append(&bytes, terms, CurrentEra());
  era_ = &terms_->words.era;
  const absl::Cleanup dated = [this] { era_ = nullptr; };
  absl::StatusOr<Version> version = DoPut(key, bytes);
  if (absl::IsResourceExhausted(version.status()) && FindsRoom(*this, *terms_)) {
    version = DoPut(key, bytes);
  }
  if (version.ok()) WakeWaiters();
  return version;
}

absl::StatusOr<Version> Store::GetByLook(std::string_view key, std::string* value, Terms* terms) {
  std::string* const bytes = value == nullptr ? &terms_->read : value;
  const absl::StatusOr<Seen> seen = Look(key, bytes);
  if (!seen.ok()) return seen.status();
  terms::Count(seen->present ? terms_->mine().hits : terms_->mine().misses);
  if (!seen->present) return absl::Status(absl::StatusCode::kNotFound, "");
  bytes->resize(seen->carried.value_bytes);
  if (terms != nullptr) *terms = seen->carried.terms;
  return seen->stored;
}

absl::StatusOr<bool> Store::EraseWithTerms(std::string_view key) {
  while (true) {
    const absl::StatusOr<Seen> seen = Look(key, &terms_->read);
    if (!seen.ok()) return seen.status();
    if (seen->stored == kAbsent) return false;
    const absl::StatusOr<bool> erased = DoEraseVersion(key, seen->stored);
    if (!erased.ok()) return erased.status();
    if (!*erased) continue;
    WakeWaiters();
    return seen->present;
  }
}

absl::StatusOr<CasResult> Store::SetSeen(std::string_view key, const Seen& seen,
                                         std::string_view bytes) {
  if (seen.stored == kAbsent) era_ = &terms_->words.era;  // T4
  const absl::Cleanup dated = [this] { era_ = nullptr; };
  absl::StatusOr<CasResult> result = DoCompareAndSwap(key, seen.stored, bytes);
  if (absl::IsResourceExhausted(result.status()) && FindsRoom(*this, *terms_)) {
    result = DoCompareAndSwap(key, seen.stored, bytes);
  }
  if (result.ok() && result->swapped) WakeWaiters();
  return result;
}

absl::StatusOr<PinnedValue> Store::PinWithTerms(std::string_view key) {
  while (true) {
    CurrentEra();
    absl::StatusOr<PinnedValue> pin = DoPin(key);
    if (absl::IsNotFound(pin.status())) terms::Count(terms_->mine().misses);
    if (!pin.ok()) return pin;
    Seen seen;
    seen.era = CurrentEra();
    seen.stored = pin->version();
    if (!terms::TakeApart(pin->value(), &seen.carried)) {
      return LacksTrailer();
    }
    const absl::StatusOr<bool> dead = RemoveIfDead(key, seen);
    if (!dead.ok()) return dead.status();
    if (*dead) continue;
    terms::Count(seen.carried.has_value ? terms_->mine().hits : terms_->mine().misses);
    if (!seen.carried.has_value) return absl::Status(absl::StatusCode::kNotFound, "");
    pin->value_ = pin->value_.substr(0, seen.carried.value_bytes);
    pin->terms_ = seen.carried.terms;
    return pin;
  }
}

absl::StatusOr<Version> Store::CommitWithTerms(uint64_t hold, std::span<char> bytes,
                                               const Terms& terms) {
  const terms::Trailer trailer = terms::TrailerOf(terms, CurrentEra(), 0);
  std::memcpy(bytes.data() + bytes.size(), &trailer, sizeof trailer);
  era_ = &terms_->words.era;
  const absl::Cleanup dated = [this] { era_ = nullptr; };
  absl::StatusOr<Version> version = DoCommit(hold);
  if (version.ok()) WakeWaiters();
  return version;
}

absl::Status Store::ForEachWithTerms(absl::FunctionRef<bool(const EntryView&)> visit) {
  CurrentEra();
  return DoForEach([&](const EntryView& entry) {
    Seen seen;
    seen.era = CurrentEra();
    seen.stored = entry.version;
    if (!terms::TakeApart(entry.value, &seen.carried)) return true;  // Audit tells of damage
    const absl::StatusOr<bool> dead = RemoveIfDead(entry.key, seen);
    if (!dead.ok() || *dead || !seen.carried.has_value) return true;
    return visit({entry.key, entry.value.substr(0, seen.carried.value_bytes), entry.version,
                  seen.carried.terms});
  });
}

absl::StatusOr<uint64_t> Store::DropExpired() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  uint64_t dropped = 0;
  const absl::Status visited = DoForEach([&](const EntryView& entry) {
    Seen seen;
    seen.era = CurrentEra();
    seen.stored = entry.version;
    if (!terms::TakeApart(entry.value, &seen.carried)) return true;
    absl::StatusOr<bool> dead = RemoveIfDead(entry.key, seen);
    if (dead.ok() && !*dead && !seen.carried.has_value && IsHolderGone(seen.carried.lease)) {
      dead = DoEraseVersion(entry.key, entry.version);
    }
    if (dead.ok() && *dead) ++dropped;
    return true;
  });
  if (!visited.ok()) return visited;
  return dropped;
}

// ---- Many keys ----------------------------------------------------------------------------------

absl::Status Store::GetMany(std::span<const std::string_view> keys,
                            absl::FunctionRef<void(size_t index, const EntryView*)> visit) {
  for (std::string_view key : keys) {
    if (absl::Status status = CheckKey(key); !status.ok()) return status;
  }
  std::string value;
  for (size_t first = 0; first < keys.size(); first += kMostPrefetched) {
    const size_t end = std::min(keys.size(), first + kMostPrefetched);
    DoPrefetch(keys.subspan(first, end - first));
    for (size_t i = first; i < end; ++i) {
      Terms terms;
      const absl::StatusOr<Version> version =
          keeps_terms() ? DoGetWithTerms(keys[i], &value, &terms) : DoGet(keys[i], &value);
      if (absl::IsNotFound(version.status())) {
        visit(i, nullptr);
        continue;
      }
      if (!version.ok()) return version.status();
      const EntryView entry{keys[i], value, *version, terms};
      visit(i, &entry);
    }
  }
  return absl::OkStatus();
}

}  // namespace kill9

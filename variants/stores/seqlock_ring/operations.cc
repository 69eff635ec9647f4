// The operations. Commit points are in index.cc; here is what comes before and after them.
//
// Every miss is true and final: the register was absent at a moment of the call, and is not filled
// again but by a new Put. So an entry whose record cannot be read counts as a miss only while it is
// unchanged.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "variants/segment/processor.h"
#include "variants/segment/thread_sanitizer.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {
namespace {

constexpr uint64_t kPromotableUnits = 8;
constexpr uint64_t kNoHint = UINT64_MAX;
constexpr size_t kPrefetchedLines = 3;  // of a small record

// The user fills a draft by plain stores, while a reader that slept for a lap may still load the
// bytes (atomically, to throw them away). Nothing in a store can make the user's stores atomic; so
// that this race does not hide others from ThreadSanitizer, drafts are filled in private memory
// there.
constexpr bool kPrivateDrafts = kThreadSanitizer;

// Not inlined: the registers of a Get suffice for one of its two ways to a record.
[[gnu::noinline]] Found LookInBucket(Bucket& bucket, uint64_t tag) { return Find(bucket, tag); }

absl::Status Absent() { return absl::Status(absl::StatusCode::kNotFound, ""); }

}  // namespace

// ---- Reading ------------------------------------------------------------------------------------

bool RingStore::ReadRecord(uint64_t word, std::string_view key, uint64_t key_hash,
                           std::string* value, RecordHead* head) {
  // Of the two that look at the record one after the other, each finds it as `word` names it; what
  // the second one finds whole is what the first one saw.
  return ReadHead(geometry_, word, head) &&
         CopyRecord(geometry_, word, head->address, key, key_hash, value, nullptr, &head->version);
}

bool RingStore::ReadAnyRecord(uint64_t word, std::string* key, std::string* value,
                              RecordHead* head) {
  if (!ReadHead(geometry_, word, head)) return false;
  key->resize(head->key_bytes);
  CopyOut(key->data(), head->key(), head->key_bytes);
  return ReadRecord(word, *key, HashOf(*key), value, head);
}

void RingStore::Remember(uint64_t hash, const Bucket& bucket, const Found& found) {
  if (found.place == &bucket.control) return;
  hints_.Remember(hash, geometry_.UnitOf(found.word) * kSlotsOfHint +
                            static_cast<uint64_t>(found.place - bucket.slots));
}

// With terms, what is not simply there is left to GetByLook.
template <bool kTerms>
[[gnu::always_inline]] inline absl::StatusOr<Version> RingStore::GetInto(std::string_view key,
                                                                         std::string* value,
                                                                         Terms* terms) {
  const uint64_t hash = HashOf(key);
  const uint64_t tag = TagOfHash(hash);
  Bucket& bucket = geometry_.BucketOf(hash);
  PrefetchToRead(&bucket);
  const uint64_t hint = hints_.Recall(hash, kNoHint);
  const auto miss = [this] {
    absl::Status absent = Miss();
    return kTerms ? CountMiss() : absent;
  };
  if (value == nullptr) value = &scratch_;
  const uint64_t unit = hint / kSlotsOfHint;
  std::atomic<uint64_t>* slot = nullptr;
  char* address = nullptr;
  uint64_t word = kVacant;
  if (hint != kNoHint) {
    slot = &bucket.slots[hint % kSlotsOfHint];
    address = geometry_.ring + unit * kUnitBytes;
    // So that the compiler cannot take the address from the entry, which may still be on its way:
    // entry and record are fetched at the same time.
    asm("" : "+r"(address));
    // Acquire: as in Find. It is the tag's only entry (D1), whatever control says (D2). [spare
    // acquire: who does not see the record looks once more, by Find]
    word = slot->load(std::memory_order_acquire);
  }
  const bool remembered = IsEntryOf(word, tag) && geometry_.UnitOf(word) == unit;
  if (!remembered) {
    const Found found = LookInBucket(bucket, tag);
    if (!found) return miss();
    slot = found.place;
    word = found.word;
    address = AddressOf(geometry_, word);
    if (address == nullptr) return miss();
  }
  Version version;
  [[maybe_unused]] terms::Trailer trailer;
  if (CopyRecord(geometry_, word, address, key, hash, value, kTerms ? &trailer : nullptr, &version))
      [[likely]] {
    if constexpr (kTerms) {
      if (!IsHit(trailer, terms)) [[unlikely]]
        return GetByLook(key, value, terms);
    }
    ++counters_.hits;
    if (!remembered) Remember(hash, bucket, {slot, word});
    if (!kTerms && promotion_threshold_ != 0) [[unlikely]]
      MaybePromote(bucket, key, hash, word, *value);
    return version;
  }
  if constexpr (kTerms) return GetByLook(key, value, terms);
  return !remembered && Found{slot, word}.Unchanged() ? Miss() : GetAgain(key, hash, value);
}

absl::StatusOr<Version> RingStore::DoGet(std::string_view key, std::string* value) {
  return GetInto<false>(key, value, nullptr);
}

absl::StatusOr<Version> RingStore::DoGetWithTerms(std::string_view key, std::string* value,
                                                  Terms* terms) {
  // Who promotes needs all of the bytes.
  if (promotion_threshold_ != 0) [[unlikely]]
    return GetByLook(key, value, terms);
  return GetInto<true>(key, value, terms);
}

absl::StatusOr<Version> RingStore::GetAgain(std::string_view key, uint64_t hash,
                                            std::string* value) {
  while (true) {
    const Found found = Find(geometry_.BucketOf(hash), TagOfHash(hash));
    RecordHead head;
    if (found && ReadRecord(found.word, key, hash, value, &head)) {
      ++counters_.hits;
      return head.version;
    }
    if (!found || found.Unchanged()) return Miss();
  }
}

// All buckets first, then what they name: each wait is for many at a time.
void RingStore::DoPrefetch(std::span<const std::string_view> keys) {
  std::array<uint64_t, kMostPrefetched> hashes;
  keys = keys.first(std::min(keys.size(), hashes.size()));
  for (size_t i = 0; i < keys.size(); ++i) {
    hashes[i] = HashOf(keys[i]);
    PrefetchToRead(&geometry_.BucketOf(hashes[i]));
  }
  for (uint64_t hash : std::span(hashes).first(keys.size())) {
    const Found found = Find(geometry_.BucketOf(hash), TagOfHash(hash));
    const char* const record = found ? AddressOf(geometry_, found.word) : nullptr;
    if (record == nullptr) continue;
    for (size_t line = 0; line < kPrefetchedLines; ++line) {
      PrefetchToRead(record + line * kUnitBytes);
    }
  }
}

absl::Status RingStore::Miss() {
  ++counters_.misses;
  return Absent();
}

absl::Status RingStore::DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) {
  std::string key;
  std::string value;
  for (uint64_t i = 0; i < geometry_.bucket_count; ++i) {
    Bucket& bucket = geometry_.buckets[i];
    uint64_t words[kSlotsPerBucket + 1];
    uint64_t control;
    do {
      // Acquire: as in Find. Control unchanged around the scan: no tag moved from one place to
      // another.
      control = bucket.control.load(std::memory_order_acquire);
      for (int s = 0; s < kSlotsPerBucket; ++s) {
        words[s] = bucket.slots[s].load(std::memory_order_acquire);
      }
    } while (bucket.control.load(std::memory_order_acquire) != control);
    words[kSlotsPerBucket] = IsStaged(control) ? WithKind(control, kEntry) : 0;
    for (int s = 0; s <= kSlotsPerBucket; ++s) {
      if (KindOf(words[s]) != kEntry) continue;
      const uint64_t tag = TagOf(words[s]);
      bool moved_already = false;
      for (int t = 0; t < s; ++t) moved_already |= IsEntryOf(words[t], tag);
      if (moved_already) continue;
      // As Get, by tag: whatever key it stands for now.
      RecordHead head;
      Found found = Find(bucket, tag);
      bool readable = false;
      while (found && !(readable = ReadAnyRecord(found.word, &key, &value, &head)) &&
             !found.Unchanged()) {
        found = Find(bucket, tag);
      }
      if (readable && !visit({key, value, head.version})) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

// ---- Writing ------------------------------------------------------------------------------------

absl::StatusOr<PendingRecord> RingStore::Begin(std::string_view key, uint64_t key_hash,
                                               size_t value_bytes, int hold) {
  uint64_t position = 0;
  absl::Status status = space_.Reserve(UnitsFor(key.size(), value_bytes), hold, &position);
  if (!status.ok()) return status;
  return PendingRecord{geometry_.At(position), position, key_hash, 0};
}

[[gnu::always_inline]] inline void RingStore::Fill(PendingRecord& record, std::string_view key,
                                                   std::string_view value) {
  WriteHead(record.address, key, value.size());
  record.value_sum = WriteValue(record.address, key.size(), value);
}

// What is settled here may be of a writer that was stopped, and take another entry's place.
View RingStore::LookToWrite(Bucket& bucket, uint64_t tag) {
  uint64_t evictions = 0;
  const View view = ViewForWriting(bucket, tag, &evictions);
  if (evictions != 0) [[unlikely]] {
    counters_.evictions += evictions;
    TellForgotten();
  }
  return view;
}

[[gnu::always_inline]] inline Version RingStore::PublishNow(const PendingRecord& record) {
  Bucket& bucket = geometry_.BucketOf(record.key_hash);
  const uint64_t entry = record.entry();
  while (true) {
    const View view = ViewForWriting(bucket, TagOfHash(record.key_hash), &counters_.evictions);
    if (view.found && view.found.word == entry) {
      Remove(
          view.found);  // 2^48 positions ago: it must not come to name our record before its time
      continue;
    }
    const uint64_t version = NextVersion(bucket);
    record.Seal(geometry_, version);
    if (Publish(bucket, view, entry, &counters_.evictions)) {
      if (view.found) Remember(record.key_hash, bucket, {view.found.place, entry});
      return version;
    }
  }
}

absl::StatusOr<Version> RingStore::DoPut(std::string_view key, std::string_view value) {
  const uint64_t hash = HashOf(key);
  PrefetchToWrite(&geometry_.BucketOf(hash));
  uint64_t position = 0;
  if (absl::Status status = space_.Reserve(UnitsFor(key.size(), value.size()), kPutHold, &position);
      !status.ok()) {
    return status;
  }
  PendingRecord record{geometry_.At(position), position, hash, 0};
  Fill(record, key, value);
  const Version version = PublishNow(record);
  space_.EndHold(kPutHold);
  return version;
}

absl::StatusOr<CasResult> RingStore::DoCompareAndSwap(std::string_view key, Version expected,
                                                      std::string_view value) {
  const uint64_t hash = HashOf(key);
  const uint64_t tag = TagOfHash(hash);
  Bucket& bucket = geometry_.BucketOf(hash);
  // Room first: a Clear after the present version was read then clears what is written here, too.
  absl::StatusOr<PendingRecord> record = Begin(key, hash, value.size(), kPutHold);
  if (!record.ok()) return record.status();
  bool filled = false;
  CasResult result;
  while (true) {
    const View view = LookToWrite(bucket, tag);
    if (view.found && view.found.word == record->entry()) {
      Remove(view.found);  // as in PublishNow
      continue;
    }
    RecordHead head;
    if (view.found && ReadRecord(view.found.word, key, hash, &scratch_, &head)) {
      result.version = head.version;
    } else if (view.found && !view.found.Unchanged()) {
      continue;
    } else {
      result.version = kAbsent;
    }
    if (result.version != expected) break;
    // Under a hold: were the present record overwritten before ours is published, others could see
    // the key absent in between, and then this would have been no swap. If it cannot be held, it
    // goes.
    const bool present = expected != kAbsent;
    if (present && !HoldSource(head)) {
      Remove(view.found);
      continue;
    }
    if (!filled) Fill(*record, key, value);
    filled = true;
    const uint64_t version = NextVersion(bucket);
    record->Seal(geometry_, version);
    const bool published = Publish(bucket, view, record->entry(), &counters_.evictions);
    if (present) space_.EndHold(kSourceHold);
    if (published) {
      result = {true, version};
      break;
    }
  }
  if (!result.swapped) space_.Unreserve(record->position, UnitsFor(key.size(), value.size()));
  space_.EndHold(kPutHold);
  if (!result.swapped) TellForgotten();
  return result;
}

absl::StatusOr<bool> RingStore::DoErase(std::string_view key) { return EraseIf(key, std::nullopt); }

absl::StatusOr<bool> RingStore::DoEraseVersion(std::string_view key, Version version) {
  return EraseIf(key, version);
}

absl::StatusOr<bool> RingStore::EraseIf(std::string_view key, std::optional<Version> expected) {
  const uint64_t hash = HashOf(key);
  Bucket& bucket = geometry_.BucketOf(hash);
  while (true) {
    const View view = LookToWrite(bucket, TagOfHash(hash));
    if (!view.found) return false;
    RecordHead head;
    if (ReadRecord(view.found.word, key, hash, &scratch_, &head)) {
      if (expected.has_value() && head.version != *expected) return false;
      if (Remove(view.found)) return true;
    } else if (view.found.Unchanged()) {
      return false;
    }
  }
}

// ---- Moving -------------------------------------------------------------------------------------

bool RingStore::HoldSource(const RecordHead& head) {
  if (!space_.HoldForReading(kSourceHold, head.position, head.units)) return false;
  if (StillWhole(geometry_, head)) return true;
  space_.EndHold(kSourceHold);
  return false;
}

bool RingStore::MoveToFront(Bucket& bucket, std::string_view key, uint64_t key_hash,
                            const RecordHead& source, const std::string& value) {
  // Room first, then the floor: a Clear that comes later clears the copy as well.
  absl::StatusOr<PendingRecord> record = Begin(key, key_hash, value.size(), kPutHold);
  if (!record.ok()) return false;
  bool moved = false;
  // Under a hold: were the source overwritten before the copy is published, others could see the
  // key absent, and then the same value again.
  if (HoldSource(source)) {
    const View view = LookToWrite(bucket, TagOfHash(key_hash));
    if (view.found && SamePosition(view.found.word, source.position) &&
        view.found.word != record->entry() && !IsCleared(geometry_, source.position)) {
      Fill(*record, key, value);
      record->Seal(geometry_, source.version);
      moved = Publish(bucket, view, record->entry(), &counters_.evictions);
    }
    space_.EndHold(kSourceHold);
  }
  if (!moved) space_.Unreserve(record->position, UnitsFor(key.size(), value.size()));
  space_.EndHold(kPutHold);
  TellForgotten();
  return moved;
}

void RingStore::MaybePromote(Bucket& bucket, std::string_view key, uint64_t key_hash, uint64_t word,
                             const std::string& value) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  RecordHead head;
  if ((random_ >> 32) >= promotion_threshold_ || !IsAging(word, &head)) return;
  if (!MoveToFront(bucket, key, key_hash, head, value)) return;
  ++counters_.promotions;
  ++moved_;
}

bool RingStore::IsAging(uint64_t word, RecordHead* head) const {
  return ReadHead(geometry_, word, head) && head->units <= kPromotableUnits &&
         space_.NearEdge(head->position);
}

bool RingStore::WouldMove(std::string_view key) {
  const uint64_t hash = HashOf(key);
  const Found found = Find(geometry_.BucketOf(hash), TagOfHash(hash));
  RecordHead head;
  return found && IsAging(found.word, &head);
}

// ---- Pins ---------------------------------------------------------------------------------------

absl::StatusOr<PinnedValue> RingStore::DoPin(std::string_view key) {
  const uint64_t hash = HashOf(key);
  const uint64_t tag = TagOfHash(hash);
  Bucket& bucket = geometry_.BucketOf(hash);
  while (true) {
    const Found found = Find(bucket, tag);
    RecordHead head;
    if (!found || !ReadRecord(found.word, key, hash, &scratch_, &head)) {
      if (found && !found.Unchanged()) continue;
      return Absent();
    }
    const int hold = space_.FreeHold();
    if (hold < 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("this participant has all of its ", kUserHolds, " holds in use"));
    }
    if (space_.HoldForReading(hold, head.position, head.units)) {
      // Nobody writes here any more. What was there before the hold was not yet overwritten: the
      // claim stands, and whoever overwrites raises it first; the copy that was read is what is
      // shown.
      if (StillWhole(geometry_, head)) {
        return PinnedValue(this, static_cast<uint64_t>(hold),
                           std::string_view(head.value(), head.value_bytes), head.version);
      }
      space_.EndHold(hold);
      continue;
    }
    // Its chunk may be about to be overwritten. A miss would not be true, unless the entry goes.
    const View view = LookToWrite(bucket, tag);
    if (view.found && SamePosition(view.found.word, found.word) && Remove(view.found)) {
      TellForgotten();
      return Absent();
    }
  }
}

void RingStore::DoReleasePin(uint64_t hold) { space_.EndHold(static_cast<int>(hold)); }

// ---- Drafts -------------------------------------------------------------------------------------

absl::StatusOr<Draft> RingStore::DoReserve(std::string_view key, size_t size) {
  const int hold = space_.FreeHold();
  if (hold < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this participant has all of its ", kUserHolds, " holds in use"));
  }
  const uint64_t hash = HashOf(key);
  absl::StatusOr<PendingRecord> record = Begin(key, hash, size, hold);
  if (!record.ok()) return record.status();
  OpenDraft& draft = drafts_[static_cast<size_t>(hold)];
  draft.position = record->position;
  draft.key_hash = hash;
  draft.key_bytes = key.size();
  draft.value_bytes = size;
  // The user writes in any order: no old record may begin in the span (R1).
  Wipe(record->address, UnitsFor(key.size(), size));
  TellForgotten();
  WriteHead(record->address, key, size);
  char* bytes = record->address + kRecordHeaderBytes + PaddedBytes(key.size());
  if (kPrivateDrafts) {
    draft.private_bytes = std::make_unique<char[]>(size + 1);
    bytes = draft.private_bytes.get();
  }
  return Draft(this, static_cast<uint64_t>(hold), std::span<char>(bytes, size));
}

absl::StatusOr<Version> RingStore::DoCommit(uint64_t hold) {
  OpenDraft& draft = drafts_[hold];
  PendingRecord record{geometry_.At(draft.position), draft.position, draft.key_hash, 0};
  char* bytes = record.address + kRecordHeaderBytes + PaddedBytes(draft.key_bytes);
  if (kPrivateDrafts) {
    CopyIn(bytes, std::string_view(draft.private_bytes.get(), draft.value_bytes));
    bytes = draft.private_bytes.get();
  }
  record.value_sum = SumOfValue(std::string_view(bytes, draft.value_bytes));
  const Version version = PublishNow(record);
  draft.private_bytes.reset();
  space_.EndHold(static_cast<int>(hold));
  return version;
}

void RingStore::DoDropDraft(uint64_t hold) {
  OpenDraft& draft = drafts_[hold];
  draft.private_bytes.reset();
  space_.Unreserve(draft.position, UnitsFor(draft.key_bytes, draft.value_bytes));
  space_.EndHold(static_cast<int>(hold));
}

}  // namespace kill9::ring

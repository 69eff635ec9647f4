#include "variants/stores/locked/locked_store.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace kill9::locked {
namespace {

// How long a full arena's writer waits for others' arenas: 0.1 s, beyond any turn that a preempted
// holder waits for.
constexpr int kLooksAtBusyArenas = 100;
constexpr long kPauseBetweenLooksNs = 1'000'000;

// Writes all of an entry but its value's bytes and its version. The block is nobody else's yet.
void FillHeader(Entry* entry, uint64_t hash, std::string_view key, size_t value_size) {
  entry->next = 0;
  entry->version = kAbsent;
  entry->state = Entry::Unlinked(hash);
  entry->key_size = static_cast<uint32_t>(key.size());
  entry->value_size = static_cast<uint32_t>(value_size);
  std::memcpy(entry->key_data(), key.data(), key.size());
}

// From an entry's version to the end of a value of this size: what an overwrite in place changes
// (the key lies in between).
uint64_t ImageBytes(const Entry& entry, size_t value_size) {
  return Entry::Bytes(entry.key_size, value_size) - offsetof(Entry, version);
}

// Whether a new value can take the place of the entry's: no pin shows the old one, the journal has
// room for it, and the block is of the size that the new one would be given.
bool FitsInPlace(const Entry& entry, size_t value_size) {
  return entry.pins() == 0 && ImageBytes(entry, value_size) <= Journal::kImageBytes &&
         (value_size == entry.value_size ||
          Heap::BlockBytesFor(Entry::Bytes(entry.key_size, value_size)) ==
              Heap::BlockBytesFor(Entry::Bytes(entry.key_size, entry.value_size)));
}

void CopyIn(char* to, std::string_view value) {
  if (!value.empty()) std::memcpy(to, value.data(), value.size());
}

// As assign, but faster for a string that need not grow, which most often has the same size. Not
// inlined: where GCC can bound the size it emits `rep movs`, which starts slowly.
[[gnu::noinline]] void CopyOut(std::string* to, std::string_view value) {
  if (value.size() > to->size()) {
    to->assign(value);
    return;
  }
  to->resize(value.size());
  std::memcpy(to->data(), value.data(), value.size());
}

}  // namespace

absl::StatusOr<uint32_t> LockedStore::FreeRow() const {
  for (uint32_t row = 0; row < Ledger::kPublicRows; ++row) {
    if (ledger_.rows[row] == 0) return row;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("this participant holds ", Ledger::kPublicRows, " pins and drafts already"));
}

[[gnu::always_inline]] inline Version LockedStore::OverwriteInPlace(ShardGuard& session,
                                                                    uint32_t index, Entry& entry,
                                                                    std::string_view value) {
  session.journal.SaveImage(&entry.version, ImageBytes(entry, value.size()));
  entry.version = space_.shard(index).NextVersion();
  entry.value_size = static_cast<uint32_t>(value.size());
  CopyIn(entry.value_data(), value);
  Date(entry.value_data(), value.size());
  // dies before -> undone: the key has its old version and value;  dies after -> it has the new
  // ones
  // a successor sees all of one or all of the other
  (void)session.journal.Commit();  // nothing that could be damaged was followed
  return entry.version;
}

[[gnu::always_inline]] inline LockedStore::Written LockedStore::WriteAtHome(
    uint64_t hash, std::string_view key, std::string_view value, std::optional<Version> expected,
    CasResult* result) {
  const uint32_t index = space_.ShardOf(hash);
  Shard& shard = space_.shard(index);
  const Ref remembered = Recall(hash);
  const Link bucket = shard.Prefetch(hash, Shard::Access::kWrite, remembered);
  {
    ShardGuard session = Enter(index);
    if (!session.entered) [[unlikely]]
      return Written::kDamaged;
    const Shard::Place place = shard.FindFrom(bucket, hash, key);
    if (place.damaged()) [[unlikely]]
      return Written::kDamaged;
    if (expected.has_value() && place.version() != *expected) {
      *result = {false, place.version()};
      return Written::kYes;
    }
    if (place.entry != nullptr && FitsInPlace(*place.entry, value.size())) {
      if (!shard.IsInItsBlock(*place.entry)) [[unlikely]]
        return Written::kDamaged;
      Remember(hash, remembered, shard.RefOf(place.entry));
      *result = {true, OverwriteInPlace(session, index, *place.entry, value)};
      return Written::kYes;
    }
    const uint64_t payload =
        shard.heap.Allocate(session.journal, Entry::Bytes(key.size(), value.size()));
    if (payload == 0) return session.journal.damaged() ? Written::kDamaged : Written::kNoRoom;
    Entry* entry = space_.EntryAt(payload);
    FillHeader(entry, hash, key, value.size());
    CopyIn(entry->value_data(), value);
    Date(entry->value_data(), value.size());
    const std::optional<Version> version = Publish(session, index, place, entry);
    if (!version.has_value()) [[unlikely]]
      return Written::kDamaged;
    *result = {true, *version};
    Remember(hash, remembered, shard.RefOf(entry));
  }
  FinishFreeing();
  return Written::kYes;
}

absl::StatusOr<Version> LockedStore::DoPut(std::string_view key, std::string_view value) {
  const uint64_t hash = space_.Hash(key);
  if (value.size() <= kCopyUnderMutexBytes) {
    CasResult result;
    const Written written = WriteAtHome(hash, key, value, std::nullopt, &result);
    if (written == Written::kYes) [[likely]]
      return result.version;
    if (written == Written::kDamaged) return Damaged();
  }
  absl::StatusOr<CasResult> result = WriteFromDraft(hash, key, value, std::nullopt);
  if (!result.ok()) return result.status();
  return result->version;
}

absl::StatusOr<CasResult> LockedStore::DoCompareAndSwap(std::string_view key, Version expected,
                                                        std::string_view value) {
  const uint64_t hash = space_.Hash(key);
  if (value.size() <= kCopyUnderMutexBytes) {
    CasResult result;
    const Written written = WriteAtHome(hash, key, value, expected, &result);
    if (written == Written::kYes) return result;
    if (written == Written::kDamaged) return Damaged();
  }
  return WriteFromDraft(hash, key, value, expected);
}

absl::StatusOr<CasResult> LockedStore::WriteFromDraft(uint64_t hash, std::string_view key,
                                                      std::string_view value,
                                                      std::optional<Version> expected) {
  if (absl::Status status = ReserveInto(Ledger::kTransferRow, hash, key, value.size());
      !status.ok()) {
    return status;
  }
  Entry* const entry = space_.OwnedEntry(ledger_.rows[Ledger::kTransferRow]);
  if (entry == nullptr || entry->value_size != value.size()) return Damaged();
  CopyIn(entry->value_data(), value);
  return CommitRow(Ledger::kTransferRow, expected);
}

std::optional<Version> LockedStore::Publish(ShardGuard& session, uint32_t index,
                                            const Shard::Place& place, Entry* entry) {
  Shard& shard = space_.shard(index);
  const Version version = shard.NextVersion();
  entry->version = version;
  entry->state |= Entry::kLinked;
  entry->next = place.entry == nullptr ? 0 : place.entry->next;
  place.link.Set(session.journal, shard.RefOf(entry));
  if (place.entry != nullptr) Retire(session, index, place.entry);
  // dies before -> undone: the key has its old value;  dies after -> it has the new one
  // a successor sees the new entry linked and the old one free, pinned only, or owned by the
  // freeing row
  if (!session.journal.Commit()) return std::nullopt;
  return version;
}

void LockedStore::Retire(ShardGuard& session, uint32_t index, Entry* entry) {
  const uint64_t payload = space_.shard(index).OffsetOf(entry);
  if (entry->pins() != 0) {
    session.journal.Set(&entry->state, entry->state & ~Entry::kLinked);
    return;
  }
  const uint32_t arena = space_.ArenaOf(payload);
  if (arena == index) {
    space_.shard(index).heap.Free(session.journal, payload);
    return;
  }
  session.journal.Set(&entry->state, entry->state & ~Entry::kLinked);
  session.journal.Set(&ledger_.rows[Ledger::kFreeingRow],
                      Hold{Hold::Kind::kOwn, arena, payload}.Pack());
}

// The key's own arena first, then what can be borrowed without waiting, then what the dead hold,
// and last the busy ones, looked at now and then for a while: a stopped holder of another shard's
// mutex is none of this key's business, and what only its arena could give counts as not there.
absl::Status LockedStore::ReserveInto(uint32_t row, uint64_t hash, std::string_view key,
                                      size_t value_size) {
  const uint32_t home = space_.ShardOf(hash);
  int looks = 0;
  while (true) {
    bool any_busy = false;
    for (uint32_t i = 0; i < space_.shard_count(); ++i) {
      const uint32_t arena = (home + i) & (space_.shard_count() - 1);
      const Reserved reserved =
          ReserveFrom(arena, i == 0 ? ShardGuard::LockMode::kWait : ShardGuard::LockMode::kTry, row,
                      hash, key, value_size);
      if (reserved == Reserved::kYes) return absl::OkStatus();
      if (reserved == Reserved::kDamaged && i == 0) return Damaged();  // others need not be asked
      if (reserved == Reserved::kBusy) any_busy = true;
    }
    const absl::StatusOr<RecoveryReport> recovered = space_.RecoverDead();
    const bool reclaimed = recovered.ok() && recovered->blocks != 0;
    if (reclaimed) continue;
    if (!any_busy || ++looks == kLooksAtBusyArenas) break;
    const timespec pause{0, kPauseBetweenLooksNs};
    nanosleep(&pause, nullptr);
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("the segment has no room for a value of ", value_size, " bytes"));
}

LockedStore::Reserved LockedStore::ReserveFrom(uint32_t arena, ShardGuard::LockMode lock_mode,
                                               uint32_t row, uint64_t hash, std::string_view key,
                                               size_t value_size) {
  ShardGuard session = space_.Enter(arena, journal_owner_, lock_mode);
  if (!session.entered) return session.busy ? Reserved::kBusy : Reserved::kDamaged;
  const uint64_t payload =
      space_.shard(arena).heap.Allocate(session.journal, Entry::Bytes(key.size(), value_size));
  if (payload == 0) return session.journal.damaged() ? Reserved::kDamaged : Reserved::kNoRoom;
  FillHeader(space_.EntryAt(payload), hash, key, value_size);
  session.journal.Set(&ledger_.rows[row], Hold{Hold::Kind::kOwn, arena, payload}.Pack());
  // dies before -> the heap owns the block;  dies after -> the row does
  return session.journal.Commit() ? Reserved::kYes : Reserved::kDamaged;
}

absl::StatusOr<CasResult> LockedStore::CommitRow(uint32_t row, std::optional<Version> expected) {
  Entry* const entry = space_.OwnedEntry(ledger_.rows[row]);
  if (entry == nullptr) {
    ledger_.rows[row] = 0;
    return Damaged();
  }
  const uint64_t hash = space_.Hash(entry->key());
  const uint32_t index = space_.ShardOf(hash);
  CasResult result;
  bool damaged = false;
  {
    ShardGuard session = Enter(index);
    const Shard::Place place = session.entered ? space_.shard(index).Find(hash, entry->key())
                                               : Shard::Place{{nullptr, 0}, nullptr};
    damaged = place.damaged();
    result = {!damaged && (!expected.has_value() || place.version() == *expected), place.version()};
    if (result.swapped) {
      session.journal.Set(&ledger_.rows[row], 0);
      Date(entry->value_data(), entry->value_size);
      const std::optional<Version> version = Publish(session, index, place, entry);
      damaged = !version.has_value();
      result = {!damaged, version.value_or(kAbsent)};
    }
  }
  if (result.swapped) {
    FinishFreeing();
  } else {
    space_.ReleaseRow(ledger_.rows[row], journal_owner_).IgnoreError();
  }
  if (damaged) return Damaged();
  return result;
}

template <bool kTerms>
[[gnu::always_inline]] inline absl::StatusOr<Version> LockedStore::GetInto(std::string_view key,
                                                                           std::string* value,
                                                                           Terms* terms) {
  const uint64_t hash = space_.Hash(key);
  const uint32_t index = space_.ShardOf(hash);
  Shard& shard = space_.shard(index);
  const Ref remembered = Recall(hash);
  const Link bucket = shard.Prefetch(hash, Shard::Access::kRead, remembered);
  {
    ShardGuard session = Enter(index);
    if (!session.entered) [[unlikely]]
      return Damaged();
    const Shard::Place place = shard.FindFrom(bucket, hash, key);
    Entry* const entry = place.entry;
    if (entry == nullptr) {
      if (place.damaged()) return Damaged();
      return kTerms ? CountMiss() : absl::NotFoundError("");
    }
    Remember(hash, remembered, shard.RefOf(entry));
    if (value == nullptr || entry->value_size <= kCopyUnderMutexBytes) [[likely]] {
      std::string_view bytes = entry->value();
      if (!kTerms || IsHitApart(&bytes, terms)) [[likely]] {
        if (value != nullptr) CopyOut(value, bytes);
        return entry->version;
      }
    }
  }
  return kTerms ? GetByLook(key, value, terms) : GetLarge(hash, key, value);
}

absl::StatusOr<Version> LockedStore::DoGet(std::string_view key, std::string* value) {
  return GetInto<false>(key, value, nullptr);
}

absl::StatusOr<Version> LockedStore::DoGetWithTerms(std::string_view key, std::string* value,
                                                    Terms* terms) {
  return GetInto<true>(key, value, terms);
}

// All buckets first, then what they name: each wait is for many at a time.
void LockedStore::DoPrefetch(std::span<const std::string_view> keys) {
  std::array<uint64_t, kMostPrefetched> hashes;
  keys = keys.first(std::min(keys.size(), hashes.size()));
  for (size_t i = 0; i < keys.size(); ++i) {
    hashes[i] = space_.Hash(keys[i]);
    space_.shard(space_.ShardOf(hashes[i])).PrefetchBucket(hashes[i]);
  }
  for (uint64_t hash : std::span(hashes).first(keys.size())) {
    space_.shard(space_.ShardOf(hash)).Prefetch(hash, Shard::Access::kRead, Recall(hash));
  }
}

// Looks again: the value may have changed its size meanwhile, which is no matter. Apart from DoGet,
// whose session so never writes.
absl::StatusOr<Version> LockedStore::GetLarge(uint64_t hash, std::string_view key,
                                              std::string* value) {
  const uint32_t index = space_.ShardOf(hash);
  Entry* entry = nullptr;
  Version version = kAbsent;
  {
    ShardGuard session = Enter(index);
    if (!session.entered) return Damaged();
    const Shard::Place place = space_.shard(index).Find(hash, key);
    entry = place.entry;
    if (entry == nullptr) return place.damaged() ? Damaged() : absl::NotFoundError("");
    version = entry->version;
    if (!PinInto(session, index, entry, Ledger::kTransferRow)) return Damaged();
  }
  // Also if the string cannot grow (std::bad_alloc).
  const absl::Cleanup unpin = [this] {
    space_.ReleaseRow(ledger_.rows[Ledger::kTransferRow], journal_owner_).IgnoreError();
  };
  value->assign(entry->value_data(), entry->value_size);
  return version;
}

absl::StatusOr<bool> LockedStore::DoErase(std::string_view key) {
  return EraseIf(key, std::nullopt);
}

absl::StatusOr<bool> LockedStore::DoEraseVersion(std::string_view key, Version version) {
  return EraseIf(key, version);
}

absl::StatusOr<bool> LockedStore::EraseIf(std::string_view key, std::optional<Version> expected) {
  const uint64_t hash = space_.Hash(key);
  const uint32_t index = space_.ShardOf(hash);
  Shard& shard = space_.shard(index);
  const Link bucket = shard.Prefetch(hash, Shard::Access::kWrite, Recall(hash));
  {
    ShardGuard session = Enter(index);
    if (!session.entered) [[unlikely]]
      return Damaged();
    const Shard::Place place = shard.FindFrom(bucket, hash, key);
    if (place.damaged()) [[unlikely]]
      return Damaged();
    if (place.entry == nullptr || (expected.has_value() && place.version() != *expected)) {
      return false;
    }
    place.link.Set(session.journal, static_cast<Ref>(place.entry->next));
    Retire(session, index, place.entry);
    // dies before -> the key is there;  dies after -> it is not
    if (!session.journal.Commit()) return Damaged();
  }
  FinishFreeing();
  return true;
}

bool LockedStore::PinInto(ShardGuard& session, uint32_t index, Entry* entry, uint32_t row) {
  if (entry->pins() == Entry::kMostPins) return false;
  const uint64_t payload = space_.shard(index).OffsetOf(entry);
  session.journal.Set(&entry->state, entry->state + Entry::kOnePin);
  session.journal.Set(&ledger_.rows[row], Hold{Hold::Kind::kPin, index, payload}.Pack());
  // dies before -> no pin;  dies after -> a dead participant's pin, which recovery takes off (D4)
  return session.journal.Commit();
}

absl::StatusOr<PinnedValue> LockedStore::DoPin(std::string_view key) {
  const absl::StatusOr<uint32_t> row = FreeRow();
  if (!row.ok()) return row.status();
  const uint64_t hash = space_.Hash(key);
  const uint32_t index = space_.ShardOf(hash);
  Shard& shard = space_.shard(index);
  const Link bucket = shard.Prefetch(hash, Shard::Access::kWrite, Recall(hash));
  ShardGuard session = Enter(index);
  if (!session.entered) [[unlikely]]
    return Damaged();
  const Shard::Place place = shard.FindFrom(bucket, hash, key);
  Entry* const entry = place.entry;
  if (entry == nullptr) return place.damaged() ? Damaged() : absl::NotFoundError("");
  if (!PinInto(session, index, entry, *row)) return Damaged();
  return PinnedValue(this, *row, entry->value(), entry->version);
}

absl::StatusOr<Draft> LockedStore::DoReserve(std::string_view key, size_t size) {
  const absl::StatusOr<uint32_t> row = FreeRow();
  if (!row.ok()) return row.status();
  if (absl::Status status = ReserveInto(*row, space_.Hash(key), key, size); !status.ok())
    return status;
  Entry* const entry = space_.OwnedEntry(ledger_.rows[*row]);
  if (entry == nullptr) return Damaged();
  return Draft(this, *row, {entry->value_data(), entry->value_size});
}

absl::StatusOr<Version> LockedStore::DoCommit(uint64_t row) {
  const absl::StatusOr<CasResult> result = CommitRow(static_cast<uint32_t>(row), std::nullopt);
  if (!result.ok()) return result.status();
  return result->version;
}

// Keys never move between chains, so a chain copied in one session shows each of its keys exactly
// once.
absl::Status LockedStore::DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) {
  constexpr size_t kBatchBytes =
      64 << 10;  // copied under one hold of the mutex, whole chains at a time
  constexpr uint64_t kBatchChains = 1024;
  struct Copied {
    size_t key_begin, key_size, value_size;
    Version version;
  };
  std::string bytes;
  std::vector<Copied> batch;
  for (uint32_t index = 0; index < space_.shard_count(); ++index) {
    Shard& shard = space_.shard(index);
    for (uint64_t bucket = 0; bucket < shard.bucket_count();) {
      bytes.clear();
      batch.clear();
      {
        ShardGuard session = Enter(index);
        if (!session.entered) return Damaged();
        const uint64_t first = bucket;
        while (bucket < shard.bucket_count() && bytes.size() < kBatchBytes &&
               bucket - first < kBatchChains) {
          // A chain that is a ring is one when it has shown more than the segment could hold.
          const size_t chain_begin = bytes.size();
          for (Ref ref = shard.bucket(bucket); ref != 0;) {
            Entry* entry = shard.At(ref);
            if (!shard.CanBeEntry(ref) || !shard.IsSound(*entry) ||
                bytes.size() - chain_begin > space_.ref_count() * kRefUnit) {
              return Damaged();
            }
            batch.push_back({bytes.size(), entry->key_size, entry->value_size, entry->version});
            bytes.append(entry->key_data(), entry->key_size);
            bytes.append(entry->value_data(), entry->value_size);
            ref = static_cast<Ref>(entry->next);
          }
          ++bucket;
        }
      }
      for (const Copied& copied : batch) {
        const char* key = bytes.data() + copied.key_begin;
        if (!visit({{key, copied.key_size},
                    {key + copied.key_size, copied.value_size},
                    copied.version})) {
          return absl::OkStatus();
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace kill9::locked

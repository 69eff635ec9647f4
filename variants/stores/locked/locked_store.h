// The store of the locked designs: hash-partitioned shards (one or many), each under its robust
// mutex.
//
// A value becomes visible by linking its entry into a chain, in one journaled transaction under the
// mutex of the key's shard; the transaction's commit is the operation's linearization point.
// An overwrite links a new entry in the old one's place, and the old one's block is freed at once,
// or by its last pin. A small value whose block fits and that nobody pins is overwritten in place:
// the journal keeps the old bytes until the commit.
//
// At most one shard's mutex is held at any time, so no death can leave two shards half changed.
// What an operation owns between two shards (a block borrowed from another arena, on its way in or
// back) stands in the participant's ledger.
//
// PROGRESS: blocking, on the key's shard; when that shard's arena is full, on each in turn.
// ON CRASH: ShardGuard and Journal undo the transaction; Recover() returns the ledger's holds.
#ifndef KILL9_VARIANTS_STORES_LOCKED_LOCKED_STORE_H_
#define KILL9_VARIANTS_STORES_LOCKED_LOCKED_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "variants/room.h"
#include "variants/segment.h"
#include "variants/segment/prefetch_hints.h"
#include "variants/store.h"
#include "variants/stores/locked/space.h"

namespace kill9::locked {

// A value longer than this is copied outside the mutex: in through a draft, out through a pin.
inline constexpr size_t kCopyUnderMutexBytes = 4096;

SegmentLayout LayoutOf(std::string_view design);
// `shards` is a power of two. Errors as Segment's.
absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options,
                                                       std::string_view design, uint32_t shards);
// kResourceExhausted: no participant slot is free, even after recovery. kDataLoss: damaged.
absl::StatusOr<std::unique_ptr<Store>> AttachStore(std::shared_ptr<Segment> segment);

class LockedStore final : public Store, public TellsRoom {
 public:
  LockedStore(std::shared_ptr<Segment> segment, Participant participant);
  ~LockedStore() override;

  size_t max_key_bytes() const override { return kMaxKeyBytes; }
  size_t max_value_bytes() const override { return max_value_bytes_; }
  absl::StatusOr<bool> HasRoom(std::string_view key, size_t value_bytes) override {
    return space_.HasRoom(Entry::Bytes(key.size(), value_bytes + put_terms_bytes()),
                          journal_owner_);
  }

 private:
  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override;
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override;
  absl::StatusOr<Version> DoGetWithTerms(std::string_view key, std::string* value,
                                         Terms* terms) override;
  absl::StatusOr<bool> DoErase(std::string_view key) override;
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override;
  absl::StatusOr<bool> DoEraseVersion(std::string_view key, Version version) override;
  void DoPrefetch(std::span<const std::string_view> keys) override;
  absl::StatusOr<PinnedValue> DoPin(std::string_view key) override;
  absl::StatusOr<Draft> DoReserve(std::string_view key, size_t size) override;
  absl::StatusOr<Version> DoCommit(uint64_t row) override;
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override;
  absl::StatusOr<RecoveryReport> DoRecover() override {
    if (absl::Status status = space_.participants().CanTellTheDead(); !status.ok()) return status;
    return space_.RecoverDead();
  }
  absl::StatusOr<AuditReport> DoAudit() override { return space_.Audit(journal_owner_); }
  // The next operation can report damage; the row is empty in any case.
  void DoReleasePin(uint64_t row) override {
    space_.ReleaseRow(ledger_.rows[row], journal_owner_).IgnoreError();
  }
  void DoDropDraft(uint64_t row) override {
    space_.ReleaseRow(ledger_.rows[row], journal_owner_).IgnoreError();
  }

  [[gnu::always_inline]] ShardGuard Enter(uint32_t shard) {
    return space_.Enter(shard, journal_owner_);
  }
  absl::StatusOr<uint32_t> FreeRow() const;
  // Where the key's entry was found last (0: nothing is remembered), which nobody believes.
  Ref Recall(uint64_t hash) const { return static_cast<Ref>(hints_.Recall(hash, 0)); }
  // Where it is in truth. Most often that is where it was: then the hint's line stays clean.
  void Remember(uint64_t hash, Ref remembered, Ref found) {
    if (found != remembered) hints_.Remember(hash, found);
  }

  absl::StatusOr<bool> EraseIf(std::string_view key, std::optional<Version> expected);
  // A value that is copied outside the mutex.
  template <bool kTerms>
  absl::StatusOr<Version> GetInto(std::string_view key, std::string* value, Terms* terms);
  absl::StatusOr<Version> GetLarge(uint64_t hash, std::string_view key, std::string* value);
  // Put (no expectation) and CompareAndSwap, all in one transaction. kNoRoom: the key's own arena
  // has none. Writes *result if it is kYes.
  enum class Written : uint8_t { kYes, kNoRoom, kDamaged };
  Written WriteAtHome(uint64_t hash, std::string_view key, std::string_view value,
                      std::optional<Version> expected, CasResult* result);
  // The same by way of a draft: for large values, and from other arenas.
  absl::StatusOr<CasResult> WriteFromDraft(uint64_t hash, std::string_view key,
                                           std::string_view value, std::optional<Version> expected);
  // Allocates an entry for `key`, its value's bytes not yet filled, owned by `row`.
  absl::Status ReserveInto(uint32_t row, uint64_t hash, std::string_view key, size_t value_size);
  // One step of it: in one arena.
  enum class Reserved : uint8_t { kYes, kNoRoom, kBusy, kDamaged };
  Reserved ReserveFrom(uint32_t arena, ShardGuard::LockMode lock_mode, uint32_t row, uint64_t hash,
                       std::string_view key, size_t value_size);
  // Publishes the entry that `row` owns, if the expectation holds; frees it if not.
  absl::StatusOr<CasResult> CommitRow(uint32_t row, std::optional<Version> expected);
  // Changes a linked entry's value, commits. REQUIRES: FitsInPlace.
  Version OverwriteInPlace(ShardGuard& session, uint32_t index, Entry& entry,
                           std::string_view value);
  // Links `entry` in `place`, retires what was there, commits. Nullopt: damaged, nothing happened.
  std::optional<Version> Publish(ShardGuard& session, uint32_t index, const Shard::Place& place,
                                 Entry* entry);
  // An entry that was just unlinked: frees its block, or leaves it to its last pin; if its block is
  // borrowed, the freeing row takes it (FinishFreeing, once the guard has let go).
  void Retire(ShardGuard& session, uint32_t index, Entry* entry);
  void FinishFreeing() {
    uint64_t& row = ledger_.rows[Ledger::kFreeingRow];
    if (row != 0) space_.ReleaseRow(row, journal_owner_).IgnoreError();
  }
  // Pins the place's entry for `row`; commits. False: damaged, nothing happened.
  bool PinInto(ShardGuard& session, uint32_t index, Entry* entry, uint32_t row);

  Space space_;
  Participant participant_;
  Ledger& ledger_;
  JournalOwner journal_owner_;
  size_t max_value_bytes_;
  PrefetchHints hints_;  // of entries, by Ref
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_LOCKED_STORE_H_

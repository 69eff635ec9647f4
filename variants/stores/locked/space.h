// A process's view of a locked design's segment: its shards, arenas and ledgers, and what is done
// with them on behalf of any participant, living or dead.
//
//     body_offset    StoreHeader
//     then           ShardHeader x shards
//     then           buckets x shards (4 bytes each)
//     then           arenas x shards, of equal size
#ifndef KILL9_VARIANTS_STORES_LOCKED_SPACE_H_
#define KILL9_VARIANTS_STORES_LOCKED_SPACE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment.h"
#include "variants/store.h"
#include "variants/stores/locked/ledger.h"
#include "variants/stores/locked/shard.h"
#include "variants/stores/locked/shard_guard.h"

namespace kill9::locked {

// At the start of the body.
struct StoreHeader {
  // Held while the dead are recovered; no shard's mutex is held when it is taken.
  alignas(64) RobustMutex recovery_mutex;
  // The recoverer's, whoever it is.
  Journal::Area recovery_journal;
};
static_assert(std::is_standard_layout_v<StoreHeader> && sizeof(StoreHeader) % 64 == 0);

// SegmentHeader::parameters
enum Parameter : uint32_t { kShards, kBucketsPerShard, kArenasBegin, kArenaBytes };

class Space {
 public:
  static constexpr uint32_t kMaxShards = 4096;

  // Lays a new segment out. `shards` is a power of two; kInvalidArgument if the segment is too
  // small.
  static absl::Status Format(Segment& segment, SegmentHeader& header, uint64_t expected_entries,
                             uint32_t shards);
  // kDataLoss if the header's parameters contradict the segment's size.
  static absl::Status Check(const Segment& segment);

  explicit Space(std::shared_ptr<Segment> segment);

  uint32_t shard_count() const { return static_cast<uint32_t>(shards_.size()); }
  Shard& shard(uint32_t index) { return shards_[index]; }
  uint32_t ShardOf(uint64_t hash) const { return static_cast<uint32_t>(hash) & shard_mask_; }
  uint32_t ArenaOf(uint64_t payload) const {
    return static_cast<uint32_t>((payload - arenas_begin_) / arena_bytes_);
  }
  Entry* EntryAt(uint64_t payload) const { return reinterpret_cast<Entry*>(base_ + payload); }
  uint64_t Hash(std::string_view key) const { return segment_->Hash(key); }
  // What PrefetchHints has to know.
  uint64_t bucket_count() const { return shards_.size() * shards_[0].bucket_count(); }
  uint64_t ref_count() const { return segment_->size() / kRefUnit; }
  const ParticipantTable& participants() const { return participants_; }
  Ledger& ledger(uint32_t slot) const { return participants_.ledger_as<Ledger>(slot); }
  uint64_t max_payload_bytes() const { return shards_[0].heap.max_payload_bytes(); }

  JournalOwner JournalOwnerOf(uint32_t slot) const { return {ledger(slot).journal, slot + 1}; }
  // Inlined: so what an operation does not use of its session is never written.
  [[gnu::always_inline]] ShardGuard Enter(
      uint32_t shard, JournalOwner hand,
      ShardGuard::LockMode lock_mode = ShardGuard::LockMode::kWait) {
    return ShardGuard(base_, *shards_[shard].header, shard, hand, lock_mode,
                      [this](uint64_t id, uint32_t index) { return UndoJournal(id, index); });
  }

  // Gives back what a row holds. REQUIRES: the row is the caller's own, or a dead participant's and
  // the caller holds the recovery mutex. Returns the number of blocks that became free. kDataLoss:
  // the row, or what it names, is damaged; it holds nothing from then on.
  absl::StatusOr<uint64_t> ReleaseRow(uint64_t& row, JournalOwner hand);
  // The entry that a row of kind kOwn names; null: it is damaged.
  Entry* OwnedEntry(uint64_t row) const;

  // Recovers every dead participant. Callable without being one; holds no shard's mutex on entry.
  // kDataLoss: something of them was damaged; the rest was recovered.
  absl::StatusOr<RecoveryReport> RecoverDead();

  // REQUIRES: nobody is admitted, and nobody can be (ClaimAdmitted).
  void ResetMutexes();

  AuditReport Audit(JournalOwner hand);
  // Whether some arena has so many bytes in a row that nothing uses (audit.cc). kDataLoss: a shard
  // cannot be entered.
  absl::StatusOr<bool> HasRoom(uint64_t payload_bytes, JournalOwner hand);

 private:
  // Undoes what the journal of this id says of the shard.
  Journal::Undone UndoJournal(uint64_t id, uint32_t index) const;
  // Whether a transaction can have changed these bytes: a shard's heap, buckets, entries and
  // blocks, or a ledger's rows.
  bool MayChange(uint64_t offset, uint64_t bytes) const;
  JournalOwner RecoveryJournalOwner() const {
    return {header_->recovery_journal, JournalOwner::kRecoverer};
  }
  // Undoes what a dead participant's or recoverer's journal is about. False: it is damaged.
  // REQUIRES: the recovery mutex is held.
  bool FinishJournal(Journal::Area& dead, RecoveryReport& report);
  // False: something of it was damaged; the rest was recovered.
  bool RecoverSlot(uint32_t slot, RecoveryReport& report);

  std::shared_ptr<Segment> segment_;
  char* base_;
  StoreHeader* header_;
  ParticipantTable participants_;
  std::vector<Shard> shards_;
  uint32_t shard_mask_;
  uint64_t shards_begin_;
  uint64_t arenas_begin_;
  uint64_t arena_bytes_;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_SPACE_H_

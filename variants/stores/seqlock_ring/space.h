// Room in the ring: leases of chunks, and holds on what is being written or is pinned.
//
// A lease is the right to try: a range of positions that only this participant was handed. It
// protects nothing, and anyone who comes round a lap later takes it away. A hold protects: bytes
// are written, and pinned bytes are shown, only under a hold that was validated after it had been
// published.
//
// W1  hold published; then claim read (holder)      W2  claim raised; then holds read (opener)
//     Both in the single order of sequentially consistent operations, so at least one sees the
//     other: an opener that may write has seen no live hold, and a holder whose claim stands is
//     seen by every later opener, which lowers its claim again.
//
// PROGRESS: lock-free; nobody waits for anybody. ON CRASH: a lease is forgotten, a hold is ignored
// as soon as its participant is known to be dead.
#ifndef KILL9_VARIANTS_STORES_SEQLOCK_RING_SPACE_H_
#define KILL9_VARIANTS_STORES_SEQLOCK_RING_SPACE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "variants/segment/participants.h"
#include "variants/segment/processor.h"
#include "variants/store.h"
#include "variants/stores/seqlock_ring/layout.h"

namespace kill9::ring {

// Returns the holds of a dead participant. REQUIRES: MarkIfDead said so of this slot and
// generation. Several may do it at once, and die at it; each hold is counted by one of them.
void RecoverSlot(const Geometry& geometry, const ParticipantTable& table, uint32_t slot,
                 uint32_t generation, RecoveryReport* report);

class Space {
 public:
  Space(const Geometry& geometry, const ParticipantTable& table, uint32_t slot, uint32_t generation)
      : geometry_(geometry),
        table_(table),
        slot_(slot),
        generation_(generation),
        ledger_(table.ledger_as<Ledger>(slot)),
        mapped_(geometry.chunk_count) {}

  // Room for a record, under hold number `hold`, which is validated: the bytes are this
  // participant's from *position until EndHold. kResourceExhausted: live holds leave no room.
  // kDataLoss: the cursor, or what it is compared with, is damaged.
  absl::Status Reserve(uint64_t units, int hold, uint64_t* position) {
    if (!LeaseIsStale() && ReserveInLease(units, hold, position)) [[likely]]
      return absl::OkStatus();
    return ReserveAnew(units, hold, position);
  }
  // Gives back what Reserve returned, if nothing was reserved since. REQUIRES: never published.
  void Unreserve(uint64_t position, uint64_t units);

  // Holds a record for reading. False: somebody may be about to overwrite it; nothing is held.
  bool HoldForReading(int hold, uint64_t position, uint64_t units);
  void EndHold(int hold) {
    bits_ &= ~(uint32_t{1} << hold);
    // Release: what was written or read under the hold is over for the opener that sees this
    // (SlotHolds). [spare release under compiler: what a victim wrote under it an update has
    // published before, or nobody will]
    ledger_.claims.store(bits_ == 0 ? 0 : uint64_t{generation_} << 32 | bits_,
                         std::memory_order_release);
  }
  int FreeHold() const;  // one for a pin or a draft; -1 if there is none

  // The next operation starts a lease of its own.
  void DropLease() { lease_ = {}; }
  // The record is in the last quarter of its life.
  bool NearEdge(uint64_t position) const;

  Ledger& ledger() const { return ledger_; }
  uint32_t slot() const { return slot_; }
  uint64_t laps() const { return laps_; }

 private:
  struct Lease {
    uint64_t next = 0;      // position of the first free unit
    uint64_t end = 0;       // one past the last
    uint64_t marked = 0;    // one past the last sequence whose content word says that it is ours
    uint64_t stale_at = 0;  // when the cursor gets here, half a lap has gone by
  };
  enum class Opened { kYes, kHeld, kLost, kDamaged };

  void BeginHold(int hold, uint64_t position, uint64_t units_and_kind) {
    // Relaxed: the store to claims publishes both; a reader that takes a later hold for this one
    // finds the truth, or its holder finds the reader's claim (W1).
    ledger_.holds[hold].position.store(position, std::memory_order_relaxed);
    ledger_.holds[hold].units.store(units_and_kind, std::memory_order_relaxed);
    bits_ |= uint32_t{1} << hold;
    // W1: sequentially consistent with the claims' CAS and the load of claims in SlotHolds.
    ledger_.claims.store(uint64_t{generation_} << 32 | bits_, std::memory_order_seq_cst);
  }
  bool ClaimStands(uint64_t position, uint64_t units) const {
    const uint64_t last = geometry_.SequenceOf(position + units - 1);
    for (uint64_t sequence = geometry_.SequenceOf(position); sequence <= last; ++sequence) {
      // W1: sequentially consistent with BeginHold and with the CAS in Open.
      if (geometry_.chunks[geometry_.ChunkOf(sequence)].claim.load(std::memory_order_seq_cst) !=
          sequence) {
        return false;
      }
    }
    return true;
  }
  void MarkContent(uint64_t position, uint64_t units) {
    const uint64_t last = geometry_.SequenceOf(position + units - 1);
    for (; lease_.marked <= last; ++lease_.marked) {
      // Release: as StoreWord (R1): who sees a word written after this sees this. Under a validated
      // hold, so that no later opener has been here. [spare release under compiler: the hold before
      // it is seq_cst, and all words after it release]
      geometry_.chunks[geometry_.ChunkOf(lease_.marked)].content.store(lease_.marked,
                                                                       std::memory_order_release);
    }
  }
  bool LeaseIsStale() const {
    // Relaxed: cleared records may be written to for nobody to see, which a cache may; and an old
    // lease is given up only so that its records live longer.
    return lease_.next < geometry_.header->floor.load(std::memory_order_relaxed) ||
           geometry_.header->cursor.load(std::memory_order_relaxed) > lease_.stale_at;
  }
  // As Reserve. False: the lease has no room, or is nobody's any more; nothing is held.
  bool ReserveInLease(uint64_t units, int hold, uint64_t* reserved) {
    if (lease_.end - lease_.next < units) return false;
    const uint64_t position = lease_.next;
    // The next record's lines come while this one is being written.
    PrefetchToWrite(geometry_.At(position + units));
    PrefetchToWrite(geometry_.At(position + units) + kUnitBytes);
    BeginHold(hold, position, units | kWriteHold);
    if (!ClaimStands(position, units)) {  // somebody came round and took the lease
      EndHold(hold);
      return false;
    }
    MarkContent(position, units);
    lease_.next = position + units;
    *reserved = position;
    return true;
  }
  absl::Status ReserveAnew(uint64_t units, int hold, uint64_t* position);
  absl::Status NewLease(uint64_t units);
  bool LooksCleared(uint64_t sequence) const;
  static absl::Status Damaged();
  void MapPages(uint64_t first_chunk, uint64_t count);
  Opened Open(uint64_t sequence, uint64_t count, uint64_t* held_until_chunk);
  bool FindHold(uint64_t first_chunk, uint64_t count, uint64_t* held_until_chunk) const;
  bool SlotHolds(uint32_t slot, uint64_t first_chunk, uint64_t count,
                 uint64_t* held_until_chunk) const;

  const Geometry& geometry_;
  ParticipantTable table_;
  uint32_t slot_;
  uint32_t generation_;
  Ledger& ledger_;
  uint32_t bits_ = 0;  // what ledger_.claims says
  Lease lease_;
  uint64_t laps_ = 0;
  std::vector<uint64_t> former_claims_;
  std::vector<bool> mapped_;  // of each chunk: this process has its pages
};

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_STORES_SEQLOCK_RING_SPACE_H_

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
#ifndef KILL9_VARIANTS_SEQLOCK_RING_SPACE_H_
#define KILL9_VARIANTS_SEQLOCK_RING_SPACE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "variants/participants.h"
#include "variants/seqlock_ring/layout.h"
#include "variants/store.h"

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
        ledger_(table.ledger_as<Ledger>(slot)) {}

  // Room for a record, under hold number `hold`, which is validated: the bytes are this
  // participant's until EndHold. kResourceExhausted: live holds leave no room.
  absl::StatusOr<uint64_t> Reserve(uint64_t units, int hold);
  // Gives back what Reserve returned, if nothing was reserved since. REQUIRES: never published.
  void Unreserve(uint64_t position, uint64_t units);

  // Holds a record for reading. False: somebody may be about to overwrite it; nothing is held.
  bool HoldForReading(int hold, uint64_t position, uint64_t units);
  void EndHold(int hold);
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
    uint64_t next = 0;    // position of the first free unit
    uint64_t end = 0;     // one past the last
    uint64_t marked = 0;  // one past the last sequence whose content word says that it is ours
  };
  enum class Opened { kYes, kHeld, kLost };

  void BeginHold(int hold, uint64_t position, uint64_t units_and_kind);
  bool ClaimStands(uint64_t position, uint64_t units) const;
  void MarkContent(uint64_t position, uint64_t units);
  bool LeaseIsStale() const;
  absl::Status NewLease(uint64_t units);
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
};

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_SEQLOCK_RING_SPACE_H_

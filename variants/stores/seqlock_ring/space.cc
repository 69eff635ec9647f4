#include "variants/stores/seqlock_ring/space.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "variants/stores/seqlock_ring/record.h"

namespace kill9::ring {

// ---- Holds --------------------------------------------------------------------------------------

int Space::FreeHold() const {
  const uint32_t taken = bits_ | uint32_t{1} << kPutHold | uint32_t{1} << kSourceHold;
  return ~taken == 0 ? -1 : std::countr_one(taken);
}

bool Space::HoldForReading(int hold, uint64_t position, uint64_t units) {
  BeginHold(hold, position, units);
  if (ClaimStands(position, units)) return true;
  EndHold(hold);
  return false;
}

bool Space::SlotHolds(uint32_t slot, uint64_t first_chunk, uint64_t count,
                      uint64_t* held_until_chunk) const {
  const Ledger& ledger = table_.ledger_as<Ledger>(slot);
  // W2: sequentially consistent with BeginHold. Acquire: pairs with EndHold, so that what was read
  // or written under a hold that has ended is over before the opener writes.
  const uint64_t claims = ledger.claims.load(std::memory_order_seq_cst);
  uint32_t bits = static_cast<uint32_t>(claims);
  bool held = false;
  for (; bits != 0; bits &= bits - 1) {
    const Hold& hold = ledger.holds[std::countr_zero(bits)];
    // Relaxed: ordered by the load of claims above.
    const uint64_t position = hold.position.load(std::memory_order_relaxed);
    const uint64_t units = hold.units.load(std::memory_order_relaxed) & ~kWriteHold;
    const uint64_t unit = geometry_.UnitOf(position);
    const uint64_t first = unit >> geometry_.chunk_unit_bits;
    const uint64_t last = (unit + std::max<uint64_t>(units, 1) - 1) >> geometry_.chunk_unit_bits;
    if (last < first_chunk || first >= first_chunk + count) continue;
    held = true;
    *held_until_chunk = std::max(*held_until_chunk, last + 1);
  }
  if (!held || slot == slot_) return held;
  // P3: a free slot holds nothing, nor does a participant hold what names another generation. Its
  // holds ended after we had read `claims`, or are damage.
  if (table_.state(slot) == ParticipantState::kFree || claims >> 32 != table_.generation(slot)) {
    return false;
  }
  uint32_t generation = 0;
  if (!table_.MarkIfDead(slot, &generation)) return true;
  RecoveryReport ignored;
  RecoverSlot(geometry_, table_, slot, generation, &ignored);
  return false;
}

bool Space::FindHold(uint64_t first_chunk, uint64_t count, uint64_t* held_until_chunk) const {
  // Sequentially consistent: a participant that is missed here attached after our claim, and sees
  // it (W2).
  const uint64_t slots = geometry_.header->attached_slots.load(std::memory_order_seq_cst);
  for (uint32_t slot = 0; slot < slots && slot < table_.size(); ++slot) {
    if (SlotHolds(slot, first_chunk, count, held_until_chunk)) return true;
  }
  return false;
}

void RecoverSlot(const Geometry& geometry, const ParticipantTable& table, uint32_t slot,
                 uint32_t generation, RecoveryReport* report) {
  Ledger& ledger = table.ledger_as<Ledger>(slot);
  // Acquire: pairs with the victim's stores to claims; its holds are as it left them. [spare
  // acquire: MarkIfDead has acquired what the victim did, and others' claims are not of its
  // generation]
  uint64_t claims = ledger.claims.load(std::memory_order_acquire);
  RecoveryReport mine;
  if (claims >> 32 == generation) {
    for (uint32_t bits = static_cast<uint32_t>(claims); bits != 0; bits &= bits - 1) {
      const Hold& hold = ledger.holds[std::countr_zero(bits)];
      // Relaxed: ordered by the load of claims.
      const uint64_t units = hold.units.load(std::memory_order_relaxed);
      const uint64_t position = hold.position.load(std::memory_order_relaxed);
      mine.blocks += units & ~kWriteHold;
      RecordHead head;
      if ((units & kWriteHold) != 0 && !ReadHead(geometry, MakeEntry(0, position), &head)) {
        ++mine.rolled_back;
      }
    }
    // The generation makes this fail where another recoverer has been, and a new owner holds
    // something. Release: pairs with SlotHolds. Dies before -> the next recoverer does it; dies
    // after -> the slot is Dead with an empty ledger; a successor sees -> nothing left to return.
    if (ledger.claims.compare_exchange_strong(claims, 0, std::memory_order_acq_rel,
                                              std::memory_order_relaxed)) {
      report->blocks += mine.blocks;
      report->rolled_back += mine.rolled_back;
    }
  }
  if (table.MarkRecovered(slot, generation)) ++report->participants;
}

// ---- Leases -------------------------------------------------------------------------------------

Space::Opened Space::Open(uint64_t sequence, uint64_t count, uint64_t* held_until_chunk) {
  const uint64_t first_chunk = geometry_.ChunkOf(sequence);
  former_claims_.clear();
  Opened opened = Opened::kYes;
  for (uint64_t i = 0; i < count && opened == Opened::kYes; ++i) {
    std::atomic<uint64_t>& claim = geometry_.chunks[first_chunk + i].claim;
    // Relaxed: the CAS decides.
    uint64_t former = claim.load(std::memory_order_relaxed);
    do {
      if (former >= sequence + i) {  // we slept for a lap
        // I7. Acquire: pairs with the CAS below, which comes after its opener's of the cursor.
        former = claim.load(std::memory_order_acquire);
        // Relaxed: ordered by the load of the claim.
        opened = former >= geometry_.header->cursor.load(std::memory_order_relaxed)
                     ? Opened::kDamaged
                     : Opened::kLost;
        break;
      }
      // W2: sequentially consistent with the holders' load of the claim.
      // Dies before or after -> at most a claim without a lease: records stay readable, a pin moves
      // them.
    } while (!claim.compare_exchange_weak(former, sequence + i, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    if (opened == Opened::kYes) former_claims_.push_back(former);
  }
  if (opened == Opened::kYes && FindHold(first_chunk, count, held_until_chunk)) {
    opened = Opened::kHeld;
  }
  if (opened == Opened::kYes) return opened;
  for (uint64_t i = 0; i < former_claims_.size(); ++i) {
    uint64_t ours = sequence + i;
    // Relaxed: nothing was written, so there is nothing to publish. It fails where a later opener
    // came.
    geometry_.chunks[first_chunk + i].claim.compare_exchange_strong(
        ours, former_claims_[i], std::memory_order_relaxed, std::memory_order_relaxed);
  }
  return opened;
}

// A process that comes to a chunk for the first time has none of its pages yet: to ask for all of
// them at once costs less than a fault for each (of 4 KiB: each 32nd small record).
void Space::MapPages(uint64_t first_chunk, uint64_t count) {
  constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, Linux 5.14; maps 64 KiB at a time
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  for (uint64_t chunk = first_chunk; chunk < first_chunk + count; ++chunk) {
    if (mapped_[chunk]) continue;
    mapped_[chunk] = true;
    const auto begin = reinterpret_cast<uint64_t>(
        geometry_.ring + (chunk << geometry_.chunk_unit_bits) * kUnitBytes);
    const uint64_t end = begin + geometry_.chunk_units() * kUnitBytes;
    // Best effort: without it the pages come one by one.
    madvise(reinterpret_cast<void*>(begin / page * page), end - begin / page * page, kPopulateRead);
  }
}

// Whether what will be written there is cleared already. The floor is never above the cursor
// (Clear), and both only rise.
bool Space::LooksCleared(uint64_t sequence) const {
  // Acquire: pairs with Clear.
  const uint64_t floor = geometry_.header->floor.load(std::memory_order_acquire);
  // Loaded after the floor, which was taken from an earlier cursor. Relaxed: its own order
  // suffices.
  const uint64_t cursor = geometry_.header->cursor.load(std::memory_order_relaxed);
  return geometry_.SequenceOf(floor) > std::max(sequence, cursor);
}

absl::Status Space::Damaged() {
  return absl::DataLossError(
      "the segment is damaged: the ring's cursor, claims and floor contradict each other; create "
      "it "
      "anew");
}

absl::Status Space::NewLease(uint64_t units) {
  const uint64_t count = (units + geometry_.chunk_units() - 1) >> geometry_.chunk_unit_bits;
  std::atomic<uint64_t>& cursor = geometry_.header->cursor;
  bool any_held = false;
  for (uint64_t passed = 0;;) {
    // Two laps without an opening: everything is held; or others were faster, who may go round a
    // ring of few chunks any number of times.
    if (passed > 2 * geometry_.chunk_count + count) {
      if (any_held) {
        return absl::ResourceExhaustedError(
            "the ring is full: living participants hold what is in the way");
      }
      passed = 0;
    }
    // Relaxed: each CAS of the cursor hands a sequence to one opener, and orders nothing else; what
    // was in the chunk is guarded by claims and holds.
    uint64_t sequence = cursor.load(std::memory_order_relaxed);
    const uint64_t chunk = geometry_.ChunkOf(sequence);
    if (chunk >= geometry_.chunk_count || sequence >> (63 - geometry_.chunk_unit_bits) != 0 ||
        LooksCleared(sequence)) {
      return Damaged();
    }
    const bool fits = chunk + count <= geometry_.chunk_count;
    const uint64_t step = fits ? count : geometry_.chunk_count - chunk;
    const uint64_t next = geometry_.Advance(sequence, step);
    // Dies after -> the chunks keep what is in them for another lap.
    if (!cursor.compare_exchange_weak(sequence, next, std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
      continue;
    }
    if (geometry_.ChunkOf(next) == 0) ++laps_;
    if (!fits) {
      passed += step;
      continue;
    }
    uint64_t held_until_chunk = 0;
    const Opened opened = Open(sequence, count, &held_until_chunk);
    if (opened == Opened::kDamaged) return Damaged();
    any_held |= opened == Opened::kHeld;
    if (opened == Opened::kYes) {
      lease_.next = sequence << geometry_.chunk_unit_bits;
      lease_.end = (sequence + count) << geometry_.chunk_unit_bits;
      lease_.marked = sequence;
      lease_.stale_at = geometry_.After(sequence, geometry_.chunk_count / 2 + 1);
      MapPages(chunk, count);
      return absl::OkStatus();
    }
    passed += step;
    if (held_until_chunk >
        chunk + step) {  // past a long hold in one go, unless others moved the cursor
      // Relaxed: as above, the cursor orders nothing else.
      uint64_t expected = next;
      const uint64_t jump = held_until_chunk - chunk - step;
      if (geometry_.ChunkOf(next) != 0 &&
          cursor.compare_exchange_strong(expected, geometry_.Advance(next, jump),
                                         std::memory_order_relaxed, std::memory_order_relaxed)) {
        passed += jump;
        if (geometry_.ChunkOf(geometry_.Advance(next, jump)) == 0) ++laps_;
      }
    }
  }
}

bool Space::NearEdge(uint64_t position) const {
  // Relaxed: a hint.
  const uint64_t cursor = geometry_.header->cursor.load(std::memory_order_relaxed);
  return geometry_.AgeOf(geometry_.SequenceOf(position), cursor) * 4 > geometry_.chunk_count * 3;
}

absl::Status Space::ReserveAnew(uint64_t units, int hold, uint64_t* position) {
  do {
    lease_ = {};
    if (absl::Status status = NewLease(units); !status.ok()) return status;
  } while (!ReserveInLease(units, hold, position));
  return absl::OkStatus();
}

void Space::Unreserve(uint64_t position, uint64_t units) {
  if (lease_.next == position + units) lease_.next = position;
}

}  // namespace kill9::ring

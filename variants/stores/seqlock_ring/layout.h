// The layout of a seqlock_ring segment, and the words in it. The argument why all this is safe is
// in docs/decisions/2026-11-22-seqlock-ring.md.
//
//     body:  RingHeader | Bucket[bucket_count] | ChunkState[chunk_count] | ring: chunk_count chunks
//
// I1  No word ever repeats in an index slot or in a bucket's control (until 2^48 positions have
//     passed).
// I2  A tag is at most once among the entries of a bucket; staged in control it may be there a
//     second time, with the same position, while it is being moved.
// I3  An entry names a position whose record is sealed with it, or has been overwritten since
//     ("nothing").
// I4  A sealed record that an entry names hashes to that entry's bucket and tag, and its checksum
//     holds.
// I5  Its version is at least 1 and at most the bucket's stamp.
// I6  Readable records that entries name do not overlap.
// I7  content <= claim < cursor, for every chunk, and each names this chunk.
// I8  A hold lies inside the ring. A validated one (claim = its sequence) overlaps no other
//     validated hold, unless both are pins.
// I9  Whenever an entry stops being the key's though nobody asked for that, whoever did it wakes
//     those who wait for a lease, which may have been in it (variants/terms/leases.cc). So do who
//     has written to room that it was given, also if it publishes nothing there (a draft, a
//     refused swap, a move); who settles an entry in another's place; a pin and a swap that remove
//     what they cannot hold; Clear.
#ifndef KILL9_VARIANTS_STORES_SEQLOCK_RING_LAYOUT_H_
#define KILL9_VARIANTS_STORES_SEQLOCK_RING_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "absl/status/statusor.h"
#include "variants/segment.h"

namespace kill9::ring {

inline constexpr size_t kUnitBytes = 64;
inline constexpr size_t kMaxKeyBytes = 1024;

// ---- Index words --------------------------------------------------------------------------------
// 4 bits kind | 12 bits tag | 48 bits of the position.
inline constexpr int kPositionBits = 48;
inline constexpr int kTagBits = 12;
inline constexpr uint64_t kPositionMask = (uint64_t{1} << kPositionBits) - 1;
inline constexpr uint64_t kTagMask = (uint64_t{1} << kTagBits) - 1;
inline constexpr int kKindShift = kPositionBits + kTagBits;
inline constexpr uint64_t kVacant = 0;  // an empty slot, or an idle control
inline constexpr uint64_t kEntry = 1;
inline constexpr uint64_t kStaged = 8;  // + the slot that the entry is to move to
inline constexpr int kSlotsPerBucket = 6;
inline constexpr uint64_t kEntriesPerBucket =
    2;  // expected; a third of the slots: conflicts are rare

// A hint (PrefetchHints) is a record's unit and its entry's slot.
inline constexpr uint64_t kSlotsOfHint = 8;
static_assert(kSlotsPerBucket <= kSlotsOfHint);

constexpr uint64_t MakeEntry(uint64_t tag, uint64_t position) {
  return kEntry << kKindShift | tag << kPositionBits | (position & kPositionMask);
}
constexpr uint64_t KindOf(uint64_t word) { return word >> kKindShift; }
constexpr uint64_t TagOf(uint64_t word) { return word >> kPositionBits & kTagMask; }
constexpr uint64_t ShortPosition(uint64_t word) { return word & kPositionMask; }
// Whether two words, or a word and a full position, agree in the short position.
constexpr bool SamePosition(uint64_t a, uint64_t b) { return (a ^ b) << (64 - kPositionBits) == 0; }
constexpr uint64_t WithKind(uint64_t word, uint64_t kind) {
  return (word & ((uint64_t{1} << kKindShift) - 1)) | kind << kKindShift;
}
constexpr bool IsStaged(uint64_t control) { return KindOf(control) >= kStaged; }
constexpr bool IsEntryOf(uint64_t word, uint64_t tag) {
  return word >> kPositionBits == (kEntry << kTagBits | tag);
}

// Written by every writer of one of its keys, read by everyone.
struct alignas(64) Bucket {
  std::atomic<uint64_t> control;  // vacant: idle; staged: the newest entry, on its way to its slot
  std::atomic<uint64_t> stamp;    // the last version given out
  std::atomic<uint64_t> slots[kSlotsPerBucket];
};
static_assert(sizeof(Bucket) == 64 && std::is_standard_layout_v<Bucket> &&
              std::atomic<uint64_t>::is_always_lock_free);
static_assert(kStaged + kSlotsPerBucket <= 16, "a slot fits into the kind of a staged word");

// ---- Space --------------------------------------------------------------------------------------
struct ChunkState {
  std::atomic<uint64_t> claim;    // the sequence of the last opener; lowered only by that opener
  std::atomic<uint64_t> content;  // the sequence of the last one that wrote here; never lowered
};
static_assert(sizeof(ChunkState) == 16 && std::is_standard_layout_v<ChunkState>);

struct RingHeader {
  // The next sequence to open. Written by whoever opens a chunk.
  alignas(64) std::atomic<uint64_t> cursor;
  // Records at positions below are cleared. Written by Clear, read by every operation.
  alignas(64) std::atomic<uint64_t> floor;
  // One more than the highest participant slot that was ever attached. Written by Attach.
  std::atomic<uint64_t> attached_slots;
};
static_assert(sizeof(RingHeader) == 128 && std::is_standard_layout_v<RingHeader>);

// ---- Ledger -------------------------------------------------------------------------------------
struct Hold {
  std::atomic<uint64_t> position;
  std::atomic<uint64_t> units;  // and kWriteHold
};
inline constexpr uint64_t kWriteHold = uint64_t{1} << 63;  // a write or draft, not a pin
inline constexpr int kHolds = 32;
inline constexpr int kPutHold = 0;             // of the write under way
inline constexpr int kSourceHold = 1;          // of the record that it moves, or swaps
inline constexpr int kUserHolds = kHolds - 2;  // pins and drafts

struct Counters {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t evictions = 0;   // entries that gave way in a full bucket
  uint64_t laps = 0;        // times the cursor passed the ring's end
  uint64_t promotions = 0;  // records moved to the front
};

// All of it is written by its participant while it lives, and `claims` by recoverers after. When
// `claims` is zero the holds mean nothing. The counters go on from one participant of a slot to the
// next.
struct alignas(64) Ledger {
  std::atomic<uint64_t> claims;  // generation << 32 | a bit for each hold; zero: none
  uint64_t reserved;
  Hold holds[kHolds];
  alignas(64) std::atomic<uint64_t> hits;
  std::atomic<uint64_t> misses;
  std::atomic<uint64_t> evictions;
  std::atomic<uint64_t> laps;
  std::atomic<uint64_t> promotions;
};
static_assert(sizeof(Ledger) == 640 && std::is_standard_layout_v<Ledger>);

// ---- Geometry -----------------------------------------------------------------------------------
// Where things are in this process's mapping. Immutable; a private copy, so that it costs no shared
// line.
struct Geometry {
  RingHeader* header = nullptr;
  Bucket* buckets = nullptr;
  ChunkState* chunks = nullptr;
  char* ring = nullptr;
  uint64_t bucket_count = 0;
  uint64_t chunk_count = 0;
  int chunk_unit_bits = 0;   // log2 of the units of a chunk
  int chunk_index_bits = 0;  // of a sequence, below the lap
  uint64_t secret = 0;

  uint64_t units = 0;       // of the ring
  uint64_t unit_mask = 0;   // of a position's unit
  uint64_t chunk_mask = 0;  // of a position's unit in its chunk

  uint64_t chunk_units() const { return chunk_mask + 1; }
  uint64_t ring_units() const { return units; }
  uint64_t ChunkOf(uint64_t sequence) const {
    return sequence & ((uint64_t{1} << chunk_index_bits) - 1);
  }
  uint64_t SequenceOf(uint64_t position) const { return position >> chunk_unit_bits; }
  // The unit's index in the ring; the short position is enough.
  uint64_t UnitOf(uint64_t position) const { return position & unit_mask; }
  char* At(uint64_t position) const { return ring + UnitOf(position) * kUnitBytes; }
  uint64_t MarkOf(uint64_t position) const { return position ^ secret; }
  // The sequence that follows the chunks [sequence, sequence + count) of one lap.
  uint64_t Advance(uint64_t sequence, uint64_t count) const {
    if (ChunkOf(sequence) + count < chunk_count) return sequence + count;
    return ((sequence >> chunk_index_bits) + 1) << chunk_index_bits;
  }
  // The sequence `count` chunks after `sequence`. REQUIRES: count < chunk_count.
  uint64_t After(uint64_t sequence, uint64_t count) const {
    if (ChunkOf(sequence) + count < chunk_count) return sequence + count;
    return (((sequence >> chunk_index_bits) + 1) << chunk_index_bits) + ChunkOf(sequence) + count -
           chunk_count;
  }
  // How many chunks the cursor has gone since it handed out `sequence`.
  uint64_t AgeOf(uint64_t sequence, uint64_t cursor) const {
    return ((cursor >> chunk_index_bits) - (sequence >> chunk_index_bits)) * chunk_count +
           ChunkOf(cursor) - ChunkOf(sequence);
  }
  Bucket& BucketOf(uint64_t hash) const {
    return buckets[static_cast<uint64_t>(static_cast<unsigned __int128>(hash) * bucket_count >>
                                         64)];
  }
};

constexpr uint64_t TagOfHash(uint64_t hash) { return hash & kTagMask; }

SegmentLayout Layout();
// Lays out the body. `first_lap` is 1, unless a test wants to see the positions wrap.
absl::Status Format(Segment& segment, SegmentHeader& header, uint64_t expected_entries,
                    uint64_t first_lap);
absl::StatusOr<Geometry> GeometryOf(const Segment& segment);

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_STORES_SEQLOCK_RING_LAYOUT_H_

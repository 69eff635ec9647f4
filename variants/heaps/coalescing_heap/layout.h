// The segment of a coalescing_heap: what lies where, who writes it, and what must hold.
//
//     body               HeapHeader
//     wake-up page       (variants/channels/shared/sleepers.h)
//     arena              of locked::Heap (boundary tags), to the end of the segment
//
// A block of the arena that is in use begins with a BlockHeader; behind it are the user's bytes.
// It is *live*, or *reserved*: then it is in the chain of a ledger's row.
//
// O1  Everything is read and written under the mutex, but for the users' bytes, and for an owner's
//     own look at its block where one word has all owners (CoalescingHeap::DoData).
// O2  A change is one store, or one transaction of the journal: no death shows a part of it.
// O3  The owners of a block are the bits that are set, one for each slot, and nothing counts them
//     elsewhere. A live block has at least one. Each has a member's ledger.
// O4  A reserved block has one owner, and is in one chain, of one of that owner's rows.
// O5  Each generation is given once. The word that has it has another value (0, or a link of the
//     arena, which is smaller than each generation) once the block is free.
// O6  A bit is set only while the ledger of its slot names a member (`member`), which its owner
//     writes before it does anything else and clears, under the mutex, with the last bit.
// O7  The blocks tile the arena, and all that locked::Heap says of it holds.
#ifndef KILL9_VARIANTS_HEAPS_COALESCING_HEAP_LAYOUT_H_
#define KILL9_VARIANTS_HEAPS_COALESCING_HEAP_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "variants/channels/shared/sleepers.h"
#include "variants/segment/admission/mutex_admission.h"
#include "variants/segment/robust_mutex.h"
#include "variants/segment/round_up.h"
#include "variants/stores/locked/heap.h"
#include "variants/stores/locked/journal.h"

namespace kill9::coalescing_heap {

using locked::Journal;

struct HeapHeader {
  alignas(64) RobustMutex mutex;
  // Under the mutex, outside the journal: a generation that an undone operation took is never given
  // again (O5).
  alignas(64) uint64_t last_generation;
  uint64_t writer;        // not 0: there may be something to undo
  SleepersWord for_room;  // who waits for room
  Journal::Area journal;  // of whoever has the mutex
  locked::Heap::Header arena;
};
static_assert(std::is_standard_layout_v<HeapHeader>);

struct BlockHeader {
  enum Kind : uint64_t { kLive = 1, kReserved = 2, kKindMask = 3 };
  static constexpr uint64_t kGenerationBit = uint64_t{1} << 63;  // of each generation (O5)

  uint64_t generation;
  uint64_t size_kind;      // bytes << 2 | Kind
  uint64_t next_reserved;  // of a reserved block: the payload of the next of its chain; 0: none
  // Then the owners: a bit for each slot, in words of 64.

  static constexpr uint64_t Bytes(uint32_t owner_words) {
    return RoundUp(sizeof(BlockHeader) + owner_words * sizeof(uint64_t), locked::Heap::kGranule);
  }
  uint64_t* owners() { return reinterpret_cast<uint64_t*>(this + 1); }
  uint64_t bytes() const { return size_kind >> 2; }
  bool is(Kind kind) const {
    return (generation & kGenerationBit) != 0 && (size_kind & kKindMask) == kind;
  }
};
static_assert(std::is_standard_layout_v<BlockHeader> && sizeof(BlockHeader) == 24 &&
              offsetof(BlockHeader, generation) == 0);  // where the arena has its links (O5)

struct Ledger {
  static constexpr uint32_t kReserves = 16;

  MutexAdmission admission;
  // generation << 32 | 1: the member that may own blocks (O6). Under the mutex.
  uint64_t member;
  // The payload of the first block of each reserve; 0: there is no such reserve, or none is left of
  // it. Under the mutex.
  uint64_t reserves[kReserves];

  static constexpr uint64_t MemberWord(uint32_t generation) {
    return uint64_t{generation} << 32 | 1;
  }
};
static_assert(std::is_standard_layout_v<Ledger>);

// SegmentHeader::parameters
enum Parameter : uint32_t { kArenaBegin, kArenaBytes };

inline constexpr uint64_t kSmallestArenaBytes = 4096;

}  // namespace kill9::coalescing_heap

#endif  // KILL9_VARIANTS_HEAPS_COALESCING_HEAP_LAYOUT_H_

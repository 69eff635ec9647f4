// The segment of a buffer pool: what lies where, who writes it, and what must hold.
//
//     body               PoolHeader
//     wake-up page       (variants/channels/shared/sleepers.h)
//     descriptors        one for each buffer that there can be
//     arena              of locked::Heap (boundary tags), to the end of the segment
//
// A *buffer* is a block of the arena with a descriptor. Who has it says the descriptor, by one word
// for each *hold*:
//
//     Free(n) --share--> Held(n+1, participant) --pass on--> Sent(n+2, box) --receive-->
//     Held(n+3, participant) --let go--> Free(n+4)
//
// B1  A hold's word changes by CAS, and no value of it comes again (the count in it grows). So one
//     word decides who has the hold: it is never nobody's on its way, and never two participants'.
//     Nothing counts the holds elsewhere: the number of owners is the number of words that are not
//     Free.
// B2  Descriptors are never used for anything else. So a CAS on a hold's word that is meant for a
//     buffer of long ago fails, and harms nobody.
// B3  Only who has a hold makes another one. So a buffer without a hold never has one again, and a
//     buffer with one hold has no other until its owner makes it.
// B4  `used` is above the index of each hold that is not Free: who takes one raises it before. It
//     is lowered only while the descriptor has no buffer.
// B5  A buffer comes and goes under the mutex, in one transaction: the block, the descriptor's
//     `state`, `payload` and `bytes`, and the first hold. It goes only when it has no hold.
// B6  A word that is Sent has a message in a channel that names it: the message is sent before the
//     word is Sent, and acknowledged only after it has changed again. Who receives the message
//     takes the hold out of Held by the sender, or out of Sent, whichever it is (passing.cc).
// B7  The blocks tile the arena, and all that locked::Heap says of it holds. Each block that is
//     used is of one descriptor.
#ifndef KILL9_VARIANTS_BUFFERS_LAYOUT_H_
#define KILL9_VARIANTS_BUFFERS_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "variants/channels/shared/sleepers.h"
#include "variants/segment/admission/mutex_admission.h"
#include "variants/segment/robust_mutex.h"
#include "variants/stores/locked/heap.h"
#include "variants/stores/locked/journal.h"

namespace kill9::buffers {

using locked::Journal;
using SharedWord = std::atomic<uint64_t>;
static_assert(SharedWord::is_always_lock_free && sizeof(SharedWord) == 8);

inline constexpr uint32_t kSeats = 4;

struct PoolHeader {
  alignas(64) RobustMutex mutex;
  alignas(64) uint64_t writer;  // not 0: there may be something to undo
  uint64_t next_free;           // where the search for a free descriptor begins. Under the mutex
  SleepersWord for_room;        // who waits for room
  // generation << 32 | slot + 1 of who sits there; 0: nobody yet. Changes by CAS, from nobody or
  // from one that has left or died.
  SharedWord seats[kSeats];
  Journal::Area journal;  // of whoever has the mutex
  locked::Heap::Header arena;
};
static_assert(std::is_standard_layout_v<PoolHeader>);

enum class HoldKind : uint8_t {
  kFree = 0,
  kHeld = 1,  // holder: the slot of a participant
  kSent = 2,  // holder: the box that the message was sent to
};

struct HoldWord {
  uint64_t bits = 0;

  static constexpr uint32_t kMostHolders = 1u << 14;

  constexpr HoldKind kind() const { return static_cast<HoldKind>(bits & 3); }
  constexpr uint32_t holder() const {
    return static_cast<uint32_t>(bits >> 2 & (kMostHolders - 1));
  }
  constexpr bool Is(HoldKind wanted, uint32_t of) const {
    return kind() == wanted && holder() == of;
  }
  constexpr uint64_t count() const { return bits >> 16; }
  constexpr HoldWord Next(HoldKind next, uint32_t next_holder = 0) const {
    return {static_cast<uint64_t>(next) | uint64_t{next_holder} << 2 | (count() + 1) << 16};
  }
  friend constexpr bool operator==(HoldWord, HoldWord) = default;
};
static_assert(HoldWord{}.Next(HoldKind::kSent, 4200).Is(HoldKind::kSent, 4200) &&
              HoldWord{}.Next(HoldKind::kSent, 4200).count() == 1);

struct Descriptor {
  enum State : uint64_t { kNoBuffer = 0, kBuffer = 1 };

  uint64_t state;    // B5
  uint64_t payload;  // offset of its first byte; 0: there is no buffer. B5
  uint64_t bytes;    // of the block. B5
  SharedWord used;   // B4
  // Then the holds: SharedWord, so many as the segment's parameters say.

  static constexpr uint64_t Bytes(uint64_t holds) {
    return (sizeof(Descriptor) + holds * sizeof(SharedWord) + 63) / 64 * 64;
  }
  SharedWord& hold(uint64_t index) { return reinterpret_cast<SharedWord*>(this + 1)[index]; }
};
static_assert(std::is_standard_layout_v<Descriptor> && sizeof(Descriptor) == 32);

inline constexpr uint32_t kMarks = 5;

struct Ledger {
  MutexAdmission admission;
  // What the pool's user says of itself to others: the slot's owner writes them, or others where
  // the user's protocol says so. Each begins anew with its owner (0).
  SharedWord marks[kMarks];
  uint64_t reserved;
};
static_assert(std::is_standard_layout_v<Ledger> && sizeof(Ledger) == 64);

// SegmentHeader::parameters
enum Parameter : uint32_t {
  kDescriptorsBegin,
  kDescriptorCount,
  kHoldsOfEach,
  kArenaBegin,
  kArenaBytes
};

inline constexpr uint64_t kSmallestArenaBytes = 4096;

}  // namespace kill9::buffers

#endif  // KILL9_VARIANTS_BUFFERS_LAYOUT_H_

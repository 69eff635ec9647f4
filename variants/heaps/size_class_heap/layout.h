// The segment of a size_class_heap: what lies where, who writes it, and what must hold.
//
//     body               HeapHeader
//     units              Unit, one for each unit of the room
//     wake-up page       (variants/channels/shared/sleepers.h)
//     room               the units, of unit_bytes each, to the end of the segment
//
// A *span* is a row of units. It has blocks of one size class, or one large block. At its beginning
// stand the blocks' BlockWords, then their bytes. A unit is free, claimed by a participant that
// makes or unmakes a span, the head of a span, or the body of one.
//
// U1  A unit's `word` and `units` change by CAS once they are not 0, and no value of them but 0
//     comes again (a count in them grows). So of several who free what a dead participant had
//     claimed, each finds undone what it has to do, or done.
// U2  A block's `owners` say who owns it: a bit for each slot, and nothing counts them elsewhere.
//     0: it is free. One instruction each decides an allocation (0 -> the caller's bit), Share (one
//     bit more), Transfer (a bit for another) and Free (one bit less; from one to 0: the last).
// U3  Only an owner adds owners. So who sees itself to be the only owner remains it.
// U4  `generation` is 0 but while a handle is valid: an owner sets it when the block is complete,
//     and the last owner, or who drops the bits of the dead, sets it to 0 before `owners` is 0. No
//     value but 0 comes again.
// U5  Who changes `owners` of a block that it does not own (Allocate; recovery; who has given it to
//     another that is gone) first names the span in its ledger and then looks again whether it is
//     one; an owner, who may find it closing, opens it again. Who unmakes a span first closes
//     it, so that such a look fails, and then looks whether anybody names it. So no span that
//     anybody may write to is unmade. Who reads the words of others' blocks (a visit, Look) names
//     the span, too: else they may be somebody's bytes by then.
// U6  Who adds or drops the bit of another slot first names that slot in its ledger (`targets`),
//     and then looks whether it is still the one that it means. Nobody takes a slot that anybody
//     names. So no bit is ever that of the slot's next owner, however late it comes.
// U7  A span's `hint` is odd if it may have a free block. Who frees one gives it an odd value after
//     that, which no hint had before (each is made of a generation); who has found none makes it
//     even, by a CAS from what it was before the look. Who dies between freeing and hinting is
//     recovered before anybody is refused, which makes all hints odd. Who searches all the heap
//     (U8), or sleeps after its look, reads the hint of each span before its blocks: so it sees
//     what was freed, or who frees sees afterwards, by `no_room` and `for_room`, that it searched.
// U8  `no_room` is odd if nothing has become free since it became so. Who searches all the heap
//     makes it odd before, by a CAS; who frees a block or a unit, opens a span again, or makes one,
//     makes it even after that; so does who recovers the dead. So who has searched in vain and
//     finds it as it was needs not search again for as much or more.
// U9  What an attempt in vain had taken meanwhile (units for a span, blocks of a reserve) it gives
//     back without a wake-up: two that wait would wake each other for ever. Others may have found
//     too little because of it. So who has found too little looks again before it sleeps, if others
//     have told of room since its search began: of several that were in each other's way, who is
//     through last does. Its own attempt may then be in vain because of what a third one keeps,
//     while there is room for the others. So an attempt shows itself in the ledger (`looks`) before
//     it takes anything, until it has told of what it gave back. Who has found too little while
//     another looked does not sleep on until it is woken: it looks again, after ever longer times,
//     as long as another looks.
#ifndef KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_LAYOUT_H_
#define KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "variants/channels/shared/sleepers.h"

namespace kill9::size_class_heap {

using SharedWord = std::atomic<uint64_t>;
static_assert(SharedWord::is_always_lock_free && sizeof(SharedWord) == 8);

inline constexpr uint32_t kMostParticipants = 64;  // one word has all owners (U2)
inline constexpr uint64_t kSmallestUnitBytes = 2048;
inline constexpr uint64_t kMostUnits = 1u << 20;
inline constexpr uint64_t kFewestUnits = 4;

enum class UnitKind : uint8_t {
  kFree = 0,
  kClaimed = 1,  // argument: the participant
  kSpan = 2,     // the head of one; size_class
  kClosing = 3,  // the same, while the participant of the argument looks whether it is used (U5)
  kBody = 4,     // argument: the head
};

struct UnitWord {
  uint64_t bits = 0;

  constexpr UnitKind kind() const { return static_cast<UnitKind>(bits & 7); }
  constexpr uint32_t size_class() const { return static_cast<uint32_t>(bits >> 3 & 0x7f); }
  constexpr uint32_t argument() const { return static_cast<uint32_t>(bits >> 10 & 0xfffff); }
  constexpr bool is_span() const {
    return kind() == UnitKind::kSpan || kind() == UnitKind::kClosing;
  }
  constexpr bool Is(UnitKind wanted, uint32_t of) const {
    return kind() == wanted && argument() == of;
  }
  // The count in the upper 34 bits grows at each change (U1).
  constexpr UnitWord Next(UnitKind next, uint32_t argument, uint32_t size_class = 0) const {
    return {static_cast<uint64_t>(next) | uint64_t{size_class} << 3 | uint64_t{argument} << 10 |
            ((bits >> 30) + 1) << 30};
  }
  friend constexpr bool operator==(UnitWord, UnitWord) = default;
};
static_assert(
    UnitWord{}.Next(UnitKind::kBody, kMostUnits - 1, 127).Is(UnitKind::kBody, kMostUnits - 1));

struct Unit {
  SharedWord word;
  // Of the span that begins here, or that its claimer makes: how many units, in the low 24 bits,
  // and above them the count of `word` when it was written, so that no value comes again. Else 0.
  SharedWord units;
  SharedWord hint;  // U7
  uint64_t reserved;
};
static_assert(sizeof(Unit) == 32 && std::is_standard_layout_v<Unit>);

struct BlockWords {
  enum Kind : uint64_t { kLive = 0, kReserved = 1 };

  SharedWord owners;
  SharedWord generation;
  SharedWord size_kind;  // bytes << 1 | Kind; written by the owner before `generation`
};
static_assert(sizeof(BlockWords) == 24 && std::is_standard_layout_v<BlockWords>);

struct HeapHeader {
  SharedWord next_generation;  // that nobody has taken; raised by who allocates
  SleepersWord for_room;
  SharedWord no_room;  // U8
  uint64_t reserved[4];
};
static_assert(sizeof(HeapHeader) == 64 && std::is_standard_layout_v<HeapHeader>);

// Each word has its writer's generation in the high half (what an earlier owner of the slot left
// says nothing), and in the low half a number + 1; 0: nothing.
struct Ledger {
  static constexpr uint32_t kTargets = 2;

  SharedWord member;             // 1: blocks may be given to it
  SharedWord span;               // the head of the span whose blocks it may change (U5)
  SharedWord targets[kTargets];  // the slots whose bits it may change (U6)
  SharedWord looks;  // how often it began to look for room, and ended (U9); odd: it looks

  static constexpr uint64_t MemberWord(uint32_t generation) {
    return uint64_t{generation} << 32 | 1;
  }
};
static_assert(std::is_standard_layout_v<Ledger>);

// Of Unit::units: how many.
inline constexpr uint64_t kUnitsMask = 0xffffff;

// SegmentHeader::parameters
enum Parameter : uint32_t { kUnitBytes, kUnits, kRoomBegin };

}  // namespace kill9::size_class_heap

#endif  // KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_LAYOUT_H_

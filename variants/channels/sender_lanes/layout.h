// sender_lanes: the layout of its segments, and the invariants that everything else cites.
//
//     body               LanesHeader
//     lanes              one for each place in the table of participants
//     entries            of each lane a ring of slots: which message is there
//     words              of each lane as many: who has taken what begins there
//     records            one for each granule of the space: what message begins there
//     chunks             one for each chunk of the space (shared/chunks.h)
//     wake-up page       (shared/sleepers.h)
//     space              chunks of 64-byte granules: the messages' bytes, and nothing else
//
// A lane belongs to whoever has the participant's place: one sender at a time, which alone adds to
// it. Position p of a lane is slot p mod N in lap p div N + 1. The *tail* is the number of
// positions that are published: one CAS of it sends a message, or a row of them.
//
//     Gone(L-1) --(published)--> --take--> Taken(L, owner, n) --acknowledge--> Gone(L, n)
//                                   ^             |
//                                   |           return, recovery: n words Taken(L, owner, 1)
//                                   |             v
//                                   +---take--- Returned(L), each
//
// Receivers take in the order of positions, a *range* of n messages at once: the word of the first
// one's slot speaks of all n, and the words of the others are not looked at. So one word decides
// who has taken a message, and whether it is acknowledged, for one message or for a batch. A word
// of an earlier lap at a published position: nobody has taken it.
//
// A message that is held does not hold up others: a sender that comes to its slot counts the lap of
// its word up (*skips* it: the positions of this lap are void), and goes on.
//
// L1  The entries and records of positions before the tail were written before the tail was raised,
//     by the lane's owner; an entry is not written again before its position's range is Gone.
// L2  A range is taken at the *head* only: the first position that is neither void nor taken. So
//     before a taken position of a lap all of that lap are taken or void, and of the words only
//     those are looked at that begin a range, or are the head.
// L3  Words of a range beyond its first are of an earlier lap, none of them Taken or Returned; but
//     while a range is made into single messages (Split), when they are Taken by its owner.
// L4  A word that is Taken names its owner, and the owner's ledger names the range from before the
//     CAS until after its acknowledgement, or the return of all. So recovery finds it.
// L5  After a message has come back the count of its lane is raised, then that of the header; if
//     who did it dies in between, recovery raises them, before it clears the name. A receiver that
//     finds the header's count changed looks for what came back before it takes anything at a head.
// L6  The positions of `free_range` from the tail on have slots whose messages are gone. Beyond it
//     the owner finds out by the words, which it reads in order, as ranges begin.
// L7  A held range is skipped only if a slot that is gone follows it, before the first message that
//     nobody has taken. So between a message that nobody has taken and the last range before it no
//     word is of a later lap (Context::AliveLook).
// L8  A position is taken, each of a range, only when the lane's `head_hint` is less than one lap
//     behind it. So who finds a word of a later lap, and the hint not ahead, sees a range that was
//     skipped; also where the word is of a single message that was in the middle of a range.
// L9  A lane whose tail is marked closed is never added to. The header's `closed` is set first; who
//     tells of an end, or of a refusal, has marked all lanes.
//
// The space is one of chunks (C1 in shared/chunks.h); a message's place there is its entry.
//
// Damage. A segment may come from anywhere, and one word of it may say anything. No operation
// believes a place or a size before it has compared it with what the segment has; where it does not
// fit, the operation ends with kDataLoss.
#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_LAYOUT_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "variants/channels/sender_lanes/lane_word.h"
#include "variants/channels/shared/chunks.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/channels/shared/waiting_member.h"
#include "variants/segment/participants.h"

namespace kill9::sender_lanes {

using chunks::Chunk;
using chunks::Ref;
using chunks::SharedWord;

inline constexpr uint32_t kLayoutVersion = 1;
inline constexpr size_t kLineBytes = 64;
inline constexpr size_t kGranuleBytes = 64;
inline constexpr uint64_t kMostGranules = uint64_t{1} << 29;
inline constexpr uint64_t kFewestSlots = 64;  // of a lane, a power of two
inline constexpr uint64_t kMostSlots = 8192;
inline constexpr uint64_t kMostSlotsOfAll = uint64_t{1} << 23;  // that a ledger can name
inline constexpr uint64_t kLanesShare = 8;  // the slots take one part in so many of a segment

// What different processes write does not share a line, nor the one that is fetched with it.
struct LanesHeader {
  // How often something was given back (L5). Raised by who returns, or recovers; read by receivers.
  alignas(128) SharedWord returns;
  // Hardly ever written.
  alignas(128)
      SharedWord closed;  // 1: no send begins any more (L9). Written by closers, read by all
  SharedWord lanes_used;  // lanes from the first that ever had a sender. Raised by them
  alignas(64) WaitWords waits;
};
static_assert(sizeof(LanesHeader) == 256 && std::is_standard_layout_v<LanesHeader>);

struct Lane {
  // Twice the number of positions that are published; plus 1: closed. Changed by the owner, and by
  // closers; read by receivers.
  alignas(128) SharedWord tail;
  SharedWord free_range;  // first position << 9 | number (L6). Written and read by owners
  // A position at which a range begins, or the head. Raised and read by receivers.
  alignas(128) SharedWord head_hint;
  SharedWord returns;  // how often something was given back in this lane (L5)
};
static_assert(sizeof(Lane) == 256 && std::is_standard_layout_v<Lane>);

inline constexpr uint64_t kMostFreeRange = 511;

// Which message is in a slot: the granule where it begins in the low half, its size in bytes in the
// other. Written by the lane's owner.
struct Entry {
  uint64_t bits = 0;
  static constexpr Entry Of(Ref ref, uint64_t bytes) { return {bytes << 32 | ref}; }
  constexpr Ref ref() const { return static_cast<Ref>(bits); }
  constexpr uint64_t bytes() const { return bits >> 32; }
};

// What message begins at a granule. Written by the owner of the chunk, before the message is sent;
// read by who finds it by its entry, or owns the chunk.
struct Record {
  SharedWord place;  // its lane and position, Place; 0: it is not sent yet; kDropped: it never is
  SharedWord size;   // in bytes

  static constexpr uint64_t kDropped = ~uint64_t{0};
};
static_assert(sizeof(Record) == 16 && std::is_standard_layout_v<Record>);

struct Place {
  static constexpr int kLaneBits = 13;
  static_assert(ParticipantTable::kMaxParticipants < size_t{1} << kLaneBits);

  uint32_t lane = 0;
  uint64_t position = 0;

  constexpr uint64_t Pack() const { return (position + 1) << kLaneBits | lane; }
  static constexpr uint32_t LaneIn(uint64_t bits) {
    return static_cast<uint32_t>(bits & ((1u << kLaneBits) - 1));
  }
  static constexpr Place Unpack(uint64_t bits) { return {LaneIn(bits), (bits >> kLaneBits) - 1}; }
};

// What a ledger word names, of 32 bits: a range by its first slot, counted over all lanes, plus 1,
// and its extent - 1 in the low 8.
struct RangeName {
  uint64_t slot = 0;
  uint32_t extent = 1;

  constexpr uint32_t Pack() const { return static_cast<uint32_t>(slot + 1) << 8 | (extent - 1); }
  // REQUIRES: not 0.
  static constexpr RangeName Unpack(uint32_t named) {
    return {uint64_t{named >> 8} - 1, (named & 0xff) + 1};
  }
};
static_assert(kMostSlotsOfAll < uint64_t{1} << 24);

inline constexpr uint32_t kTakenHolds = 64;   // messages that one member holds by Take
inline constexpr uint32_t kBatchRanges = 64;  // ranges of its batch; what came back is one each
inline constexpr uint32_t kDraftHolds = 64;   // drafts, which no ledger names (C1)

// What one participant holds (shared/chunks.h): RangeNames.
struct alignas(kLineBytes) Ledger {
  SharedWord role;       // MemberRole; read by who counts members (shared/waiting_member.h)
  SharedWord receiving;  // what Receive has taken
  SharedWord taken[kTakenHolds];
  SharedWord batch[kBatchRanges];
  uint64_t reserved[6];
};
static_assert(sizeof(Ledger) == 1088 && std::is_standard_layout_v<Ledger>);

// The design's parameters in the segment's header: numbers of things, and offsets.
enum Parameter : uint32_t {
  kChunkCount = 0,
  kChunkBytes = 1,
  kLaneSlots = 2,
  kLanesOffset = 3,
  kRecordsOffset = 4,
  kChunksOffset = 5,
  kSleepersOffset = 6,
  kSpaceOffset = 7,
};

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_LAYOUT_H_

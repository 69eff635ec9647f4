// broadcast_ring: the layout of its segments, and the invariants that everything else cites.
//
//     body               RingHeader
//     slots              one word each; a power of two, more than there are granules
//     records            one for each granule: what message begins there
//     chunks             one for each chunk of the space
//     wake-up page       (variants/channels/shared/sleepers.h)
//     space              chunks of 128-byte granules: the messages' bytes, and nothing else
//
// A position is the number of a message in the order of all, from 0. The slots stand for N
// positions in a row, lap after lap: position p is slot p mod N, and is *filled* once that slot's
// word counts p div N + 1 laps, or more. The *tail* is the first position that is not filled. A
// message *is there* while the word of its very lap is Full.
//
//     (lap L, Gone) --send--> (lap L+1, Full, message) --evict--> (lap L+1, Gone)
//
// Each change is one CAS, complete when it is seen. A word never comes back to what it was: laps
// only grow, Full only becomes Gone, and `closed` is never taken back. (There are 2^62 positions.)
//
// Where a subscriber reads is a number in its own memory. All that the segment knows of it is which
// chunks it pins.
//
// B1  A position is filled only when all before it are. (Who fills has seen that each before it is,
//     and is so for ever; CAS the slot from the word of the lap before.) So positions are filled in
//     the order of the sends, and each is a message: none is void.
// B2  The messages that are there are those from the *oldest* position to the tail. (Who evicts has
//     seen that all before are gone.) So a subscriber that meets a message that is gone has missed
//     all up to the oldest, and the difference of the positions is their exact number.
// B3  The slot of the tail is Gone. (Each message that is there has a granule of its own: there are
//     fewer than N, and they end at the tail.)
// B4  A message's bytes and record do not change while it is there, or while its chunk is pinned.
// B5  Who reads a message has first named its chunk in its own ledger, then seen that the message
//     was there still. Who is about to use a chunk again has first seen that all its messages are
//     gone, then that no ledger names it. All four are sequentially consistent: one of the two sees
//     the other.
// B6  The space is one of chunks (C1 in shared/chunks.h); a message's place there is its slot.
// B7  `closed` stands in at most one word, that of the tail's slot. No position from the tail on is
//     filled then.
// B8  The hints are at most the tail, and at most the oldest position.
//
// Damage. A segment may come from anywhere, and one word of it may say anything. No operation
// believes a place or a size before it has compared it with what the segment has; where it does not
// fit, the operation ends with kDataLoss.
#ifndef KILL9_VARIANTS_CHANNELS_BROADCAST_RING_LAYOUT_H_
#define KILL9_VARIANTS_CHANNELS_BROADCAST_RING_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "variants/channels/broadcast_ring/slot_word.h"
#include "variants/channels/shared/chunks.h"
#include "variants/channels/shared/ring_segment.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/channels/shared/waiting_member.h"

namespace kill9::broadcast_ring {

using chunks::Chunk;
using chunks::SharedWord;

inline constexpr uint32_t kLayoutVersion = 1;
inline constexpr size_t kLineBytes = 64;
inline constexpr size_t kGranuleBytes = 128;  // two lines: the processor fetches them in pairs
inline constexpr uint64_t kMostGranules = uint64_t{1} << 28;
inline constexpr uint64_t kHintEvery = 64;  // positions

// What different processes write does not share a line, nor the one that is fetched with it.
struct RingHeader {
  // A position, at most the tail (B8). Raised by senders, read by all.
  alignas(128) SharedWord tail_hint;
  // A position, at most the oldest (B8). Raised by who evicts, read by all.
  alignas(128) SharedWord oldest_hint;
  alignas(128) WaitWords waits;
};
static_assert(sizeof(RingHeader) == 384 && std::is_standard_layout_v<RingHeader>);

// What message begins at a granule. Written by the owner of the chunk, before the message is sent;
// read by who has pinned it, and by who owns the chunk later.
struct Record {
  SharedWord position;  // plus 1; 0: it is not sent yet; kDropped: it never will be
  SharedWord size;      // in bytes

  static constexpr uint64_t kDropped = ~uint64_t{0};
};
static_assert(sizeof(Record) == 16 && std::is_standard_layout_v<Record>);

inline constexpr uint32_t kTakenHolds = 64;    // messages that one member holds by Take
inline constexpr uint32_t kDraftHolds = 64;    // and drafts, which no ledger names (B6)
inline constexpr uint32_t kPinnedChunks = 30;  // that one member names for them and its batch

// What one participant holds: a word names a chunk's number plus 1, with its writer's generation
// (shared/chunks.h). Written by the participant, and by who recovers it; read by who needs room.
struct alignas(kLineBytes) Ledger {
  SharedWord role;       // MemberRole; read by who counts members (shared/waiting_member.h)
  SharedWord receiving;  // what Receive copies from
  SharedWord pinned[kPinnedChunks];
};
static_assert(sizeof(Ledger) == 256 && std::is_standard_layout_v<Ledger>);

using enum chunks::RingParameter;

}  // namespace kill9::broadcast_ring

#endif  // KILL9_VARIANTS_CHANNELS_BROADCAST_RING_LAYOUT_H_

// slot_ring: the layout of its segments, and the invariants that everything else cites.
//
//     body               RingHeader
//     regions            a count for each kRegionSlots slots (R5)
//     slots              one word each, twice as many as the space has granules (R6)
//     records            one for each granule: what message begins there
//     chunks             one for each chunk of the space
//     wake-up page       (variants/channels/shared/sleepers.h)
//     space              chunks of 128-byte granules: the messages' bytes, and nothing else
//
// A position is the number of a message in the order of all, from 0. The slots stand for N
// positions in a row, lap after lap: position p is slot p mod N in lap p div N. A position is
// *done* once its slot's word is Full or Taken in its lap, or of a later lap. The *tail* is the
// first position that is not done.
//
//     Empty(L) --send--> Full(L, message) --take--> Taken(L, owner) --acknowledge--> Empty(L+1)
//                              ^---- return, recovery ----'
//
// So one word decides who sends at a position, who takes a message, and whether it is acknowledged;
// each change is one CAS, complete when it is seen. Nothing is
// claimed before it is complete: a stopped process has nothing that others must wait for.
//
// A message that is held does not hold up others: a sender that meets its slot at the tail counts
// the lap in its word up (*skips* the position, which is void then) and goes on.
//
// R1  A position is filled only when all before it are done, and no done position is filled. (Who
//     fills has seen that each position before it is done, and is done for ever; CAS the slot from
//     Empty in the very lap.) So positions are filled in the order of the sends.
// R2  A Full word with deliveries 0 has the lap in which it was filled, and is at or beyond the
//     *head*: the first position that is neither void nor ever was taken. Receivers take in the
//     order of positions: who takes at one has seen that no position before it is Full with
//     deliveries 0. One with deliveries has been taken before, and is older than all those.
// R3  A slot is not Empty as long as its message is not acknowledged, and the message's bytes and
//     record do not change until then. Nobody reads the bytes but who has Taken it; nothing else in
//     the segment says that a message is alive.
// R4  A word that is Taken names its owner; and the owner's ledger names the slot from before the
//     CAS until after the acknowledgement or return. So recovery finds it.
// R5  After a message has come back into its slot the count of the slot's region is raised, then
//     that of the header; if who did it dies in between, recovery raises them, before it clears the
//     name. A receiver that finds the header's count changed looks for what came back before it
//     takes anything at the head.
// R6  There are twice as many slots as granules, and a message has at least one granule: who has an
//     unsent message finds a slot that is Empty, or comes to be. So a draft, once reserved, can be
//     sent. (The tail never meets a message of the lap before that nobody has taken. As long as the
//     oldest such message is at its place, each position between it and the tail is either filled,
//     and not taken, since receivers take in order: fewer than there are granules; or void, for a
//     slot whose message was taken before: these were there when the oldest was sent, beside it, so
//     they are fewer than there are granules, too.)
// R7  The space is one of chunks (C1 in shared/chunks.h); a message's place there is its slot.
// R8  `closed` stands in at most one word, that of the tail's slot; no change of a word takes it
//     back. No position from the tail on is filled then.
// R9  The hints are at most the tail, and at most the head.
//
// Damage. A segment may come from anywhere, and one word of it may say anything. No operation
// believes a place or a size before it has compared it with what the segment has; where it does not
// fit, the operation ends with kDataLoss.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_LAYOUT_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "variants/channels/shared/chunks.h"
#include "variants/channels/shared/ring_segment.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/channels/shared/waiting_member.h"
#include "variants/channels/slot_ring/slot_word.h"

namespace kill9::slot_ring {

using chunks::Chunk;
using chunks::SharedWord;

inline constexpr uint32_t kLayoutVersion = 2;
inline constexpr size_t kLineBytes = 64;
inline constexpr size_t kGranuleBytes = 128;  // two lines: the processor fetches them in pairs
inline constexpr uint64_t kMostGranules = uint64_t{1} << 28;
inline constexpr uint64_t kSlotsPerGranule = 2;  // R6
inline constexpr uint64_t kRegionSlots = 1024;
inline constexpr uint64_t kHintEvery = 64;  // positions

// What different processes write does not share a line, nor the one that is fetched with it.
struct RingHeader {
  // A position, at most the tail (R9). Raised by senders, read by all.
  alignas(128) SharedWord tail_hint;
  // A position, at most the head (R9). Raised by receivers, read by all.
  alignas(128) SharedWord head_hint;
  // How often something was given back (R5). Raised by who returns, or recovers; read by receivers.
  alignas(128) SharedWord returns;
  alignas(64) WaitWords waits;
};
static_assert(sizeof(RingHeader) == 384 && std::is_standard_layout_v<RingHeader>);

// What message begins at a granule. Written by the owner of the chunk, before the message is sent;
// read by all who have its Ref from a slot's word, and look at the word once more.
struct Record {
  SharedWord position;  // plus 1; 0: it is not sent yet; kDropped: it never will be
  SharedWord size;      // in bytes

  static constexpr uint64_t kDropped = ~uint64_t{0};
};
static_assert(sizeof(Record) == 16 && std::is_standard_layout_v<Record>);

inline constexpr uint32_t kTakenHolds = 64;  // messages that one member holds by Take
inline constexpr uint32_t kDraftHolds = 64;  // and drafts, which no ledger names (R7)

// What one participant holds: a word names a slot's number plus 1, or a count (shared/chunks.h).
struct alignas(kLineBytes) Ledger {
  SharedWord role;         // MemberRole; read by who counts members (shared/waiting_member.h)
  SharedWord batch_first;  // of a batch: the slots from this one, around the end, ...
  SharedWord batch_count;  // ... so many. Set after batch_first, cleared before it
  SharedWord receiving;    // what Receive has taken
  SharedWord taken[kTakenHolds];
  uint64_t reserved[4];
};
static_assert(sizeof(Ledger) == 576 && std::is_standard_layout_v<Ledger>);

using enum chunks::RingParameter;

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_LAYOUT_H_

// What a receiver has taken, and how it comes back: for receivers, and for recovery.
#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_HOLD_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_HOLD_H_

#include <cstdint>

#include "variants/channels/sender_lanes/context.h"

namespace kill9::sender_lanes {

// A range that this participant has taken.
struct Held {
  uint64_t slot = 0;
  Range range;
  uint64_t position = 0;  // of its first message
};

// Makes single messages of the range that `owner` has taken at the slot: then each can be returned
// by a word of its own. False: it is not the owner's, or `may` said no.
//
// `may`: asked between each look and the change that it leads to; a recoverer asks whether the
// owner is still dead. Any number of them may be at it, and be stopped anywhere: each CAS is from a
// word that was seen while the range was whole, and is never there again.
template <typename May>
bool Split(const Context& context, uint64_t slot, uint32_t owner, May may) {
  const RangeCodec& codec = context.codec();
  for (;;) {
    // Acquire, here and below: pairs with whoever changed the word.
    uint64_t word = context.word(slot).load(std::memory_order_acquire);
    const Range whole = codec.Unpack(word);
    if (!whole.TakenBy(owner) || whole.extent > context.SlotsToEnd(slot)) return false;
    if (whole.extent == 1) return true;
    const Range single = codec.OneOf(whole);
    for (uint64_t i = 1; i < whole.extent; ++i) {
      SharedWord& shared = context.word(slot + i);
      uint64_t inner = shared.load(std::memory_order_acquire);
      // Of an earlier lap; or made single already, before the whole range was skipped (L3).
      if (codec.LapsAhead(codec.Unpack(inner).lap, whole.lap) >= 0) continue;
      if (!may()) return false;
      // Release: pairs with the acquire of who finds it. Its failure: another recoverer was first.
      shared.compare_exchange_strong(inner, codec.Pack(single), std::memory_order_acq_rel,
                                     std::memory_order_relaxed);
    }
    if (!may()) return false;
    // dies before -> the range is whole;  dies after -> its messages are single, Taken all
    // Release: the inner words come before. Its failure: the range was skipped, or another was
    // first.
    if (context.word(slot).compare_exchange_strong(
            word, codec.Pack(single), std::memory_order_acq_rel, std::memory_order_relaxed)) {
      return true;
    }
  }
}

// Returns the single message that `owner` has taken in the slot. False: it has none there.
template <typename May>
bool ReturnOne(const Context& context, uint64_t slot, uint32_t owner, May may) {
  const RangeCodec& codec = context.codec();
  for (;;) {
    // Acquire: pairs with whoever changed the word.
    uint64_t word = context.word(slot).load(std::memory_order_acquire);
    const Range range = codec.Unpack(word);
    if (!range.TakenBy(owner) || range.extent != 1 || !may()) return false;
    // dies before -> it is Taken by the dead;  dies after -> it waits, and is counted by recovery
    // Release: pairs with Claim; what this one has read is past. Its failure: it was skipped, or
    // another recoverer was first.
    if (context.word(slot).compare_exchange_strong(word, codec.Pack(codec.GivenBack(range)),
                                                   std::memory_order_acq_rel,
                                                   std::memory_order_relaxed)) {
      return true;
    }
  }
}

// Raises the counts for what has come back in a lane (L5).
// Release, both: pairs with the acquires of LaneReceiver: the words come before.
inline void CountReturn(const Context& context, uint32_t lane) {
  context.lane(lane).returns.fetch_add(1, std::memory_order_release);
  // Seq_cst: with the look for sleepers (sleepers.h).
  context.header().returns.fetch_add(1, std::memory_order_seq_cst);
}

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_HOLD_H_

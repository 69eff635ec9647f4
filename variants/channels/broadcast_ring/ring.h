// The slots, as one participant uses them (B1-B3, B7, B8 in layout.h).
//
// PROGRESS: lock-free. A failed CAS means that another participant's succeeded, and changed what
// this one looks at; nothing waits.
#ifndef KILL9_VARIANTS_CHANNELS_BROADCAST_RING_RING_H_
#define KILL9_VARIANTS_CHANNELS_BROADCAST_RING_RING_H_

#include <cstdint>

#include "variants/channels/broadcast_ring/context.h"
#include "variants/channels/shared/patience.h"

namespace kill9::broadcast_ring {

// What is at a position.
enum class Found : uint8_t {
  kThere,    // its message
  kGone,     // its message was there
  kNothing,  // it is not filled yet
  kEnd,      // it is not filled, and none ever will be from there on
  kDamaged,  // the words contradict each other
};

class Ring {
 public:
  explicit Ring(const Context& context);

  // `word`: the slot's. REQUIRES: all positions before it have been filled.
  Found Look(uint64_t position, uint64_t* word) const;
  // Whether the slot's word is this one still. After the chunk was named in the ledger (B5).
  bool IsStill(uint64_t position, uint64_t word) const {
    // Seq_cst: after Pin; with the CAS of Evict.
    return context_.slot_of(position).load(std::memory_order_seq_cst) == word;
  }
  // The oldest position from `from` on that is there: kThere. kNothing, kEnd: it is the tail's.
  // REQUIRES: all before `from` have been filled.
  Found FindOldest(uint64_t from, uint64_t* position, uint64_t* word) const;

  // Sends the message that begins at `ref`, as the last one. kThere: at *position. kEnd: closed.
  Found Send(Ref ref, uint64_t* position);
  // Takes the message out of the ring. False: somebody did. REQUIRES: it is the oldest, and `word`
  // its slot's.
  bool Evict(uint64_t position, uint64_t word);
  // All before the position are gone.
  void HintOldest(uint64_t position) const { Raise(context_.header().oldest_hint, position); }
  // Marks the tail. kEnd: it was, or is now.
  Found Close();
  // What is at the tail: kNothing or kEnd.
  Found FindTail(uint64_t* position);

 private:
  // Who walks raises no hint. (They lag by the positions at which somebody died or is stopped: by
  // less than two laps.)
  chunks::Patience NewPatience() const {
    const RingHeader& header = context_.header();
    return chunks::Patience(header.tail_hint, header.oldest_hint, context_.slot_count());
  }
  static void Raise(SharedWord& hint, uint64_t position);
  // To the next position, or to the hint if that is further.
  void AdvanceTail();
  const SlotCodec& codec() const { return context_.codec(); }

  const Context& context_;
  uint64_t tail_;  // all before it are filled
};

}  // namespace kill9::broadcast_ring

#endif  // KILL9_VARIANTS_CHANNELS_BROADCAST_RING_RING_H_

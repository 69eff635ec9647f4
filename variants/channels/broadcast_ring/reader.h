// What one subscriber reads: its place in the order, what it returned, and what it pins (B2, B4, B5
// in layout.h). All but the names in the ledger is its process's own, and ends with it.
//
// PROGRESS: lock-free. A message that goes while it is being pinned was evicted by a sender that
// succeeded.
#ifndef KILL9_VARIANTS_CHANNELS_BROADCAST_RING_READER_H_
#define KILL9_VARIANTS_CHANNELS_BROADCAST_RING_READER_H_

#include <array>
#include <cstdint>
#include <set>

#include "variants/channels/broadcast_ring/ring.h"

namespace kill9::broadcast_ring {

// A message that this subscriber has pinned.
struct Held {
  uint64_t position = 0;
  Ref ref = 0;
  uint64_t size = 0;
  bool redelivered = false;
  uint64_t missed = 0;  // messages, before it
};

enum class TakeResult : uint8_t {
  kTaken,
  kNone,
  kEnd,
  kNoHold,  // there is a message, and this member may pin no more
  kDamaged,
};

class Reader {
 public:
  Reader(const Context& context, Ring& ring);

  // Where the cursor begins. REQUIRES: all before it have been filled.
  void BeginAt(uint64_t position) { cursor_ = position; }

  // The next message, which stays as it is until Drop.
  TakeResult Take(Held* held) { return Next(/*brief=*/false, held); }
  void Drop(const Held& held);
  // The same, for the time of a copy: pinned beside what a member may hold.
  TakeResult TakeBriefly(Held* held) { return Next(/*brief=*/true, held); }
  void DropBrief() { chunks::Clear(context_.ledger().receiving); }
  // It comes again, if it is there then.
  void Return(const Held& held) {
    Drop(held);
    returned_.insert(held.position);
  }

  // How many messages it could take now.
  uint64_t CountWaiting() const;

 private:
  // A chunk that the ledger names, for so many messages in it.
  struct Pin {
    uint32_t chunk = 0;
    uint32_t messages = 0;  // 0: it names none
    uint64_t chunks = 0;    // of the span that begins there
  };

  TakeResult Next(bool brief, Held* held);
  // What is at the position; kThere: pinned, unless *no_hold.
  Found PinAt(uint64_t position, bool brief, Held* held, bool* no_hold);
  // The number of the pin that names the chunk, or of a free one; kPinnedChunks: there is none.
  uint32_t FindPin(uint32_t chunk) const;
  // Whether the share allows a chunk that was just named.
  bool Affords(Pin& pin);
  void DropPin(uint32_t number);

  const Context& context_;
  Ring& ring_;
  const uint64_t share_;         // chunks
  uint64_t cursor_ = 0;          // the next position that it has not seen
  uint64_t missed_ = 0;          // since the last message that it got
  std::set<uint64_t> returned_;  // positions before the cursor
  uint64_t pinned_chunks_ = 0;   // in all pins
  std::array<Pin, kPinnedChunks> pins_;
};

}  // namespace kill9::broadcast_ring

#endif  // KILL9_VARIANTS_CHANNELS_BROADCAST_RING_READER_H_

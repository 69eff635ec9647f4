// Room for messages: the oldest ones make it (B2-B6 in layout.h).
//
// PROGRESS: lock-free. What is pinned, or another sender's, is gone round; nothing waits.
#ifndef KILL9_VARIANTS_CHANNELS_BROADCAST_RING_ROOM_H_
#define KILL9_VARIANTS_CHANNELS_BROADCAST_RING_ROOM_H_

#include <cstdint>
#include <optional>

#include "variants/channels/broadcast_ring/ring.h"
#include "variants/channels/shared/space.h"

namespace kill9::broadcast_ring {

class Room {
 public:
  using Space = chunks::Space<Context>;

  Room(const Context& context, Ring& ring)
      : context_(context),
        ring_(ring),
        space_(context),
        turn_(context.index() % context.chunk_count()) {}

  // Room for a message of so many bytes, which is this participant's until it is sent or dropped;
  // evicts what is in the way. kThere: at *ref. kNothing: all is evicted, and there is none.
  Found Allocate(uint64_t bytes, Ref* ref);
  // Looks through all chunks of everybody, the dead's that have been recovered since.
  std::optional<Ref> LookEverywhere(uint64_t bytes) { return space_.Allocate(bytes, true); }
  void Release(Ref ref) { space_.Release(ref); }
  void Drop(Ref ref) { space_.Drop(ref); }
  void Leave() { space_.Leave(); }

 private:
  // Evicts the oldest messages, until all of a chunk are gone and it is free. kNothing: none is
  // left.
  Found EvictAChunk();
  // Looks at a few chunks in turn: what was pinned, or owned, when its messages went may be free by
  // now. Whether one is.
  bool ReclaimInTurn();
  // The last position of a message in the chunk, as far as that can be told; else `position`.
  uint64_t LastIn(uint32_t chunk, uint64_t position) const;

  const Context& context_;
  Ring& ring_;
  Space space_;
  uint64_t oldest_ = 0;  // all before it are gone
  uint32_t turn_;        // the chunk at which ReclaimInTurn looks next
};

}  // namespace kill9::broadcast_ring

#endif  // KILL9_VARIANTS_CHANNELS_BROADCAST_RING_ROOM_H_

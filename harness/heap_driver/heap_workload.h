// What the participants of a heap do in torture: how often they allocate, share and let go, and how
// much they keep.
#ifndef KILL9_HARNESS_HEAP_DRIVER_HEAP_WORKLOAD_H_
#define KILL9_HARNESS_HEAP_DRIVER_HEAP_WORKLOAD_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/base/random.h"

namespace kill9 {

enum class BlockSizes : uint8_t {
  kUniform,
  kSpread,  // each power of two is about as likely as the next
  kEdges,   // those of the design's ways, one byte less and one more
};

struct HeapWorkload {
  std::string_view name;
  uint32_t smallest_bytes = 0;
  uint32_t largest_bytes = 512;
  BlockSizes sizes = BlockSizes::kSpread;
  uint32_t most_held = 12;     // blocks of a participant
  uint32_t most_reserved = 6;  // blocks of a reserve
  // In thousandths of the steps; the rest allocates, or lets go where much is held.
  uint16_t rests = 5;
  uint16_t hands_over = 200;  // shares and transfers
  uint16_t verifies = 150;
  uint16_t looks = 10;         // goes through all blocks
  uint16_t misuses = 40;       // with handles that are no more the caller's
  uint16_t reserves = 50;      // uses a reserve
  uint16_t asks_owners = 200;  // of what is verified
  bool shares = true;          // which of them hands over
  bool transfers = true;
  // In thousandths of the allocations.
  uint16_t waits = 50;  // for a while, if they must
  uint16_t waits_forever = 0;
  uint16_t at_a_place = 30;
  // There is room for one block or reserve at a time: who has it gives it up, and all others wait
  // for it, for ever.
  bool last_room = false;
  // All but one wait for room, without end; each has what it likes of it, and gives it up.
  bool all_wait = false;

  // `edges`: the largest block of each of the design's ways, growing.
  uint32_t NextSize(Random& random, std::span<const uint32_t> edges) const;
};

std::span<const HeapWorkload> AllHeapWorkloads();
const HeapWorkload* FindHeapWorkload(std::string_view name);  // null if there is none

}  // namespace kill9

#endif  // KILL9_HARNESS_HEAP_DRIVER_HEAP_WORKLOAD_H_

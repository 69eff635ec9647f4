// What the participants of a pool of buffers do in torture: how often they allocate, share, write,
// pass on and let go, and how much they keep.
#ifndef KILL9_HARNESS_POOL_DRIVER_POOL_WORKLOAD_H_
#define KILL9_HARNESS_POOL_DRIVER_POOL_WORKLOAD_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/base/random.h"

namespace kill9 {

struct PoolWorkload {
  std::string_view name;
  uint32_t smallest_bytes = 0;
  uint32_t largest_bytes = 1000;
  uint32_t most_held = 10;  // holds of a participant
  // In thousandths of the steps; the rest allocates, or lets go where much is held.
  uint16_t rests = 5;
  uint16_t sends = 200;
  uint16_t receives = 220;
  uint16_t shares = 120;
  uint16_t writes = 100;
  uint16_t grows = 60;
  uint16_t verifies = 60;
  uint16_t seats = 10;
  // In thousandths of what may wait: for a while; for ever, by who holds nothing.
  uint16_t waits = 60;
  uint16_t waits_forever = 0;
  // In thousandths of the sends: of another hold, which the sender's own outlives.
  uint16_t sends_shared = 400;
  bool carries = true;  // messages have buffers
  // There is room for one buffer at a time: who has it gives it up, and all others wait for it.
  bool last_room = false;
  // All but one wait for room, without end; each has what it likes of it, and gives it up.
  bool all_wait = false;

  uint32_t NextSize(Random& random) const;
};

std::span<const PoolWorkload> AllPoolWorkloads();
const PoolWorkload* FindPoolWorkload(std::string_view name);  // null if there is none

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_POOL_WORKLOAD_H_

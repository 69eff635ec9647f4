#include "harness/pool_driver/pool_workload.h"

#include <algorithm>

#include "harness/torture/shape/large_rarely.h"

namespace kill9 {

// Each power of two is about as likely as the next; sizes near one are as likely as all others of
// its like.
uint32_t PoolWorkload::NextSize(Random& random) const {
  return DrawLargeRarely(random, smallest_bytes, largest_bytes, [&](uint32_t largest) {
    uint32_t most = largest;
    while (most > 16 && random.Chance(500)) most /= 2;
    most = std::max(most, smallest_bytes);
    if (most > smallest_bytes && random.Chance(200)) {
      return static_cast<uint32_t>(std::min<uint64_t>(most - 1 + random.Below(3), largest));
    }
    return static_cast<uint32_t>(smallest_bytes + random.Below(most - smallest_bytes + 1));
  });
}

std::span<const PoolWorkload> AllPoolWorkloads() {
  static constexpr PoolWorkload kAll[] = {
      {.name = "mixed"},
      {.name = "passing", .sends = 350, .receives = 400, .shares = 60, .writes = 30, .grows = 20},
      {.name = "mostly-full", .largest_bytes = 16 << 10, .most_held = 400, .sends = 100},
      // What is on its way is nobody's to let go of while all wait.
      {.name = "waiting",
       .largest_bytes = 48 << 10,
       .sends = 50,
       .receives = 60,
       .waits = 500,
       .waits_forever = 150,
       .carries = false},
      {.name = "last-room",
       .shares = 0,
       .writes = 0,
       .grows = 0,
       .waits = 500,
       .carries = false,
       .last_room = true},
      {.name = "all-wait", .sends = 0, .shares = 0, .all_wait = true},
  };
  return kAll;
}

const PoolWorkload* FindPoolWorkload(std::string_view name) {
  for (const PoolWorkload& workload : AllPoolWorkloads()) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

}  // namespace kill9

#include "harness/pool_driver/pool_workload.h"

#include "harness/torture/shape/large_rarely.h"

namespace kill9 {

uint32_t PoolWorkload::NextSize(Random& random) const {
  return DrawLargeRarely(random, smallest_bytes, largest_bytes, [&](uint32_t largest) {
    return SpreadSize(random, smallest_bytes, largest);
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

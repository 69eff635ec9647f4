#include "harness/channel_driver/channel_workload.h"

#include <algorithm>

namespace kill9 {

uint32_t ChannelWorkload::NextSize(Random& random) const {
  // Half of them of the smaller sizes: each power of two is about as likely as the next.
  uint32_t most = largest_bytes;
  while (most > 2 * smallest_bytes && random.Chance(500)) most /= 2;
  return smallest_bytes + static_cast<uint32_t>(random.Below(most - smallest_bytes + 1));
}

std::span<const ChannelWorkload> AllChannelWorkloads() {
  static constexpr ChannelWorkload kAll[] = {
      {.name = "mixed"},
      {.name = "many-to-many", .largest_bytes = 1024, .senders = 2, .receivers = 2},
      {.name = "many-to-one", .largest_bytes = 1024, .senders = 3, .receivers = 1},
      {.name = "one-to-many", .largest_bytes = 1024, .senders = 1, .receivers = 3},
      {.name = "mostly-empty", .sends = 250, .waits = 400},
      {.name = "mostly-full", .sends = 750, .largest_bytes = 8192, .waits = 50},
      {.name = "by-turns",
       .sends = 250,
       .largest_bytes = 8192,
       .waits = 300,
       .sends_in_every_second = 750},
      {.name = "large", .largest_bytes = 128 << 10},
      // For broadcasts: their subscribers are slow, or hold much.
      {.name = "lapped", .sends = 920, .largest_bytes = 2048},
      {.name = "pinned", .sends = 400, .largest_bytes = 256 << 10},
  };
  return kAll;
}

const ChannelWorkload* FindChannelWorkload(std::string_view name) {
  for (const ChannelWorkload& workload : AllChannelWorkloads()) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

}  // namespace kill9

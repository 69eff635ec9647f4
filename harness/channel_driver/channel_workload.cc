#include "harness/channel_driver/channel_workload.h"

#include <algorithm>
#include <bit>

#include "harness/torture/shape/large_rarely.h"

namespace kill9 {

namespace {

// One to five times a power of two, and a little more or less: a granule, a line, a header.
uint32_t SizeAtAnEdge(Random& random, uint32_t smallest, uint32_t largest) {
  const uint64_t power = uint64_t{1} << random.Below(std::bit_width(largest));
  const uint64_t edge = std::min<uint64_t>(power * (1 + random.Below(random.Chance(500) ? 1 : 5)),
                                           random.Chance(50) ? largest : ~uint64_t{0});
  constexpr uint64_t kLittle[] = {1, 8, 64};
  const uint64_t off = random.Below(kLittle[random.Below(3)] + 1);
  const uint64_t size = random.Chance(600) ? edge + off : edge - std::min(edge, off);
  return static_cast<uint32_t>(std::clamp<uint64_t>(size, smallest, largest));
}

}  // namespace

uint32_t ChannelWorkload::NextSize(Random& random) const {
  return DrawLargeRarely(random, smallest_bytes, largest_bytes, [&](uint32_t most) {
    if (sizes == MessageSizes::kEdges) return SizeAtAnEdge(random, smallest_bytes, most);
    while (sizes == MessageSizes::kSpread && most > 2 * smallest_bytes && random.Chance(500)) {
      most /= 2;
    }
    return smallest_bytes + static_cast<uint32_t>(random.Below(most - smallest_bytes + 1));
  });
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
      {.name = "last-message", .last_message = true},
      {.name = "last-room", .last_room = true},
      {.name = "all-wait", .all_wait = true},
      {.name = "requests", .smallest_bytes = 24, .asks = true},
      {.name = "bursts", .largest_bytes = 1024, .waits = 20, .burst = 3000},
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

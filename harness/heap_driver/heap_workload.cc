#include "harness/heap_driver/heap_workload.h"

#include <algorithm>
#include <cstddef>

#include "harness/torture/shape/large_rarely.h"

namespace kill9 {

namespace {

uint32_t SizeAtAnEdge(Random& random, uint32_t smallest, uint32_t largest,
                      std::span<const uint32_t> edges) {
  const auto begin = std::lower_bound(edges.begin(), edges.end(), smallest);
  const auto end = std::upper_bound(begin, edges.end(), largest);
  // The ends of the range are edges as well.
  const uint64_t drawn = random.Below(static_cast<uint64_t>(end - begin) + 2);
  const uint64_t edge = drawn == 0   ? smallest
                        : drawn == 1 ? largest
                                     : *(begin + static_cast<ptrdiff_t>(drawn - 2));
  const uint64_t size = std::max<uint64_t>(edge + random.Below(3), 1) - 1;
  return static_cast<uint32_t>(std::clamp<uint64_t>(size, smallest, largest));
}

}  // namespace

uint32_t HeapWorkload::NextSize(Random& random, std::span<const uint32_t> edges) const {
  return DrawLargeRarely(random, smallest_bytes, largest_bytes, [&](uint32_t largest) {
    if (sizes == BlockSizes::kEdges) return SizeAtAnEdge(random, smallest_bytes, largest, edges);
    if (sizes == BlockSizes::kSpread) return SpreadSize(random, smallest_bytes, largest);
    return static_cast<uint32_t>(smallest_bytes + random.Below(largest - smallest_bytes + 1));
  });
}

std::span<const HeapWorkload> AllHeapWorkloads() {
  static constexpr HeapWorkload kAll[] = {
      {.name = "mixed"},
      {.name = "shared", .hands_over = 450, .verifies = 200},
      {.name = "large", .largest_bytes = 64 << 10, .most_held = 16},
      {.name = "mostly-full", .largest_bytes = 16 << 10, .most_held = 400, .waits = 20},
      {.name = "all-sizes", .largest_bytes = 32 << 10, .most_held = 600, .hands_over = 100},
      {.name = "reserving", .largest_bytes = 4096, .most_held = 60, .reserves = 400},
      // What others were given unasked they might keep while somebody waits for its room.
      {.name = "waiting",
       .largest_bytes = 48 << 10,
       .most_held = 10,
       .hands_over = 0,
       .reserves = 100,
       .waits = 500,
       .waits_forever = 150},
      {.name = "last-room", .hands_over = 0, .last_room = true},
      {.name = "all-wait", .hands_over = 0, .all_wait = true},
  };
  return kAll;
}

const HeapWorkload* FindHeapWorkload(std::string_view name) {
  for (const HeapWorkload& workload : AllHeapWorkloads()) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

}  // namespace kill9

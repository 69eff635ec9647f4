// What is drawn of shapes of every kind: the segment's size, and the participants it has room for.
#ifndef KILL9_HARNESS_TORTURE_SHAPE_DRAW_SEGMENT_H_
#define KILL9_HARNESS_TORTURE_SHAPE_DRAW_SEGMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "harness/base/random.h"

namespace kill9 {

// A choice among `choices`, the first of which is taken `weight` times as often as the others.
template <typename Value, size_t kCount>
Value Draw(Random& random, const std::array<Value, kCount>& choices, uint64_t weight = 1) {
  const uint64_t drawn = random.Below(kCount - 1 + weight);
  return choices[drawn < weight ? 0 : drawn - weight + 1];
}

inline uint64_t Between(Random& random, uint64_t least, uint64_t most) {
  return least + random.Below(most - least + 1);
}

struct SegmentRange {
  uint64_t per_cent, least, most;
};
// Of one of the ranges, which are 100 per cent together; most often no multiple of a page. At most
// `allowed` (0: an eighth of what memory is free), or 1 MiB.
uint64_t DrawSegmentBytes(Random& random, std::span<const SegmentRange> ranges, uint64_t allowed);

// Of what draws the shape of a design in a scenario: each has one of its own.
Random RandomOfShape(uint64_t seed, std::string_view scenario, std::string_view design);

// Whether a table with room for so many (0: some to spare) fits. kInvalidArgument says why not.
absl::Status CheckParticipants(uint32_t room, uint32_t least, uint32_t most);
// The same, and whether so many of `room` can do nothing, beside those that the run needs.
absl::Status CheckParticipants(uint32_t room, uint32_t idle, uint32_t least, uint32_t most);

// From exactly as many as are needed to 4,096.
uint32_t DrawParticipants(Random& random, uint64_t usual, uint64_t least, uint64_t most);

// How many do nothing, of those that there is room for beside those that work: most often none,
// else so many that who works has places on both sides of a word of 64 bits.
uint32_t DrawIdle(Random& random, uint32_t participants, uint32_t least);

// Of memory, that processes can still have; in a container, of its share.
uint64_t FreeMemoryBytes();

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SHAPE_DRAW_SEGMENT_H_

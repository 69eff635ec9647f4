// Sizes of what workers make, where some would take longer than they live.
#ifndef KILL9_HARNESS_TORTURE_SHAPE_LARGE_RARELY_H_
#define KILL9_HARNESS_TORTURE_SHAPE_LARGE_RARELY_H_

#include <algorithm>
#include <cstdint>

#include "harness/base/random.h"

namespace kill9 {

// Each byte is written, and looked at. What is larger than kOftenBytes is so much rarer that all
// larger ones together cost a step kOftenBytes on average at the most.
inline constexpr uint32_t kOftenBytes = 256u << 10;

// `draw`: draws a size up to so many bytes, from `smallest` on.
template <typename DrawSize>
uint32_t DrawLargeRarely(Random& random, uint32_t smallest, uint32_t largest, DrawSize draw) {
  const uint32_t drawn = draw(largest);
  if (drawn <= kOftenBytes || random.Below(drawn) < kOftenBytes) return drawn;
  return draw(std::clamp(kOftenBytes / 4, smallest, largest));
}

// Each power of two is about as likely as the next; sizes near one are as likely as all others of
// its like.
inline uint32_t SpreadSize(Random& random, uint32_t smallest, uint32_t largest) {
  uint32_t most = largest;
  while (most > 16 && random.Chance(500)) most /= 2;
  most = std::max(most, smallest);
  if (most > smallest && random.Chance(200)) {
    return static_cast<uint32_t>(std::min<uint64_t>(most - 1 + random.Below(3), largest));
  }
  return static_cast<uint32_t>(smallest + random.Below(most - smallest + 1));
}

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SHAPE_LARGE_RARELY_H_

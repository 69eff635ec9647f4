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

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SHAPE_LARGE_RARELY_H_

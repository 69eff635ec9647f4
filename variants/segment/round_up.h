// Sizes and offsets in whole units.
#ifndef KILL9_VARIANTS_SEGMENT_ROUND_UP_H_
#define KILL9_VARIANTS_SEGMENT_ROUND_UP_H_

#include <cstdint>

namespace kill9 {

// The least multiple of `unit` that is not below `value`. REQUIRES: unit > 0; the sum fits.
constexpr uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_ROUND_UP_H_

// Values for tests that tell, to their last byte, whose they are: those of torture's workers.
#ifndef KILL9_PROPERTY_SCAFFOLD_VALUES_H_
#define KILL9_PROPERTY_SCAFFOLD_VALUES_H_

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "harness/store_driver/value.h"

namespace kill9 {

inline constexpr size_t kWholeValueBytes = 24;  // from here on a value has its id and its key

// The value `id` of key number `key`: `bytes` bytes, or as many as name both.
inline std::string ValueOf(uint64_t key, ValueId id, size_t bytes) {
  std::string value(std::max(bytes, kWholeValueBytes), '\0');
  FillValue(id, key, value);
  return value;
}
// Whether some ValueOf(key, ...) is all of this.
inline bool IsValueOf(uint64_t key, std::string_view value) {
  return value.size() >= kWholeValueBytes && CheckValue(key, value).defect == ValueDefect::kNone;
}

// `size` random bytes, zeros included, different for each seed.
inline std::string Bytes(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  std::mt19937_64 random(seed);
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, 8);
  }
  for (uint64_t word = random(); at < size; ++at, word >>= 8) bytes[at] = static_cast<char>(word);
  return bytes;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_VALUES_H_

// Comparing and copying keys, which are short: in line, where a call would cost as much as it does.
#ifndef KILL9_VARIANTS_SEGMENT_SHORT_BYTES_H_
#define KILL9_VARIANTS_SEGMENT_SHORT_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kill9 {

// As memcmp(a, b, bytes) == 0. No branch depends on where they differ.
inline bool SameBytes(const char* a, const char* b, size_t bytes) {
  const auto word = [](const char* at) {
    uint64_t bits;
    std::memcpy(&bits, at, sizeof bits);
    return bits;
  };
  if (bytes < sizeof(uint64_t)) return std::memcmp(a, b, bytes) == 0;
  uint64_t differ = word(a + bytes - sizeof(uint64_t)) ^ word(b + bytes - sizeof(uint64_t));
  for (size_t at = 0; at + sizeof(uint64_t) < bytes; at += sizeof(uint64_t)) {
    differ |= word(a + at) ^ word(b + at);
  }
  return differ == 0;
}

// As memcpy, likewise.
inline void CopyBytes(char* to, const char* from, size_t bytes) {
  if (bytes < sizeof(uint64_t)) {
    std::memcpy(to, from, bytes);
    return;
  }
  for (size_t at = 0; at + sizeof(uint64_t) < bytes; at += sizeof(uint64_t)) {
    std::memcpy(to + at, from + at, sizeof(uint64_t));
  }
  std::memcpy(to + bytes - sizeof(uint64_t), from + bytes - sizeof(uint64_t), sizeof(uint64_t));
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_SHORT_BYTES_H_

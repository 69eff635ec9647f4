#include "harness/store_driver/value.h"

#include <algorithm>
#include <cstring>

#include "variants/segment/hash.h"

namespace kill9 {
namespace {

constexpr size_t kHeaderBytes = 24;

uint64_t Load(const char* from) {
  uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

uint64_t MixOfValue(uint64_t id, uint64_t key, size_t size) {
  const uint64_t parts[3] = {id, key, size};
  return XXH3_64bits(parts, sizeof parts);
}

// Of everything but itself; size and key are part of it, so a value cut short or padded is torn
// too.
uint64_t Checksum(uint64_t id, uint64_t key, const char* bytes, size_t size) {
  const uint64_t seed = MixOfValue(id, key, size);
  if (size <= kHeaderBytes) return seed;
  return XXH3_64bits_withSeed(bytes + kHeaderBytes, size - kHeaderBytes, seed);
}

void FillPattern(uint64_t key, size_t size, char* to) {
  const uint64_t pattern = MixOfValue(0, key, size);
  std::memcpy(to, &pattern, size);
}

}  // namespace

void FillValue(ValueId id, uint64_t key, std::span<char> bytes) {
  char* to = bytes.data();
  const size_t size = bytes.size();
  if (size < kSmallestNamedValue) return FillPattern(key, size, to);
  std::memcpy(to, &id, sizeof id);
  if (size < kHeaderBytes) {
    const uint64_t checksum[2] = {Checksum(id, key, to, size), ~id};
    std::memcpy(to + 8, checksum, size - 8);
    return;
  }
  std::memcpy(to + 8, &key, sizeof key);
  uint64_t word = id * 0x9E3779B97F4A7C15u;
  size_t at = kHeaderBytes;
  for (; at + 8 <= size; at += 8, word += 0x9E3779B97F4A7C15u) std::memcpy(to + at, &word, 8);
  std::memcpy(to + at, &word, size - at);
  const uint64_t checksum = Checksum(id, key, to, size);
  std::memcpy(to + 16, &checksum, sizeof checksum);
}

ValueCheck CheckValue(uint64_t key, std::string_view bytes) {
  const size_t size = bytes.size();
  const char* from = bytes.data();
  ValueCheck check;
  if (size < kSmallestNamedValue) {
    char pattern[8];
    FillPattern(key, size, pattern);
    check.id = TinyValueId(size);
    if (size > 0 && std::memcmp(pattern, from, size) != 0) check.defect = ValueDefect::kTorn;
    return check;
  }
  check.id = Load(from);
  if (size < kHeaderBytes) {
    const uint64_t checksum[2] = {Checksum(check.id, key, from, size), ~check.id};
    if (std::memcmp(checksum, from + 8, size - 8) != 0) check.defect = ValueDefect::kTorn;
    return check;
  }
  const uint64_t written_key = Load(from + 8);
  if (Load(from + 16) != Checksum(check.id, written_key, from, size)) {
    check.defect = ValueDefect::kTorn;
  } else if (written_key != key) {
    check.defect = ValueDefect::kForeign;
  }
  return check;
}

}  // namespace kill9

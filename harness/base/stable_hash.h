// A hash that is the same on every machine and in every build, for what others must decide alike.
#ifndef KILL9_HARNESS_BASE_STABLE_HASH_H_
#define KILL9_HARNESS_BASE_STABLE_HASH_H_

#include <cstdint>
#include <string_view>

namespace kill9 {

// FNV-1a.
constexpr uint64_t StableHash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return hash;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_STABLE_HASH_H_

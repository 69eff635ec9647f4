// Families of keys: what the keys of a run have in common.
#ifndef KILL9_HARNESS_STORE_DRIVER_SHAPE_KEY_FAMILY_H_
#define KILL9_HARNESS_STORE_DRIVER_SHAPE_KEY_FAMILY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"

namespace kill9 {

enum class KeyFamily : uint8_t {
  kPlain,    // most are short, one of sixteen has 250 bytes, one a single byte while they last
  kEnds,     // of 250 bytes, equal at both ends: they differ in their middle only
  kZeros,    // of zero bytes only, each of another length, while they last; then with zeros inside
  kLongest,  // as long as the design takes them; they differ in their last bytes
  kSorted,   // decimal numbers with leading zeros, in order
  kTwins,    // half of the hash is equal, in pairs; or they belong to one bucket, many of one tag
};
inline constexpr KeyFamily kKeyFamilies[] = {KeyFamily::kPlain,  KeyFamily::kEnds,
                                             KeyFamily::kZeros,  KeyFamily::kLongest,
                                             KeyFamily::kSorted, KeyFamily::kTwins};
std::string_view KeyFamilyName(KeyFamily family);

// `count` different keys. `hash` is the segment's (Segment::Hash); only kTwins asks it.
std::vector<std::string> KeysOf(KeyFamily family, uint64_t count, size_t max_key_bytes,
                                absl::FunctionRef<uint64_t(std::string_view)> hash);
std::vector<std::string> PlainKeys(uint64_t count);

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_SHAPE_KEY_FAMILY_H_

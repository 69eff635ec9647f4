// Values that validate themselves to the last byte, so that a torn, foreign or invented value is
// seen by the very process that reads it.
//
//     size >= 24    id (8) | key's number (8) | checksum of all else (8) | filler
//     8 to 23       id (8) | as much of the checksum as there is room for
//     0 to 7        a pattern of the key's number and the size: all such values of a key are alike
//
// The id of a value is the number of the process that wrote it (upper 32 bits) and the writer's own
// sequence (lower 32 bits): unique in a run, except for values under 8 bytes, which have no room
// for one.
#ifndef KILL9_HARNESS_STORE_DRIVER_VALUE_H_
#define KILL9_HARNESS_STORE_DRIVER_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kill9 {

using ValueId = uint64_t;

constexpr ValueId MakeValueId(uint32_t process, uint32_t sequence) {
  return ValueId{process} << 32 | sequence;
}
constexpr uint32_t ProcessOf(ValueId id) { return static_cast<uint32_t>(id >> 32); }
constexpr uint32_t SequenceOf(ValueId id) { return static_cast<uint32_t>(id); }

// The id that is recorded for a value of `size` < 8 bytes. No process has the number that it names.
inline constexpr size_t kSmallestNamedValue = 8;
constexpr ValueId TinyValueId(size_t size) { return ValueId{1} << 63 | (size + 1); }
constexpr bool IsTiny(ValueId id) { return (id >> 63) != 0; }

// Fills `bytes` with the value `id` of key number `key`.
void FillValue(ValueId id, uint64_t key, std::span<char> bytes);

enum class ValueDefect : uint8_t {
  kNone,
  kTorn,     // its bytes do not belong together
  kForeign,  // sound, but another key's
};

struct ValueCheck {
  ValueDefect defect = ValueDefect::kNone;
  ValueId id = 0;  // TinyValueId for values without room for one
};
// What was read under key number `key`. Whether somebody ever wrote the id is for the caller to
// say.
ValueCheck CheckValue(uint64_t key, std::string_view bytes);

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_VALUE_H_

// Shapes as text, which --shape= takes and a run prints: field=value, separated by commas. What the
// fields are is the kind's to say.
#ifndef KILL9_HARNESS_TORTURE_SHAPE_SHAPE_TEXT_H_
#define KILL9_HARNESS_TORTURE_SHAPE_SHAPE_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace kill9::shape_text {

// Instead of fields: the scenario's own shape, and one that the seed draws.
inline constexpr std::string_view kUsual = "usual";
inline constexpr std::string_view kDrawn = "drawn";

// What a field can be.
inline constexpr uint64_t kLeastSegmentBytes = 64u << 10;
inline constexpr uint64_t kMostSegmentBytes = uint64_t{1} << 36;
inline constexpr uint64_t kMostParticipants = 4096;
inline constexpr uint64_t kMostSizeBytes = 1u << 30;  // of a value, of a block

absl::Status Wrong(std::string_view field, const std::string& what);

// Calls `parse` for each field of the text. kInvalidArgument: there is none of `fields`, or it is
// said twice.
using ParseField =
    absl::FunctionRef<absl::Status(const std::string& field, const std::string& text)>;
absl::Status ParseFields(std::string_view text, std::span<const std::string_view> fields,
                         ParseField parse);

// Of one field. kInvalidArgument says what it can be.
absl::Status ParseNumber(std::string_view field, const std::string& text, uint64_t least,
                         uint64_t most, uint64_t* number);
template <typename Number>
absl::Status ParseNumber(std::string_view field, const std::string& text, uint64_t least,
                         uint64_t most, Number* number) {
  uint64_t parsed = 0;
  absl::Status status = ParseNumber(field, text, least, most, &parsed);
  if (status.ok()) *number = static_cast<Number>(parsed);
  return status;
}
// Of the fields that every kind has: "segment", "participants", "idle". Nullopt: it is another.
std::optional<absl::Status> ParseSegmentField(const std::string& field, const std::string& text,
                                              uint64_t* segment_bytes, uint32_t* participants,
                                              uint32_t* idle);
// "197", or "0..9000".
absl::Status ParseSizes(std::string_view field, const std::string& text, uint32_t* smallest,
                        uint32_t* largest);
// Which of the names it is.
absl::Status ParseName(std::string_view field, const std::string& text,
                       std::span<const std::string_view> names, size_t* index);
// Which of the names are there, a bit for each: "none", or their names with + between.
absl::Status ParseSet(std::string_view field, const std::string& text,
                      std::span<const std::string_view> names, uint32_t* bits);
// All that a set's names can be: "none", and each of them.
std::vector<std::string> AllSetNames(std::span<const std::string_view> names);
// The names of a set, or "none" alone; and as text.
std::vector<std::string> SetNames(std::span<const std::string_view> names, uint32_t bits);
std::string SetText(std::span<const std::string_view> names, uint32_t bits);

}  // namespace kill9::shape_text

#endif  // KILL9_HARNESS_TORTURE_SHAPE_SHAPE_TEXT_H_

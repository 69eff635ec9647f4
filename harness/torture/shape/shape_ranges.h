// Classes of shapes, by which results tell what was covered, and what no run has seen.
#ifndef KILL9_HARNESS_TORTURE_SHAPE_SHAPE_RANGES_H_
#define KILL9_HARNESS_TORTURE_SHAPE_SHAPE_RANGES_H_

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/result/json_forward.h"

namespace kill9 {

struct ShapeDimension {
  std::string_view name;
  std::vector<std::string> classes;
};
// {"segment": ["to 8 MiB"], …}
Json ToJson(const std::vector<ShapeDimension>& dimensions);

std::vector<ShapeDimension> Joined(std::vector<ShapeDimension> first,
                                   const std::vector<ShapeDimension>& then);

// What is at most `most`, and more than the one before.
struct UpTo {
  uint64_t most;
  std::string_view name;
};
inline constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
std::string NameOf(std::span<const UpTo> ranges, uint64_t number);
std::vector<std::string> NamesOf(std::span<const UpTo> ranges);
std::vector<std::string> NamesOf(std::span<const std::string_view> all);

// Of the participants those that do nothing.
inline constexpr UpTo kIdlers[] = {{0, "none"}, {59, "a few"}, {kNoLimit, "a word of them"}};

// What shapes of every kind have: how large the segment is, whether it ends with a page, and how
// many participants there are to spare.
std::vector<ShapeDimension> AllSegmentClasses();
// `room`: participants that there is room for; `participants`: that take part at a time.
std::vector<ShapeDimension> SegmentClassesOf(uint64_t segment_bytes, uint32_t room,
                                             uint32_t participants);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SHAPE_SHAPE_RANGES_H_

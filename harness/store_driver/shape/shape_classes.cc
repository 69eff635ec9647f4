#include "harness/store_driver/shape/shape_classes.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

namespace kill9 {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// What is at most `most`, and more than the one before.
struct UpTo {
  uint64_t most;
  std::string_view name;
};
constexpr UpTo kSegments[] = {{1u << 20, "up to 1 MiB"},  {8u << 20, "to 8 MiB"},
                              {32u << 20, "to 32 MiB"},   {96u << 20, "to 96 MiB"},
                              {256u << 20, "to 256 MiB"}, {kNoLimit, "more"}};
constexpr std::string_view kEnds[] = {"whole pages", "no multiple of a page"};
// Of what is expected for each key that there is, in hundredths.
constexpr UpTo kEntries[] = {{0, "the design's choice"},
                             {25, "far too few"},
                             {400, "about right"},
                             {kNoLimit, "far too many"}};
constexpr UpTo kStripes[] = {
    {0, "the design's choice"}, {1, "1"}, {8, "to 8"}, {64, "to 64"}, {kNoLimit, "more"}};
// Of the participants that there is room for, those to spare.
constexpr UpTo kSpare[] = {
    {0, "none to spare"}, {16, "to 16 to spare"}, {1024, "hundreds to spare"}, {kNoLimit, "4096"}};
constexpr UpTo kKeys[] = {
    {1, "1"}, {16, "to 16"}, {256, "to 256"}, {1024, "to 1024"}, {kNoLimit, "more"}};
constexpr KeyDistribution kDistributions[] = {KeyDistribution::kUniform, KeyDistribution::kZipfian,
                                              KeyDistribution::kHotspot, KeyDistribution::kOneHot};
constexpr UpTo kValues[] = {{8, "to 8 B"},       {200, "to 200 B"},        {4096, "to 4 KiB"},
                            {9000, "to 9000 B"}, {64u << 10, "to 64 KiB"}, {1u << 20, "to 1 MiB"},
                            {kNoLimit, "more"}};
constexpr std::string_view kSizes[] = {"one size", "uniform", "spread", "edges"};

std::string NameOf(std::span<const UpTo> ranges, uint64_t number) {
  for (const UpTo& range : ranges) {
    if (number <= range.most) return std::string(range.name);
  }
  return "";
}

std::vector<std::string> NamesOf(std::span<const UpTo> ranges) {
  std::vector<std::string> names;
  for (const UpTo& range : ranges) names.emplace_back(range.name);
  return names;
}

std::vector<std::string> NamesOf(std::span<const std::string_view> all) {
  return {all.begin(), all.end()};
}

std::vector<std::string> AbsentOf(const StoreShape& shape) {
  std::vector<std::string> absent;
  for (const Action action : kOptionalActions) {
    if (shape.lacks(action)) absent.emplace_back(ActionText(action));
  }
  if (absent.empty()) absent.emplace_back("none");
  return absent;
}

}  // namespace

std::vector<ShapeDimension> AllShapeClasses() {
  std::vector<std::string> families, choices, actions = {"none"};
  for (const KeyFamily family : kKeyFamilies) families.emplace_back(KeyFamilyName(family));
  for (const KeyDistribution one : kDistributions) choices.emplace_back(KeyDistributionName(one));
  for (const Action action : kOptionalActions) actions.emplace_back(ActionText(action));
  return {{"segment", NamesOf(kSegments)},
          {"segment_end", NamesOf(kEnds)},
          {"entries", NamesOf(kEntries)},
          {"stripes", NamesOf(kStripes)},
          {"participants", NamesOf(kSpare)},
          {"keys", NamesOf(kKeys)},
          {"family", families},
          {"choose", choices},
          {"values", NamesOf(kValues)},
          {"sizes", NamesOf(kSizes)},
          {"without", actions}};
}

std::vector<ShapeDimension> ClassesOf(const StoreShape& shape, uint32_t participants) {
  const uint64_t expected = shape.expected_entries;
  const uint64_t share = expected == 0 ? 0 : std::max<uint64_t>(1, expected * 100 / shape.keys);
  const uint64_t spare = shape.participants >= 4096          ? kNoLimit
                         : shape.participants > participants ? shape.participants - participants
                                                             : 0;
  const ValueSizes& sizes = shape.sizes;
  const size_t how = sizes.smallest == sizes.largest ? 0
                     : sizes.at_edges                ? 3
                     : sizes.spread                  ? 2
                                                     : 1;
  return {{"segment", {NameOf(kSegments, shape.segment_bytes)}},
          {"segment_end", {std::string(kEnds[shape.segment_bytes % kPageBytes == 0 ? 0 : 1])}},
          {"entries", {NameOf(kEntries, share)}},
          {"stripes", {NameOf(kStripes, shape.stripes)}},
          {"participants", {NameOf(kSpare, spare)}},
          {"keys", {NameOf(kKeys, shape.keys)}},
          {"family", {std::string(KeyFamilyName(shape.family))}},
          {"choose", {std::string(KeyDistributionName(shape.distribution))}},
          {"values", {NameOf(kValues, sizes.largest)}},
          {"sizes", {std::string(kSizes[how])}},
          {"without", AbsentOf(shape)}};
}

}  // namespace kill9

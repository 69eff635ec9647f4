#include "harness/store_driver/shape/shape_classes.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace kill9 {
namespace {

// Of what is expected for each key that there is, in hundredths.
constexpr UpTo kEntries[] = {{0, "the design's choice"},
                             {25, "far too few"},
                             {400, "about right"},
                             {kNoLimit, "far too many"}};
constexpr UpTo kStripes[] = {
    {0, "the design's choice"}, {1, "1"}, {8, "to 8"}, {64, "to 64"}, {kNoLimit, "more"}};
constexpr UpTo kKeys[] = {
    {1, "1"}, {16, "to 16"}, {256, "to 256"}, {1024, "to 1024"}, {kNoLimit, "more"}};
constexpr KeyDistribution kDistributionClasses[] = {
    KeyDistribution::kUniform, KeyDistribution::kZipfian, KeyDistribution::kHotspot,
    KeyDistribution::kOneHot};
constexpr UpTo kValues[] = {{8, "to 8 B"},       {200, "to 200 B"},        {4096, "to 4 KiB"},
                            {9000, "to 9000 B"}, {64u << 10, "to 64 KiB"}, {1u << 20, "to 1 MiB"},
                            {kNoLimit, "more"}};
constexpr std::string_view kSizes[] = {"one size", "uniform", "spread", "edges"};

}  // namespace

std::vector<ShapeDimension> AllShapeClasses() {
  std::vector<std::string> families, choices, actions = {"none"};
  for (const KeyFamily family : kKeyFamilies) families.emplace_back(KeyFamilyName(family));
  for (const KeyDistribution one : kDistributionClasses)
    choices.emplace_back(KeyDistributionName(one));
  for (const Action action : kOptionalActions) actions.emplace_back(ActionText(action));
  return Joined(AllSegmentClasses(), {{"entries", NamesOf(kEntries)},
                                      {"stripes", NamesOf(kStripes)},
                                      {"keys", NamesOf(kKeys)},
                                      {"family", families},
                                      {"choose", choices},
                                      {"values", NamesOf(kValues)},
                                      {"sizes", NamesOf(kSizes)},
                                      {"without", actions}});
}

std::vector<ShapeDimension> ClassesOf(const StoreShape& shape, uint32_t participants) {
  const uint64_t expected = shape.expected_entries;
  const uint64_t share = expected == 0 ? 0 : std::max<uint64_t>(1, expected * 100 / shape.keys);
  const ValueSizes& sizes = shape.sizes;
  const size_t how = sizes.smallest == sizes.largest ? 0
                     : sizes.at_edges                ? 3
                     : sizes.spread                  ? 2
                                                     : 1;
  return Joined(SegmentClassesOf(shape.segment_bytes, shape.participants, participants),
                {{"entries", {NameOf(kEntries, share)}},
                 {"stripes", {NameOf(kStripes, shape.stripes)}},
                 {"keys", {NameOf(kKeys, shape.keys)}},
                 {"family", {std::string(KeyFamilyName(shape.family))}},
                 {"choose", {std::string(KeyDistributionName(shape.distribution))}},
                 {"values", {NameOf(kValues, sizes.largest)}},
                 {"sizes", {std::string(kSizes[how])}},
                 {"without", AbsentOf(shape)}});
}

}  // namespace kill9

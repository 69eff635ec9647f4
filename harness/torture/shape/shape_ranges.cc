#include "harness/torture/shape/shape_ranges.h"

#include "harness/result/result.h"

namespace kill9 {
namespace {

constexpr uint64_t kPageBytes = 4096;

constexpr UpTo kSegments[] = {{1u << 20, "up to 1 MiB"},  {8u << 20, "to 8 MiB"},
                              {32u << 20, "to 32 MiB"},   {96u << 20, "to 96 MiB"},
                              {256u << 20, "to 256 MiB"}, {kNoLimit, "more"}};
constexpr std::string_view kEnds[] = {"whole pages", "no multiple of a page"};
// Of the participants that there is room for, those to spare.
constexpr UpTo kSpare[] = {
    {0, "none to spare"}, {16, "to 16 to spare"}, {1024, "hundreds to spare"}, {kNoLimit, "4096"}};

}  // namespace

Json ToJson(const std::vector<ShapeDimension>& dimensions) {
  Json json = Json::object();
  for (const ShapeDimension& dimension : dimensions) {
    json[std::string(dimension.name)] = dimension.classes;
  }
  return json;
}

std::vector<ShapeDimension> Joined(std::vector<ShapeDimension> first,
                                   const std::vector<ShapeDimension>& then) {
  first.insert(first.end(), then.begin(), then.end());
  return first;
}

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

std::vector<ShapeDimension> AllSegmentClasses() {
  return {{"segment", NamesOf(kSegments)},
          {"segment_end", NamesOf(kEnds)},
          {"participants", NamesOf(kSpare)}};
}

std::vector<ShapeDimension> SegmentClassesOf(uint64_t segment_bytes, uint32_t room,
                                             uint32_t participants) {
  const uint64_t spare = room >= 4096 ? kNoLimit : room > participants ? room - participants : 0;
  return {{"segment", {NameOf(kSegments, segment_bytes)}},
          {"segment_end", {std::string(kEnds[segment_bytes % kPageBytes == 0 ? 0 : 1])}},
          {"participants", {NameOf(kSpare, spare)}}};
}

}  // namespace kill9

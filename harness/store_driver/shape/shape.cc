#include "harness/store_driver/shape/shape.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9 {
namespace {

using shape_text::Wrong;

constexpr uint64_t kMostKeys = 1u << 20;
constexpr uint64_t kMostStripes = 4096;

constexpr KeyDistribution kDistributions[] = {KeyDistribution::kUniform, KeyDistribution::kZipfian,
                                              KeyDistribution::kHotspot, KeyDistribution::kOneHot,
                                              KeyDistribution::kLatest};
constexpr std::string_view kSizeChoices[] = {"uniform", "spread", "edges"};
constexpr std::string_view kFields[] = {"segment", "entries", "stripes", "participants", "keys",
                                        "family",  "choose",  "values",  "sizes",        "without"};

std::string_view SizeChoiceOf(const ValueSizes& sizes) {
  return kSizeChoices[sizes.at_edges ? 2 : sizes.spread ? 1 : 0];
}

// The one of `all` that `text` names by `name_of`.
template <typename Value>
absl::Status ParseName(std::string_view field, const std::string& text, std::span<const Value> all,
                       std::string_view (*name_of)(Value), Value* value) {
  std::vector<std::string_view> names;
  for (const Value one : all) names.push_back(name_of(one));
  size_t index = 0;
  absl::Status status = shape_text::ParseName(field, text, names, &index);
  if (status.ok()) *value = all[index];
  return status;
}

absl::Status ParseSizeChoice(const std::string& text, ValueSizes* sizes) {
  size_t index = 0;
  absl::Status status = shape_text::ParseName("sizes", text, kSizeChoices, &index);
  if (!status.ok()) return status;
  sizes->spread = index == 1;
  sizes->at_edges = index == 2;
  return status;
}

std::vector<std::string_view> OptionalNames() {
  std::vector<std::string_view> names;
  for (const Action action : kOptionalActions) names.push_back(ActionText(action));
  return names;
}

absl::Status ParseWithout(const std::string& text, uint32_t* without) {
  uint32_t bits = 0;
  absl::Status status = shape_text::ParseSet("without", text, OptionalNames(), &bits);
  *without = 0;
  for (size_t index = 0; index < std::size(kOptionalActions); ++index) {
    *without |= (bits >> index & 1) << static_cast<int>(kOptionalActions[index]);
  }
  return status;
}

absl::Status ParseField(const std::string& field, const std::string& text, StoreShape* shape) {
  const auto number = [&](uint64_t least, uint64_t most, auto* to) {
    return shape_text::ParseNumber(field, text, least, most, to);
  };
  if (field == "segment") {
    return number(shape_text::kLeastSegmentBytes, shape_text::kMostSegmentBytes,
                  &shape->segment_bytes);
  }
  if (field == "entries") return number(0, shape_text::kMostSegmentBytes, &shape->expected_entries);
  if (field == "stripes") return number(0, kMostStripes, &shape->stripes);
  if (field == "participants")
    return number(0, shape_text::kMostParticipants, &shape->participants);
  if (field == "keys") return number(1, kMostKeys, &shape->keys);
  if (field == "family") {
    return ParseName<KeyFamily>("family", text, kKeyFamilies, KeyFamilyName, &shape->family);
  }
  if (field == "choose") {
    return ParseName<KeyDistribution>("choose", text, kDistributions, KeyDistributionName,
                                      &shape->distribution);
  }
  if (field == "values") {
    return shape_text::ParseSizes(field, text, &shape->sizes.smallest, &shape->sizes.largest);
  }
  if (field == "sizes") return ParseSizeChoice(text, &shape->sizes);
  return ParseWithout(text, &shape->without);
}

}  // namespace

std::string_view ActionText(Action action) {
  switch (action) {
    case Action::kGet:
      return "get";
    case Action::kPut:
      return "put";
    case Action::kErase:
      return "erase";
    case Action::kCompareAndSwap:
      return "compare_and_swap";
    case Action::kPin:
      return "pin";
    case Action::kDraft:
      return "draft";
    case Action::kForEach:
      return "for_each";
    case Action::kReadModifyWrite:
    case Action::kInsert:
    case Action::kIdle:
    case Action::kPutUntil:
    case Action::kReplace:
    case Action::kGetMany:
    case Action::kLease:
    case Action::kClear:
      break;
  }
  std::abort();
}

bool TakesValuesOf(const Traits& traits, uint64_t bytes) {
  const SizeEdges& edges = traits.edges;
  return !traits.needs_name || edges.value_bytes.empty() || bytes <= edges.value_bytes.back();
}

std::vector<std::string> AbsentOf(const StoreShape& shape) {
  std::vector<std::string> absent;
  for (const Action action : kOptionalActions) {
    if (shape.lacks(action)) absent.emplace_back(ActionText(action));
  }
  if (absent.empty()) absent.emplace_back("none");
  return absent;
}

std::string ShapeText(const StoreShape& shape) {
  return absl::StrCat("segment=", shape.segment_bytes, ",entries=", shape.expected_entries,
                      ",stripes=", shape.stripes, ",participants=", shape.participants,
                      ",keys=", shape.keys, ",family=", std::string(KeyFamilyName(shape.family)),
                      ",choose=", std::string(KeyDistributionName(shape.distribution)),
                      ",values=", shape.sizes.smallest, "..", shape.sizes.largest,
                      ",sizes=", std::string(SizeChoiceOf(shape.sizes)),
                      ",without=", absl::StrJoin(AbsentOf(shape), "+"));
}

absl::Status ParseShape(std::string_view text, StoreShape* shape) {
  const auto parse = [shape](const std::string& field, const std::string& value) {
    return ParseField(field, value, shape);
  };
  if (absl::Status status = shape_text::ParseFields(text, kFields, parse); !status.ok()) {
    return status;
  }
  return CheckShape(*shape);
}

absl::Status CheckShape(const StoreShape& shape) {
  if (shape.stripes != 0 && (shape.stripes & (shape.stripes - 1)) != 0) {
    return Wrong("stripes", absl::StrCat(shape.stripes, " is no power of two"));
  }
  if (shape.expected_entries > shape.segment_bytes) {
    return Wrong("entries", absl::StrCat(shape.expected_entries, " are expected, of a segment of ",
                                         shape.segment_bytes, " bytes"));
  }
  if (shape.lacks(Action::kPut) && shape.lacks(Action::kDraft) &&
      shape.lacks(Action::kCompareAndSwap)) {
    return Wrong("without", "nothing would ever be written");
  }
  return absl::OkStatus();
}

void ApplyTo(const StoreShape& shape, SegmentOptions* options) {
  options->size_bytes = shape.segment_bytes;
  options->expected_entries = shape.expected_entries;
  options->stripes = shape.stripes;
  if (shape.participants != 0) options->max_participants = shape.participants;
}

Mix WithoutAbsent(const Mix& mix, const StoreShape& shape) {
  Mix left = mix;
  uint32_t sum = 0;
  size_t most = 0;
  for (size_t action = 0; action < kActions; ++action) {
    if (shape.lacks(static_cast<Action>(action))) left.per_mille[action] = 0;
    sum += left.per_mille[action];
    if (left.per_mille[action] > left.per_mille[most]) most = action;
  }
  if (sum == 0 || sum == 1000) return left;
  uint32_t scaled = 0;
  for (uint16_t& share : left.per_mille) {
    share = static_cast<uint16_t>(share * 1000u / sum);
    scaled += share;
  }
  // What rounding has left over.
  left.per_mille[most] = static_cast<uint16_t>(left.per_mille[most] + 1000 - scaled);
  return left;
}

}  // namespace kill9

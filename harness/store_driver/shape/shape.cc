#include "harness/store_driver/shape/shape.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace kill9 {
namespace {

constexpr uint64_t kLeastSegmentBytes = 64u << 10;
constexpr uint64_t kMostSegmentBytes = uint64_t{1} << 36;
constexpr uint64_t kMostKeys = 1u << 20;
constexpr uint64_t kMostValueBytes = 1u << 30;
constexpr uint64_t kMostParticipants = 4096;
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

std::string Joined(std::span<const std::string_view> names) {
  std::vector<std::string> texts(names.begin(), names.end());
  return absl::StrJoin(texts, ", ");
}

absl::Status Wrong(std::string_view field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": ", what));
}

absl::Status ParseNumber(std::string_view field, const std::string& text, uint64_t least,
                         uint64_t most, uint64_t* number) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, *number);
  if (error == std::errc() && at == end && *number >= least && *number <= most) {
    return absl::OkStatus();
  }
  return Wrong(field, absl::StrCat("'", text, "' is no whole number from ", least, " to ", most));
}

// The one of `all` that `name` names by NameOf.
template <typename Value>
absl::Status ParseName(std::string_view field, const std::string& text, std::span<const Value> all,
                       std::string_view (*name_of)(Value), Value* value) {
  std::vector<std::string_view> names;
  for (const Value one : all) {
    names.push_back(name_of(one));
    if (names.back() != text) continue;
    *value = one;
    return absl::OkStatus();
  }
  return Wrong(field, absl::StrCat("there is no '", text, "'; known are: ", Joined(names)));
}

absl::Status ParseValues(const std::string& text, ValueSizes* sizes) {
  const size_t dots = text.find("..");
  const std::string least = text.substr(0, dots);
  const std::string most = dots == text.npos ? least : text.substr(dots + 2);
  uint64_t smallest = 0, largest = 0;
  if (absl::Status status = ParseNumber("values", least, 0, kMostValueBytes, &smallest);
      !status.ok()) {
    return status;
  }
  if (absl::Status status = ParseNumber("values", most, smallest, kMostValueBytes, &largest);
      !status.ok()) {
    return status;
  }
  sizes->smallest = static_cast<uint32_t>(smallest);
  sizes->largest = static_cast<uint32_t>(largest);
  return absl::OkStatus();
}

absl::Status ParseSizes(const std::string& text, ValueSizes* sizes) {
  const auto* found = std::find(std::begin(kSizeChoices), std::end(kSizeChoices), text);
  if (found == std::end(kSizeChoices)) {
    return Wrong("sizes",
                 absl::StrCat("there is no '", text, "'; known are: ", Joined(kSizeChoices)));
  }
  sizes->spread = text == "spread";
  sizes->at_edges = text == "edges";
  return absl::OkStatus();
}

absl::Status ParseWithout(const std::string& text, uint32_t* without) {
  *without = 0;
  if (text == "none") return absl::OkStatus();
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(text, '+'))) {
    Action action{};
    if (absl::Status status =
            ParseName<Action>("without", name, kOptionalActions, ActionText, &action);
        !status.ok()) {
      return status;
    }
    *without |= 1u << static_cast<int>(action);
  }
  return absl::OkStatus();
}

absl::Status ParseField(const std::string& field, const std::string& text, StoreShape* shape) {
  const auto number = [&](uint64_t least, uint64_t most, auto* to) {
    uint64_t parsed = 0;
    absl::Status status = ParseNumber(field, text, least, most, &parsed);
    if (status.ok()) *to = static_cast<std::remove_pointer_t<decltype(to)>>(parsed);
    return status;
  };
  if (field == "segment")
    return number(kLeastSegmentBytes, kMostSegmentBytes, &shape->segment_bytes);
  if (field == "entries") return number(0, kMostSegmentBytes, &shape->expected_entries);
  if (field == "stripes") return number(0, kMostStripes, &shape->stripes);
  if (field == "participants") return number(0, kMostParticipants, &shape->participants);
  if (field == "keys") return number(1, kMostKeys, &shape->keys);
  if (field == "family") {
    return ParseName<KeyFamily>("family", text, kKeyFamilies, KeyFamilyName, &shape->family);
  }
  if (field == "choose") {
    return ParseName<KeyDistribution>("choose", text, kDistributions, KeyDistributionName,
                                      &shape->distribution);
  }
  if (field == "values") return ParseValues(text, &shape->sizes);
  if (field == "sizes") return ParseSizes(text, &shape->sizes);
  if (field == "without") return ParseWithout(text, &shape->without);
  return absl::InvalidArgumentError(
      absl::StrCat("a shape has no '", field, "'; it has: ", Joined(kFields)));
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
      break;
  }
  std::abort();
}

std::string ShapeText(const StoreShape& shape) {
  std::vector<std::string> absent;
  for (const Action action : kOptionalActions) {
    if (shape.lacks(action)) absent.emplace_back(ActionText(action));
  }
  return absl::StrCat("segment=", shape.segment_bytes, ",entries=", shape.expected_entries,
                      ",stripes=", shape.stripes, ",participants=", shape.participants,
                      ",keys=", shape.keys, ",family=", std::string(KeyFamilyName(shape.family)),
                      ",choose=", std::string(KeyDistributionName(shape.distribution)),
                      ",values=", shape.sizes.smallest, "..", shape.sizes.largest,
                      ",sizes=", std::string(SizeChoiceOf(shape.sizes)),
                      ",without=", absent.empty() ? "none" : absl::StrJoin(absent, "+"));
}

absl::Status ParseShape(std::string_view text, StoreShape* shape) {
  std::vector<std::string> seen;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(std::string(text), ','))) {
    const size_t equals = part.find('=');
    if (equals == part.npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", part, "' is no key=value; a shape has: ", Joined(kFields)));
    }
    const std::string field = part.substr(0, equals);
    if (std::find(seen.begin(), seen.end(), field) != seen.end()) {
      return Wrong(field, "it is said twice");
    }
    seen.push_back(field);
    if (absl::Status status = ParseField(field, part.substr(equals + 1), shape); !status.ok()) {
      return status;
    }
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

#include "harness/torture/shape/shape_text.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace kill9::shape_text {
namespace {

std::string Joined(std::span<const std::string_view> names) {
  const std::vector<std::string> texts(names.begin(), names.end());
  return absl::StrJoin(texts, ", ");
}

std::vector<std::string> Split(std::string_view text, char at) {
  return absl::StrSplit(std::string(text), at);
}

}  // namespace

absl::Status Wrong(std::string_view field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": ", what));
}

absl::Status ParseFields(std::string_view text, std::span<const std::string_view> fields,
                         ParseField parse) {
  std::vector<std::string> seen;
  for (const std::string& part : Split(text, ',')) {
    const size_t equals = part.find('=');
    if (equals == part.npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", part, "' is no field=value; a shape has: ", Joined(fields)));
    }
    const std::string field = part.substr(0, equals);
    if (std::find(seen.begin(), seen.end(), field) != seen.end()) {
      return Wrong(field, "it is said twice");
    }
    if (std::find(fields.begin(), fields.end(), field) == fields.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("a shape has no '", field, "'; it has: ", Joined(fields)));
    }
    seen.push_back(field);
    if (absl::Status status = parse(field, part.substr(equals + 1)); !status.ok()) return status;
  }
  return absl::OkStatus();
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

std::optional<absl::Status> ParseSegmentField(const std::string& field, const std::string& text,
                                              uint64_t* segment_bytes, uint32_t* participants,
                                              uint32_t* idle) {
  if (field == "segment") {
    return ParseNumber(field, text, kLeastSegmentBytes, kMostSegmentBytes, segment_bytes);
  }
  if (field == "participants") return ParseNumber(field, text, 0, kMostParticipants, participants);
  if (field == "idle") return ParseNumber(field, text, 0, kMostParticipants, idle);
  return std::nullopt;
}

absl::Status ParseSizes(std::string_view field, const std::string& text, uint32_t* smallest,
                        uint32_t* largest) {
  const size_t dots = text.find("..");
  const std::string least_text = text.substr(0, dots);
  const std::string most_text = dots == text.npos ? least_text : text.substr(dots + 2);
  uint64_t least = 0, most = 0;
  if (absl::Status status = ParseNumber(field, least_text, 0, kMostSizeBytes, &least);
      !status.ok()) {
    return status;
  }
  if (absl::Status status = ParseNumber(field, most_text, least, kMostSizeBytes, &most);
      !status.ok()) {
    return status;
  }
  *smallest = static_cast<uint32_t>(least);
  *largest = static_cast<uint32_t>(most);
  return absl::OkStatus();
}

absl::Status ParseName(std::string_view field, const std::string& text,
                       std::span<const std::string_view> names, size_t* index) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    return Wrong(field, absl::StrCat("there is no '", text, "'; known are: ", Joined(names)));
  }
  *index = static_cast<size_t>(found - names.begin());
  return absl::OkStatus();
}

absl::Status ParseSet(std::string_view field, const std::string& text,
                      std::span<const std::string_view> names, uint32_t* bits) {
  *bits = 0;
  if (text == "none") return absl::OkStatus();
  for (const std::string& name : Split(text, '+')) {
    size_t index = 0;
    if (absl::Status status = ParseName(field, name, names, &index); !status.ok()) return status;
    *bits |= 1u << index;
  }
  return absl::OkStatus();
}

std::vector<std::string> AllSetNames(std::span<const std::string_view> names) {
  std::vector<std::string> all = {"none"};
  all.insert(all.end(), names.begin(), names.end());
  return all;
}

std::vector<std::string> SetNames(std::span<const std::string_view> names, uint32_t bits) {
  std::vector<std::string> there;
  for (size_t index = 0; index < names.size(); ++index) {
    if ((bits >> index & 1) != 0) there.emplace_back(names[index]);
  }
  if (there.empty()) there.emplace_back("none");
  return there;
}

std::string SetText(std::span<const std::string_view> names, uint32_t bits) {
  return absl::StrJoin(SetNames(names, bits), "+");
}

}  // namespace kill9::shape_text

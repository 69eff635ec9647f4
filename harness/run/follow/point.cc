#include "harness/run/follow/point.h"

#include <algorithm>
#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kill9::run {
namespace {

// process:call("path") #occurrence + instruction
constexpr char kForm[] =
    R"form((?:([0-9]+(?:\.[0-9]+)*):)?([a-z0-9_]+)(?:\((?:"((?:[^"\\]|\\.)*)")?\))?)form"
    R"form((?: #([0-9]{1,9}))?(?: \+ ([0-9]{1,18}))?)form";

}  // namespace

std::string NameOf(const Point& point) {
  std::string name = point.process.empty() ? "" : absl::StrCat(point.process, ":");
  absl::StrAppend(&name, point.call);
  if (point.call != "begin") {
    absl::StrAppend(
        &name, point.path.empty() ? "()" : absl::StrCat("(\"", absl::CEscape(point.path), "\")"));
  }
  absl::StrAppend(&name, " #", point.occurrence);
  if (point.call == "begin") absl::StrAppend(&name, " + ", point.instruction);
  return name;
}

absl::StatusOr<Point> ParsePoint(std::string_view name) {
  const std::string text(name);
  std::smatch parts;
  Point point;
  bool good = std::regex_match(text, parts, std::regex(kForm));
  if (good) {
    point.process = parts[1];
    point.call = parts[2];
    good = absl::CUnescape(std::string(parts[3]), &point.path);
    if (parts[4].matched) point.occurrence = static_cast<uint32_t>(std::stoul(parts[4]));
    if (parts[5].matched) point.instruction = std::stoull(parts[5]);
  }
  if (good && point.occurrence > 0) return point;
  return absl::InvalidArgumentError(
      absl::StrCat("'", text,
                   "' is no point; points are written as write(\"metrics.tmp\") #2, fork() #1, of "
                   "another process of the program 2:rename(\"metrics.tmp\") #1, and of an "
                   "instruction begin #1 + 4711"));
}

bool PathFits(std::string_view pattern, std::string_view path) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == path;
  const std::string_view begin = pattern.substr(0, star), end = pattern.substr(star + 1);
  return path.size() >= begin.size() + end.size() && path.starts_with(begin) && path.ends_with(end);
}

// Names drawn by chance are of letters, digits and underscores; some of them may agree by chance.
std::string PatternOf(std::string_view a, std::string_view b) {
  if (a == b) return std::string(a);
  const auto may_be_drawn = [](char c) { return absl::ascii_isalnum(c) || c == '_'; };
  const size_t shorter = std::min(a.size(), b.size());
  size_t begin = 0, end = 0;
  while (begin < shorter && a[begin] == b[begin]) ++begin;
  while (end < shorter - begin && a[a.size() - 1 - end] == b[b.size() - 1 - end]) ++end;
  while (begin > 0 && may_be_drawn(a[begin - 1])) --begin;
  while (end > 0 && may_be_drawn(a[a.size() - end])) --end;
  return absl::StrCat(std::string(a.substr(0, begin)), "*", std::string(a.substr(a.size() - end)));
}

}  // namespace kill9::run

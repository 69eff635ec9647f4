#include "harness/explore/search/spare_order.h"

#include <fstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kill9::explore {
namespace {

constexpr char kComment[] = "//";

bool IsComment(const std::string& line) {
  return absl::StartsWith(absl::StripAsciiWhitespace(line), kComment);
}

bool EndsStatement(const std::string& line) {
  const std::string before = line.substr(0, line.find(kComment));
  const absl::string_view code = absl::StripAsciiWhitespace(before);
  return code.empty() || absl::StrContains(";{}:", code.back());
}

}  // namespace

std::string_view WhatIsLost(Ordering::Of of, Order from, Order to) {
  if (of == Ordering::Of::kSignalFence) return "fence";
  if (of == Ordering::Of::kFailedUpdate) return "failed acquire";
  if (from == Order::kSeqCst) return "seq_cst";
  return Acquires(from) && !Acquires(to) ? "acquire" : "release";
}

std::string WhySpare(const std::string& file, int line, std::string_view lost,
                     std::string_view model, std::string_view design) {
  std::ifstream source(file);
  std::vector<std::string> lines;
  for (std::string one; std::getline(source, one);) lines.push_back(one);
  if (line < 1 || static_cast<size_t>(line) > lines.size()) return "";
  size_t first = static_cast<size_t>(line) - 1;
  while (first > 0 && !IsComment(lines[first - 1]) && !EndsStatement(lines[first - 1])) --first;
  std::string comment;
  for (; first > 0 && IsComment(lines[first - 1]); --first) {
    comment = absl::StrCat(
        absl::StripPrefix(absl::StripAsciiWhitespace(lines[first - 1]), kComment), comment);
  }
  const std::string mark = absl::StrCat("[spare ", std::string(lost));
  const std::string under = absl::StrCat(mark, " under ", std::string(model));
  for (const std::string& begins : {absl::StrCat(mark, ": "), absl::StrCat(under, ": "),
                                    absl::StrCat(under, " of ", std::string(design), ": ")}) {
    const size_t begin = comment.find(begins);
    const size_t end = comment.find(']', begin);
    if (begin == std::string::npos || end == std::string::npos) continue;
    return comment.substr(begin + begins.size(), end - begin - begins.size());
  }
  return "";
}

}  // namespace kill9::explore

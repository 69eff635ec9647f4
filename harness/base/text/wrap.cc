#include "harness/base/text/wrap.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace kill9 {
namespace {

constexpr size_t kDescription = 30;  // the column at which CLI11 begins to say what an option is
constexpr size_t kNarrow = 6;        // where it begins if a line has no twice as many columns

// Where the lines that go on begin.
size_t IndentOf(const std::string& line) {
  const bool has_description = line.starts_with("  ") && line.size() > kDescription &&
                               line[kDescription - 1] == ' ' && line[kDescription] != ' ';
  return has_description ? kDescription : std::min(line.find_first_not_of(' '), kDescription);
}

std::string WrapLine(std::string line, size_t columns) {
  const size_t most = columns > 2 * kDescription ? kDescription : kNarrow;
  const std::string indent(std::min(IndentOf(line), most), ' ');
  std::string text;
  while (line.size() > columns) {
    size_t at = line.rfind(' ', columns);
    if (at == std::string::npos || at <= indent.size()) at = line.find(' ', columns);
    if (at == std::string::npos) break;
    absl::StrAppend(&text, line.substr(0, at), "\n");
    line = absl::StrCat(indent, line.substr(at + 1));
  }
  return absl::StrCat(text, line);
}

}  // namespace

std::string Wrap(const std::string& text, size_t columns) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (std::string& line : lines) {
    if (columns <= 2 * kDescription && line.starts_with(std::string(kDescription, ' '))) {
      line.erase(0, kDescription - kNarrow);
    }
    line = WrapLine(std::move(line), columns);
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace kill9

#include "harness/base/text/nearest.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kill9 {
namespace {

size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      const bool exchanged =
          i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && a[i - 1] != b[j - 1];
      if (exchanged) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = std::exchange(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string Nearest(std::string_view given, std::span<const std::string> known) {
  const std::string* nearest = nullptr;
  size_t least = 0;
  for (const std::string& name : known) {
    const size_t distance = Distance(given, name);
    if (distance > std::max<size_t>(1, name.size() / 3)) continue;
    if (nearest == nullptr || distance < least) {
      nearest = &name;
      least = distance;
    }
  }
  if (nearest != nullptr) return *nearest;
  std::vector<const std::string*> longer;
  for (const std::string& name : known) {
    if (given.size() >= 2 && name.starts_with(given)) longer.push_back(&name);
  }
  return longer.size() == 1 ? *longer[0] : "";
}

std::string DidYouMean(std::string_view given, std::span<const std::string> known) {
  const std::string nearest = Nearest(given, known);
  return nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?");
}

std::string ThereIsNo(std::string_view given, const std::vector<std::string>& known) {
  if (given.empty()) {
    return absl::StrCat("a name is empty: write names with one comma between; known are: ",
                        absl::StrJoin(known, ", "));
  }
  const std::string nearest = DidYouMean(given, known);
  return absl::StrCat(
      "there is no '", std::string(given), "'", nearest,
      nearest.empty() ? "; known are: " : " Known are: ", absl::StrJoin(known, ", "));
}

}  // namespace kill9

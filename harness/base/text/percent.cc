#include "harness/base/text/percent.h"

#include "absl/strings/str_format.h"

namespace kill9 {
namespace {

constexpr double kLeast = 0.0001;  // percent: less than that is told as less than that

}  // namespace

std::string Percent(double share) {
  const double percent = 100 * share;
  if (percent > 0 && percent < kLeast) return absl::StrFormat("< %.4f %%", kLeast);
  if (percent >= 100) return absl::StrFormat("%.6g %%", percent);
  if (percent > 100 - kLeast) return absl::StrFormat("> %.4f %%", 100 - kLeast);
  // Three digits, or as many as keep it below 100.
  std::string text;
  for (int digits = 3; text.empty() || text == "100"; ++digits) {
    text = absl::StrFormat("%.*g", digits, percent);
  }
  return text + " %";
}

}  // namespace kill9

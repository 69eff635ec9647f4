#include "harness/sweep/driver/driver.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_format.h"

namespace kill9::sweep {

std::string_view Name(Nearness nearness) {
  constexpr std::string_view kNames[kNearnessCount] = {"same_key", "same_stripe", "elsewhere"};
  return kNames[static_cast<size_t>(nearness)];
}

std::string SegmentNameOf(std::string_view what) {
  return absl::StrFormat("kill9-sweep-%s-%08d", what, getpid());
}

std::optional<uint32_t> IndexOf(std::span<const std::string_view> names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<uint32_t>(found - names.begin());
}

}  // namespace kill9::sweep

#include "harness/sweep/driver/driver.h"

#include <algorithm>

namespace kill9::sweep {

std::string_view Name(Nearness nearness) {
  constexpr std::string_view kNames[kNearnessCount] = {"same_key", "same_stripe", "elsewhere"};
  return kNames[static_cast<size_t>(nearness)];
}

std::optional<uint32_t> IndexOf(std::span<const std::string_view> names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<uint32_t>(found - names.begin());
}

}  // namespace kill9::sweep

// Figures of a sample of measurements.
#ifndef KILL9_HARNESS_BASE_STATISTICS_H_
#define KILL9_HARNESS_BASE_STATISTICS_H_

#include <algorithm>
#include <cstddef>
#include <vector>

namespace kill9 {

// Of an even number of values, the upper of the two in the middle: one that was measured. 0 if
// there are none.
inline double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The value below which `share` (0 to 1) of the other values lie. REQUIRES: there is a value.
template <typename Value>
Value Quantile(std::vector<Value> values, double share) {
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_STATISTICS_H_

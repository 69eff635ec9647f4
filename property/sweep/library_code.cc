// What sweep_coverage_test looks for, with lines of its own: all that the function's line does is
// code of a library, inlined there.
#include <cstdint>
#include <numeric>
#include <vector>

namespace kill9::sweep {

uint64_t SumOfAll(const std::vector<uint64_t>& values);

uint64_t SumOfAll(const std::vector<uint64_t>& values) {
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

}  // namespace kill9::sweep

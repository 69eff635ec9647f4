#include "harness/base/statistics.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace kill9 {
namespace {

TEST(Statistics, MedianIsAValueThatWasMeasured) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({7}), 7);
  EXPECT_EQ(Median({9, 1, 5}), 5);
  EXPECT_EQ(Median({9, 1, 5, 2}), 5) << "the upper of the two in the middle";
}

TEST(Statistics, QuantileLeavesItsShareBelow) {
  std::vector<uint64_t> values;
  for (uint64_t value = 101; value > 0; --value) values.push_back(value - 1);  // 100 to 0
  EXPECT_EQ(Quantile(values, 0), 0u);
  EXPECT_EQ(Quantile(values, 0.5), 50u);
  EXPECT_EQ(Quantile(values, 0.99), 99u);
  EXPECT_EQ(Quantile(values, 1), 100u);
  EXPECT_EQ(Quantile(std::vector<double>{3}, 0.99), 3);
}

}  // namespace
}  // namespace kill9

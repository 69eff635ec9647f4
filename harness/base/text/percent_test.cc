#include "harness/base/text/percent.h"

#include "gtest/gtest.h"

namespace kill9 {
namespace {

TEST(Percent, HasThreeDigits) {
  EXPECT_EQ(Percent(0), "0 %");
  EXPECT_EQ(Percent(0.25), "25 %");
  EXPECT_EQ(Percent(0.12345), "12.3 %");
  EXPECT_EQ(Percent(1.0 / 4315), "0.0232 %");
  EXPECT_EQ(Percent(1), "100 %");
  EXPECT_EQ(Percent(12.5), "1250 %");
}

// One instruction of a million that is not survived, or was not killed at, is what matters.
TEST(Percent, OnlyNoneReadsAsNoneAndOnlyAllAsAll) {
  EXPECT_EQ(Percent(4e-6), "0.0004 %");
  EXPECT_EQ(Percent(3.7e-7), "< 0.0001 %");
  EXPECT_EQ(Percent(0.9995), "99.95 %");
  EXPECT_EQ(Percent(0.999999), "99.9999 %");
  EXPECT_EQ(Percent(1 - 1e-9), "> 99.9999 %");
  for (uint64_t all = 2; all < 30'000'000; all = all * 3 / 2) {
    const double part = 1 / static_cast<double>(all);
    EXPECT_NE(Percent(part), "0 %") << all;
    EXPECT_NE(Percent(1 - part), "100 %") << all;
    EXPECT_EQ(Percent(part).find('e'), std::string::npos) << Percent(part);
  }
}

}  // namespace
}  // namespace kill9

// Tests print enumerations by name.
#include "property/scaffold/print/print_enums.h"

#include <cstdint>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/history/history.h"
#include "harness/result/verdict.h"

namespace kill9 {
namespace {

enum class Sparse : uint8_t { kTwo = 2, kFar = 200 };

TEST(PrintEnums, TellsTheNameNotTheBytes) {
  EXPECT_EQ(testing::PrintToString(Verdict::kStuck), "kStuck");
  EXPECT_EQ(testing::PrintToString(Outcome::kRefused), "kRefused");
  EXPECT_EQ(testing::DescribeMatcher<Verdict>(testing::Eq(Verdict::kLeak)), "is equal to kLeak");
}

TEST(PrintEnums, TellsTheNumberWhereThereIsNoNameInReach) {
  EXPECT_EQ(testing::PrintToString(Sparse::kTwo), "kTwo");
  EXPECT_EQ(testing::PrintToString(static_cast<Sparse>(7)), "7");
  EXPECT_EQ(testing::PrintToString(Sparse::kFar), "200");
}

}  // namespace
}  // namespace kill9

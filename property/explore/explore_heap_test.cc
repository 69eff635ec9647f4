// The heaps, explored: what holds of each design, and that what is wrong with a baseline is seen.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "property/explore/exploration_for_tests.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

std::vector<const Design*> HeapDesigns() {
  std::vector<const Design*> designs;
  for (const HeapDesign* design : AllHeaps()) {
    if (design->role() == Design::Role::kDesign) designs.push_back(design);
  }
  return designs;
}

class ExploreHeaps : public testing::TestWithParam<const Design*> {};

// What both touch is one block, or the room. (In a size_class_heap who frees a block and who has
// found another one before touch nothing of each other.)
TEST_P(ExploreHeaps, EveryScheduleWithOneDeathIsLegal) {
  for (const std::string scenario :
       {"drop+drop", "share+grab", "pass+grab", "free+grab", "alloc+free", "pass+recover",
        "free+alloc@full", "alloc+alloc@empty"}) {
    const ExploreResult result = ExpectAllSchedulesPass(*GetParam(), scenario, MemoryModel::kSc, 1);
    EXPECT_GE(result.schedules, 60u) << scenario;
    const bool apart = scenario == "alloc+free" && GetParam()->name() == "size_class_heap";
    EXPECT_EQ(result.contended_words > 0, !apart) << scenario;
  }
}

TEST_P(ExploreHeaps, EveryScheduleWithStoreBuffersIsLegal) {
  for (const char* scenario : {"drop+drop", "pass+grab", "share+grab"}) {
    const ExploreResult result =
        ExpectAllSchedulesPass(*GetParam(), scenario, MemoryModel::kTso, 0);
    EXPECT_GT(result.contended_words, 0u) << scenario;
  }
}

TEST_P(ExploreHeaps, EveryScheduleOfTheCppMemoryModelIsLegal) {
  for (const char* scenario : {"drop+drop", "pass+grab"}) {
    const ExploreResult result =
        ExpectAllSchedulesPass(*GetParam(), scenario, MemoryModel::kC11, 1);
    EXPECT_GT(result.contended_words, 0u) << scenario;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExploreHeaps, testing::ValuesIn(HeapDesigns()),
                         [](const auto& design) { return std::string(design.param->name()); });

// A count of owners says nothing of who they are: that of the dead stays.
TEST(ExploreHeapBaselines, ADeadOwnerThatIsOnlyCountedIsFound) {
  const Design& counted = *FindDesign("counted_heap");
  EXPECT_EQ(ExploreScenario(counted, "drop+drop", {.budget_seconds = 600}).finding.verdict,
            Verdict::kPass);
  const ExploreResult result =
      ExploreScenario(counted, "drop+drop", {.deaths = 1, .budget_seconds = 600});
  EXPECT_EQ(result.finding.verdict, Verdict::kLeak) << result.finding.message;
}

}  // namespace
}  // namespace kill9::explore

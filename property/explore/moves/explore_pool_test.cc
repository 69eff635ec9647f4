// Scenes of buffer pools.
#include <string>

#include "gtest/gtest.h"
#include "property/explore/exploration_for_tests.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9::explore {
namespace {

// With three participants, too; what is passed on is received by one, whoever dies.
TEST(ExplorePools, SchedulesWithOneDeathAreLegal) {
  uint64_t exhaustive = 0;
  for (const char* scenario :
       {"send+receive", "post+drop", "free+share", "write+write", "receive+void", "seat+seat",
        "receive+receive", "alloc+drop@full", "alloc,send+receive@empty", "send+receive+recover",
        "share+drop+write", "grow+grow", "grow+post,drop", "send,receive+send,receive",
        "come+send@drawn7"}) {
    const ExploreResult result = ExploreScenario(
        BufferPoolDesign(), scenario, {.deaths = 1, .schedules = 400, .budget_seconds = 600});
    EXPECT_EQ(result.finding.verdict, Verdict::kPass)
        << scenario << ": " << result.finding.message << Render(result.schedule);
    EXPECT_GT(result.contended_words, 0u) << scenario;
    EXPECT_GT(result.deaths, 0u) << scenario;
    exhaustive += result.exhaustive ? 1 : 0;
  }
  EXPECT_GE(exhaustive, 4u);
}

TEST(ExplorePools, HaveScenesOfEachGroup) {
  EXPECT_GE(AllPairs(BufferPoolDesign()).size(), 70u);
  EXPECT_GE(WiderScenes(BufferPoolDesign()).size(), 4u);
  EXPECT_GE(LargerScenes(BufferPoolDesign()).size(), 8u);
}

}  // namespace
}  // namespace kill9::explore

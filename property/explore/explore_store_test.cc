// The stores, explored: what holds of each design, and that what is wrong with a baseline is seen.
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/explore/scenes/scenario.h"
#include "harness/explore/scenes/store_scene.h"
#include "harness/explore/search/shipped_program.h"
#include "property/explore/exploration_for_tests.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

absl::StatusOr<Scenario> ParseStore(std::string_view name) {
  return ParseScenario(name, StoreWords());
}

class ExploreDesigns : public testing::TestWithParam<const Variant*> {};

// That there was something to explore, too.
void ExpectAllOfManyPass(const Variant& variant, const std::string& scenario, MemoryModel model,
                         int deaths) {
  const ExploreResult result = ExpectAllSchedulesPass(variant, scenario, model, deaths);
  EXPECT_GT(result.contended_words, 0u) << scenario;
  EXPECT_GT(result.schedules, 60u) << scenario;
}

TEST_P(ExploreDesigns, EveryScheduleWithOneDeathIsLegal) {
  for (const char* scenario : {"put+get", "put+erase", "erase+erase", "put+recover", "get+erase",
                               "pin+erase", "erase+recover", "recover+recover", "put+get@empty"}) {
    ExpectAllOfManyPass(*GetParam(), scenario, MemoryModel::kSc, 1);
  }
}

TEST_P(ExploreDesigns, EveryScheduleWithStoreBuffersIsLegal) {
  for (const char* scenario : {"put+get", "get+erase", "pin+erase"}) {
    ExpectAllOfManyPass(*GetParam(), scenario, MemoryModel::kTso, 0);
  }
}

TEST_P(ExploreDesigns, EveryScheduleOfTheCppMemoryModelIsLegal) {
  for (const char* scenario : {"put+get", "put+erase", "get+erase", "pin+erase", "put+recover"}) {
    ExpectAllOfManyPass(*GetParam(), scenario, MemoryModel::kC11, 1);
  }
}

// Whichever of the victim's stores the compiler has put off beyond its death. cas_slots makes more
// of them without a barrier than are kept account of.
TEST_P(ExploreDesigns, SchedulesOfACompilerAreLegal) {
  for (const char* scenario : {"put+get", "put+erase", "erase+recover", "put+recover"}) {
    const ExploreResult result = ExploreScenario(*GetParam(), scenario,
                                                 {.model = MemoryModel::kCompiler,
                                                  .deaths = 1,
                                                  .strategy = Strategy::kExhaustive,
                                                  .schedules = 30'000,
                                                  .budget_seconds = 600});
    EXPECT_EQ(result.finding.verdict, Verdict::kPass) << scenario << ": " << result.finding.message;
    EXPECT_GT(result.deaths, 0u) << scenario;
    EXPECT_TRUE(result.exhaustive || GetParam()->name() == "cas_slots") << scenario;
  }
}

TEST_P(ExploreDesigns, EveryScheduleOfARecoveryBesideASurvivorIsLegal) {
  ExpectAllOfManyPass(*GetParam(), "erase+get+recover", MemoryModel::kSc, 1);
}

INSTANTIATE_TEST_SUITE_P(All, ExploreDesigns, testing::ValuesIn(StoreDesigns()),
                         [](const auto& design) { return std::string(design.param->name()); });

TEST(ExploreBaselines, DeathInALockedStoreIsSeen) {
  const ExploreResult result = ExploreScenario(*FindVariant("one_semaphore"), "put+get",
                                               {.deaths = 1,
                                                .strategy = Strategy::kExhaustive,
                                                .schedules = 100'000,
                                                .budget_seconds = 600});
  EXPECT_EQ(result.finding.verdict, Verdict::kStuck) << result.finding.message;
}

TEST(ExploreBaselines, InterleavingsWithoutALockAreSeen) {
  const ExploreResult result = ExploreScenario(
      *FindVariant("unsynchronised_hash"), "put+get",
      {.strategy = Strategy::kExhaustive, .schedules = 100'000, .budget_seconds = 600});
  EXPECT_NE(result.finding.verdict, Verdict::kPass);
  // Shortened: nothing of it can be left out.
  for (size_t i = 0; i < result.schedule.size(); ++i) {
    Schedule without = result.schedule;
    without.erase(without.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_NE(Replay(without, {}).finding.verdict, result.finding.verdict) << i;
  }
}

// At random, the same seed finds the same.
TEST(ExploreBaselines, RandomSchedulesRepeat) {
  const ExploreOptions options = {
      .strategy = Strategy::kRandom, .schedules = 10'000, .budget_seconds = 600, .seed = 7};
  const Variant& variant = *FindVariant("unsynchronised_hash");
  const ExploreResult first = ExploreScenario(variant, "put+get", options);
  const ExploreResult second = ExploreScenario(variant, "put+get", options);
  EXPECT_NE(first.finding.verdict, Verdict::kPass);
  EXPECT_EQ(first.schedules, second.schedules);
  EXPECT_EQ(Render(first.schedule), Render(second.schedule));
}

// With fewer preemptions there are fewer schedules, and all of them are had.
TEST(ExploreBounds, PreemptionsBoundTheSchedules) {
  const Variant& variant = *FindVariant("cas_slots");
  uint64_t last = 0;
  for (const int preemptions : {0, 1, 2, Exhaustive::kUnbounded}) {
    const ExploreResult result = ExploreScenario(
        variant, "put+get",
        {.preemptions = preemptions, .strategy = Strategy::kExhaustive, .budget_seconds = 600});
    EXPECT_TRUE(result.exhaustive) << preemptions;
    EXPECT_TRUE(preemptions != 0 || result.schedules > last);
    last = result.schedules;
  }
}

TEST(ExploreScenarios, AreRefusedByWhatIsWrongWithThem) {
  EXPECT_FALSE(ParseStore("put+bogus").ok());
  EXPECT_FALSE(ParseStore("").ok());
  EXPECT_FALSE(ParseStore("put+get+get+get+get+get+get").ok());
  EXPECT_FALSE(ParseStore("put,put,put,put,put,put,put").ok());
  EXPECT_TRUE(ParseStore("put,get+erase@empty").ok());
  EXPECT_FALSE(ParseStore("put,get+erase@fences@full").ok());
  EXPECT_FALSE(ParseStore("put,get+erase@full@fences")->kernel_has_barrier);
  EXPECT_TRUE(ParseStore("put,get+erase@full@drawn3@fences")->have_waited);
  EXPECT_FALSE(ParseStore("put,get+erase@full@new@drawn3@fences")->have_waited);
  EXPECT_EQ(ParseStore("put@full@new@drawn3")->drawn, 3u);
}

// Of each scene something stays in the arena.
TEST(ExploreScenarios, AreManyInOneProcess) {
  for (int i = 0; i < 1500; ++i) {
    const ExploreResult result =
        ExploreScenario(*FindVariant("cas_slots"), "put+get@full", {.schedules = 1});
    ASSERT_EQ(result.finding.verdict, Verdict::kPass) << i;
  }
}

TEST(ExploreTokens, WhatIsNoTokenIsRefused) {
  for (const char* text :
       {"", "x", "a:b:sc:1", "a:b:c12:1:a1", "a:b:c11:1:a1=", "a:b:c11:1:a=1", "a:b:c11:1:a1=2=3",
        "a:b:sc:4:a1", "a:b:sc:1:z1", "a:b:sc:1:a", "a:b:sc:1:!", "a:b:sc:1:!a3", "a:b:sc:1:a1:x3",
        "a:b:sc:1:a1:w3:w4", "a:b:sc:-1:a1"}) {
    EXPECT_FALSE(ParseToken(text).has_value()) << text;
  }
  for (const char* token :
       {"a:b+c:tso:2:a12.!b.~b.^a.b3:w1,w22", "a:b+c:c11:1:a12.b3=2.!a:w1,w22"}) {
    const std::optional<Token> parsed = ParseToken(token);
    ASSERT_TRUE(parsed.has_value()) << token;
    EXPECT_EQ(Render(*parsed), token);
  }
}

TEST(ExploreTokens, UndividedIsWhatAProgramOfFewerStepsCanDo) {
  const Schedule drawn = *ParseSchedule("a27.b30.!a.~a.b35.~a.~a.b40");
  EXPECT_EQ(Render(Undivided(drawn, 0)), "a27.b30.!a.~a.~a.~a.b35.b40");
  EXPECT_EQ(Render(Undivided(drawn, 2)), "a27.b30.a29.!a.~a.~a.~a.b35.b40");
  EXPECT_EQ(Undivided(*ParseSchedule("a3.!a.~a.b9"), 0), *ParseSchedule("a3.!a.~a.b9"));
}

}  // namespace
}  // namespace kill9::explore

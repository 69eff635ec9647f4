// Waiting, terms, attaching and detaching, explored: nobody sleeps beside what he waits for, and
// no entry of the past comes back, whoever dies.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/explore/exploration_for_tests.h"
#include "property/scaffold/store_designs.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

std::vector<const Design*> DesignsThatWait() {
  std::vector<const Design*> designs;
  for (const Design* design : AllDesigns()) {
    if (design->role() != Design::Role::kDesign || !WhyNotExplored(*design).empty()) continue;
    if (design->kind() != Variant::kKind && !OtherScenes(*design).empty()) {
      designs.push_back(design);
    }
  }
  return designs;
}

class ExploreWaiting : public testing::TestWithParam<const Design*> {};

// So many of each scene: not all can be had here. In some of them participants have nothing in
// common.
void ExpectManyPass(const Design& design, const std::vector<std::string>& scenarios,
                    Strategy strategy, uint64_t schedules) {
  uint64_t contended = 0;
  for (const std::string& scenario : scenarios) {
    const ExploreResult result = ExploreScenario(
        design, scenario,
        {.deaths = 1, .strategy = strategy, .schedules = schedules, .budget_seconds = 600});
    EXPECT_EQ(result.finding.verdict, Verdict::kPass)
        << scenario << ": " << result.finding.message << Render(result.schedule);
    EXPECT_GT(result.deaths, 30u) << scenario;
    contended += result.contended_words;
  }
  EXPECT_GT(contended, 2 * scenarios.size());
}

TEST_P(ExploreWaiting, SchedulesWithOneDeathAreLegal) {
  ExpectManyPass(*GetParam(), OtherScenes(*GetParam()), Strategy::kRandom, 200);
}

INSTANTIATE_TEST_SUITE_P(All, ExploreWaiting, testing::ValuesIn(DesignsThatWait()),
                         [](const auto& design) { return std::string(design.param->name()); });

TEST(ExploreWaitingDesigns, AreAllThatSleep) { EXPECT_GE(DesignsThatWait().size(), 6u); }

class ExploreTerms : public testing::TestWithParam<const Variant*> {};

TEST_P(ExploreTerms, SchedulesWithOneDeathAreLegal) {
  const std::vector<std::string> scenarios = OtherScenes(*GetParam());
  EXPECT_GE(scenarios.size(), 15u);
  ExpectManyPass(*GetParam(), scenarios, Strategy::kAuto, 600);
}

INSTANTIATE_TEST_SUITE_P(All, ExploreTerms, testing::ValuesIn(StoreDesigns()),
                         [](const auto& design) { return std::string(design.param->name()); });

class ExploreJoining : public testing::TestWithParam<const Design*> {};

std::vector<const Design*> DesignsOfOurs() {
  std::vector<const Design*> designs;
  for (const Design* design : AllDesigns()) {
    if (design->role() == Design::Role::kDesign) designs.push_back(design);
  }
  return designs;
}

// In the usual state one place in the table is free, in the empty one none: who joins recovers the
// dead for one.
TEST_P(ExploreJoining, SchedulesWithOneDeathAreLegal) {
  ExpectManyPass(*GetParam(), {"join+recover", "join+join@empty"}, Strategy::kAuto, 600);
}

INSTANTIATE_TEST_SUITE_P(All, ExploreJoining, testing::ValuesIn(DesignsOfOurs()),
                         [](const auto& design) { return std::string(design.param->name()); });

}  // namespace
}  // namespace kill9::explore

// Waiting, terms, attaching and detaching, explored: nobody sleeps beside what he waits for, and
// no entry of the past comes back, whoever dies.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/explore/exploration_for_tests.h"
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

// Who waits for what is not there when all others have done nothing yet.
TEST_P(ExploreWaiting, WhoWaitsFirstSleeps) {
  const MachineLimits limits = {.trace = true};
  size_t waiters = 0;
  for (const std::string& scenario : OtherScenes(*GetParam())) {
    if (!scenario.starts_with("wait_") || scenario == "wait_receive+return" ||
        scenario == "wait_receive+wait_send@full") {
      continue;
    }
    ++waiters;
    const std::unique_ptr<Scene> scene = *NewScene(*GetParam(), scenario);
    Machine::Get().Load(*scene, limits);
    const Replayed replayed = Replay(*ParseSchedule("a100000"), limits);
    EXPECT_EQ(replayed.finding.verdict, Verdict::kPass) << scenario;
    EXPECT_TRUE(std::any_of(replayed.steps.begin(), replayed.steps.end(), [](const Step& step) {
      return step.fiber == 0 && step.what != nullptr && std::string_view(step.what) == "sleeps";
    })) << scenario;
  }
  EXPECT_GE(waiters, 3u);
}

TEST_P(ExploreWaiting, SchedulesWithOneDeathAreLegal) {
  ExpectManyPass(*GetParam(), OtherScenes(*GetParam()), Strategy::kRandom, 400);
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
    if (design->role() == Design::Role::kDesign && WhyNotExplored(*design).empty()) {
      designs.push_back(design);
    }
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

class ExploreWider : public testing::TestWithParam<const Design*> {};

TEST_P(ExploreWider, SchedulesOfThreeWithOneDeathAreLegal) {
  const std::vector<std::string> scenarios = WiderScenes(*GetParam());
  EXPECT_GE(scenarios.size(), 4u);
  ExpectManyPass(*GetParam(), scenarios, Strategy::kRandom, 200);
}

INSTANTIATE_TEST_SUITE_P(All, ExploreWider, testing::ValuesIn(DesignsOfOurs()),
                         [](const auto& design) { return std::string(design.param->name()); });

// Who sends into a channel that was closed before is told so.
TEST(ExploreClosedChannel, RefusesWhatIsSent) {
  size_t channels = 0;
  for (const Design* design : DesignsOfOurs()) {
    if (design->kind() != ChannelDesign::kKind) continue;
    ++channels;
    for (const auto& [scenario, outcome] :
         {std::pair{"send+receive", kill9::Outcome::kOk},
          std::pair{"send+receive@closed", kill9::Outcome::kRefused}}) {
      const std::unique_ptr<Scene> scene = *NewScene(*design, scenario);
      Machine::Get().Load(*scene, {});
      EXPECT_EQ(Replay({}, {}).finding.verdict, Verdict::kPass) << design->name() << scenario;
      EXPECT_THAT(scene->Told(),
                  testing::StartsWith(absl::StrCat("0: ", static_cast<int>(Function::kSend), " ",
                                                   static_cast<int>(outcome), " ")));
    }
  }
  EXPECT_GE(channels, 4u);
}

}  // namespace
}  // namespace kill9::explore

// The channels, explored: what holds of each design, and that what is wrong with a baseline is
// seen.
#include <algorithm>
#include <memory>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "property/explore/exploration_for_tests.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

std::vector<const Design*> Designs() {
  std::vector<const Design*> designs;
  for (const ChannelDesign* design : AllChannels()) {
    if (design->role() != Design::Role::kDesign || !WhyNotExplored(*design).empty()) continue;
    designs.push_back(design);
  }
  return designs;
}

class ExploreChannels : public testing::TestWithParam<const Design*> {};

// How many words several members touched.
uint64_t ContendedIfAllSchedulesPass(const Design& design, const std::string& scenario,
                                     MemoryModel model, int deaths) {
  const ExploreResult result = ExpectAllSchedulesPass(design, scenario, model, deaths);
  EXPECT_GE(result.schedules, 60u) << scenario;
  return result.contended_words;
}

TEST_P(ExploreChannels, EveryScheduleWithOneDeathIsLegal) {
  uint64_t contended = 0;
  for (const char* scenario : {"send+send", "send+receive", "send+receive@empty", "send+take@empty",
                               "return+receive", "draft+recover", "drain+recover"}) {
    contended += ContendedIfAllSchedulesPass(*GetParam(), scenario, MemoryModel::kSc, 1);
  }
  // That there was something to explore: two senders may well have nothing in common.
  EXPECT_GT(contended, 6u);
}

TEST_P(ExploreChannels, EveryScheduleWithStoreBuffersIsLegal) {
  // Each subscriber of a broadcast returns what is its own.
  uint64_t contended = 0;
  for (const char* scenario : {"send+take@empty", "return+receive"}) {
    contended += ContendedIfAllSchedulesPass(*GetParam(), scenario, MemoryModel::kTso, 0);
  }
  EXPECT_GT(contended, 0u);
}

TEST_P(ExploreChannels, EveryScheduleOfTheCppMemoryModelIsLegal) {
  uint64_t contended = 0;
  for (const char* scenario : {"return+receive", "send+take@empty"}) {
    contended += ContendedIfAllSchedulesPass(*GetParam(), scenario, MemoryModel::kC11, 1);
  }
  EXPECT_GT(contended, 0u);
}

// What came back and was not counted yet was overlooked by who looked for the end.
TEST_P(ExploreChannels, NothingIsReceivedAfterTheEndWasTold) {
  for (const char* scenario : {"return+receive@closed", "return_two+receive@closed"}) {
    const ExploreResult result = ExploreScenario(
        *GetParam(), scenario, {.deaths = 1, .schedules = 3000, .budget_seconds = 600});
    EXPECT_EQ(result.finding.verdict, Verdict::kPass)
        << scenario << ": " << result.finding.message << Render(result.schedule);
    EXPECT_GE(result.schedules, 60u) << scenario;
  }
}

// A message that took several chunks is gone, and its room is taken back piece by piece: whoever
// dies in between leaves nothing that does not add up.
TEST_P(ExploreChannels, SchedulesInAFullChannelAreLegal) {
  for (const char* scenario : {"take,send+receive,send@full", "return,take+receive,send@full"}) {
    const ExploreResult result = ExploreScenario(
        *GetParam(), scenario,
        {.deaths = 1, .strategy = Strategy::kRandom, .schedules = 2000, .budget_seconds = 600});
    EXPECT_EQ(result.finding.verdict, Verdict::kPass)
        << scenario << ": " << result.finding.message << Render(result.schedule);
    EXPECT_GT(result.deaths, 200u) << scenario;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExploreChannels, testing::ValuesIn(Designs()),
                         [](const auto& design) { return std::string(design.param->name()); });

TEST(ExploreChannelBaselines, ADeathWithTheSemaphoreIsFound) {
  const ExploreResult result = ExploreScenario(*FindDesign("semaphore_vector"), "send+receive",
                                               {.deaths = 1, .budget_seconds = 600});
  EXPECT_EQ(result.finding.verdict, Verdict::kStuck) << result.finding.message;
  // Nobody need be killed for it.
  EXPECT_EQ(
      ExploreScenario(*FindDesign("semaphore_vector"), "send+receive", {.budget_seconds = 600})
          .finding.verdict,
      Verdict::kPass);
}

// Who shows two messages is overtaken by a whole round of others, and is told how many were lost.
TEST(ExploreChannelScenes, ARingComesRoundWhileTwoMessagesAreShown) {
  constexpr char kScenario[] = "return_two,receive+send,send,send,send,send,send@full";
  const Design& design = *FindDesign("broadcast_ring");
  const std::vector<std::string> larger = LargerScenes(design);
  EXPECT_EQ(std::count(larger.begin(), larger.end(), kScenario), 1);
  uint64_t overtaken = 0, deaths = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const std::unique_ptr<Scene> scene = *NewScene(design, kScenario);
    const ExploreResult result = Explore(*scene, {.deaths = 1,
                                                  .strategy = Strategy::kRandom,
                                                  .schedules = 10,
                                                  .budget_seconds = 600,
                                                  .seed = seed});
    ASSERT_EQ(result.finding.verdict, Verdict::kPass)
        << result.finding.message << Render(result.schedule);
    deaths += result.deaths;
    // Of the last schedule: participant, function, outcome, message, how many were missed.
    std::istringstream told(scene->Told());
    std::string who;
    for (uint64_t function = 0, outcome = 0, message = 0, missed = 0, rest = 0;
         told >> who >> function >> outcome >> message >> missed >> rest >> rest;) {
      overtaken +=
          who == "0:" && function == static_cast<uint64_t>(Function::kReceive) && missed > 0;
    }
  }
  EXPECT_GT(overtaken, 0u);
  EXPECT_GT(deaths, 40u);
}

TEST(ExploreChannelScenes, WhatHasNoneSaysWhy) {
  size_t explored = 0;
  for (const Design* design : AllDesigns()) {
    const bool has_pairs = WhyNotExplored(*design).empty() && !AllPairs(*design).empty();
    EXPECT_EQ(has_pairs, WhyNotExplored(*design).empty()) << design->name();
    explored += has_pairs;
    if (!has_pairs) continue;
    EXPECT_FALSE(LargerScenes(*design).empty()) << design->name();
    EXPECT_FALSE(NewScene(*design, "bogus").ok());
  }
  // Stores, channels and heaps.
  EXPECT_GE(explored, 10u);
}

}  // namespace
}  // namespace kill9::explore

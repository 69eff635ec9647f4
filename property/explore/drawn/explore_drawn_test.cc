// Drawn scenes: what they are made of, that each repeats itself, that what is right passes in them,
// and that what is wrong is found.
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "harness/explore/search/swarm.h"
#include "property/explore/exploration_for_tests.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

std::vector<const Design*> DrawnDesigns() {
  std::vector<const Design*> designs;
  for (const Design* design : AllDesigns()) {
    if (design->role() != Design::Role::kDesign || !WhyNotExplored(*design).empty()) continue;
    designs.push_back(design);
  }
  return designs;
}

std::set<std::string> CallsIn(const std::string& scenario) {
  const std::string calls = scenario.substr(0, scenario.find('@'));
  const std::vector<std::string> words = absl::StrSplit(calls, absl::ByAnyChar("+,"));
  return {words.begin(), words.end()};
}

ExploreOptions OfDrawn(const DrawnScene& drawn, uint64_t schedules) {
  return {.deaths = drawn.deaths,
          .strategy = Strategy::kRandom,
          .schedules = schedules,
          .budget_seconds = 600};
}

class DrawnScenes : public testing::TestWithParam<const Design*> {};

TEST_P(DrawnScenes, FollowFromSeedAndNumberAndHaveEveryCall) {
  constexpr uint64_t kScenes = 300;
  std::set<std::string> names, calls, states;
  for (uint64_t i = 0; i < kScenes; ++i) {
    const DrawnScene drawn = DrawScene(*GetParam(), 1, i);
    EXPECT_EQ(drawn.name, DrawScene(*GetParam(), 1, i).name);
    EXPECT_LE(drawn.deaths, kMostDeaths);
    EXPECT_TRUE(NewScene(*GetParam(), drawn.name).ok()) << drawn.name;
    names.insert(drawn.name);
    calls.merge(CallsIn(drawn.name));
    const std::vector<std::string> parts = absl::StrSplit(drawn.name, '@');
    states.insert(parts[1].starts_with("drawn") ? "" : parts[1]);
  }
  EXPECT_EQ(names.size(), kScenes);
  EXPECT_NE(DrawScene(*GetParam(), 1, 0).name, DrawScene(*GetParam(), 2, 0).name);
  EXPECT_GE(states.size(), 3u);
  std::set<std::string> named = {"come"};
  for (const std::string& scene : AllPairs(*GetParam())) named.merge(CallsIn(scene));
  for (const std::string& scene : OtherScenes(*GetParam())) named.merge(CallsIn(scene));
  for (const std::string& call : named) {
    // Beside one that dies it may sleep on (docs/explore.md).
    EXPECT_EQ(calls.contains(call), call != "told_receive") << call;
  }
}

// What is made before the schedules is the same each time, and what is right passes.
TEST_P(DrawnScenes, SchedulesRepeatThemselvesAndPass) {
  constexpr uint64_t kScenes = 5, kSchedules = 80;
  uint64_t deaths = 0;
  for (uint64_t i = 0; i < kScenes; ++i) {
    const DrawnScene drawn = DrawScene(*GetParam(), 3, i);
    const ExploreResult first =
        ExploreScenario(*GetParam(), drawn.name, OfDrawn(drawn, kSchedules));
    const ExploreResult again =
        ExploreScenario(*GetParam(), drawn.name, OfDrawn(drawn, kSchedules));
    EXPECT_EQ(first.finding.verdict, Verdict::kPass)
        << drawn.name << ": " << first.finding.message << Render(first.schedule);
    EXPECT_EQ(first.schedules, kSchedules) << drawn.name;
    EXPECT_EQ(first.deaths, again.deaths) << drawn.name;
    EXPECT_EQ(first.distinct_states, again.distinct_states) << drawn.name;
    deaths += first.deaths;
  }
  EXPECT_GT(deaths, 0u);
}

INSTANTIATE_TEST_SUITE_P(Of, DrawnScenes, testing::ValuesIn(DrawnDesigns()),
                         [](const auto& of) { return std::string(of.param->name()); });

// A shape and a past make the same calls another scene.
TEST(DrawnScenesOfStores, TheNumberDecidesWhatIsThereAndWhatIsDone) {
  const Design& design = *FindDesign("cas_slots");
  // What a schedule has left in the segment.
  std::set<std::vector<uint64_t>> left;
  for (const char* scenario : {"put+get", "put+get@drawn1", "put+get@drawn2", "put+get@drawn2"}) {
    ExploreScenario(design, scenario,
                    {.strategy = Strategy::kRandom, .schedules = 1, .budget_seconds = 600});
    const std::span<const uint64_t> memory = Machine::Get().memory();
    left.insert({memory.begin(), memory.end()});
  }
  EXPECT_EQ(left.size(), 3u);
  for (const char* wrong :
       {"put+get@drawn", "put+get@drawn0", "put+get@drawnx", "put@drawn1@full"}) {
    EXPECT_FALSE(NewScene(design, wrong).ok()) << wrong;
  }
}

// What drawn scenes have found: who left wrote into a span that another had closed by then, and
// into a third one's block. Two guests that come and leave, and one who frees.
TEST(DrawnScenesOfHeaps, WhoLeavesWritesToNoSpanThatCloses) {
  const ExploreResult result = ExploreScenario(
      *FindDesign("size_class_heap"), "free,free,come+free+come,come+come@drawn393319",
      {.deaths = 1, .strategy = Strategy::kRandom, .schedules = 2000, .budget_seconds = 600});
  EXPECT_EQ(result.finding.verdict, Verdict::kPass)
      << result.finding.message << Render(result.schedule);
  EXPECT_GT(result.deaths, 100u);
}

TEST(Swarm, IsBoundedBySchedulesInWholeScenes) {
  const SwarmResult result = ExploreSwarm(
      *FindDesign("seqlock_ring"),
      {.seed = 5, .schedules = kSchedulesOfDrawnScene + 1, .budget_seconds = 600, .processes = 2});
  EXPECT_EQ(result.scenes, 2u);
  EXPECT_GT(result.schedules, 200u);
  EXPECT_LE(result.schedules, 2 * kSchedulesOfDrawnScene);
  EXPECT_GT(result.distinct_states, 0u);
  EXPECT_FALSE(result.found.has_value());
}

// What two participants do in very few ways is left soon; what is new again and again is not.
TEST(Swarm, SceneEndsWhereItsSchedulesEndInNothingNew) {
  const auto schedules_of = [](const char* scenario) {
    return ExploreScenario(*FindDesign("cas_slots"), scenario,
                           {.strategy = Strategy::kRandom,
                            .schedules = kSchedulesOfDrawnScene,
                            .budget_seconds = 600,
                            .ends_when_dull = true})
        .schedules;
  };
  EXPECT_LT(schedules_of("get+get"), 300u);
  EXPECT_EQ(schedules_of("put,put,erase+put,get,erase+put,erase,get"), kSchedulesOfDrawnScene);
}

// The scene that is named shows it again, in this process.
TEST(Swarm, SceneInWhichSomethingIsWrongIsNamed) {
  const Design& baseline = *FindDesign("unsynchronised_hash");
  const SwarmResult result = ExploreSwarm(
      baseline, {.schedules = 100 * kSchedulesOfDrawnScene, .budget_seconds = 600, .processes = 2});
  ASSERT_TRUE(result.found.has_value());
  ASSERT_FALSE(result.found->finding.has_value()) << result.found->finding->message;
  const ExploreResult again = ExploreScenario(baseline, result.found->scene.name,
                                              OfDrawn(result.found->scene, kSchedulesOfDrawnScene));
  EXPECT_NE(again.finding.verdict, Verdict::kPass);
  EXPECT_FALSE(again.unsteady);
}

}  // namespace
}  // namespace kill9::explore

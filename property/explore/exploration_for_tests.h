// Exploring a scene of a design, in tests.
#ifndef KILL9_PROPERTY_EXPLORE_EXPLORATION_FOR_TESTS_H_
#define KILL9_PROPERTY_EXPLORE_EXPLORATION_FOR_TESTS_H_

#include <string>

#include "gtest/gtest.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/explore.h"

namespace kill9::explore {

inline ExploreResult ExploreScenario(const Design& design, const std::string& scenario,
                                     const ExploreOptions& options) {
  return Explore(**NewScene(design, scenario), options);
}

// That there was something to explore is for the caller to say.
inline ExploreResult ExpectAllSchedulesPass(const Design& design, const std::string& scenario,
                                            MemoryModel model, int deaths) {
  const ExploreResult result = ExploreScenario(
      design, scenario,
      {.model = model, .deaths = deaths, .strategy = Strategy::kExhaustive, .budget_seconds = 600});
  EXPECT_EQ(result.finding.verdict, Verdict::kPass)
      << scenario << ": " << result.finding.message << Render(result.schedule);
  EXPECT_TRUE(result.exhaustive) << scenario;
  EXPECT_EQ(result.deaths > 0, deaths > 0) << scenario;
  return result;
}

}  // namespace kill9::explore

#endif  // KILL9_PROPERTY_EXPLORE_EXPLORATION_FOR_TESTS_H_

// The tsan tier on what is planted: each planted ordering is found by the threads of threads_test,
// built with that bug under ThreadSanitizer. `./dev tsan` builds and runs it; any other build
// skips.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "harness/gate/plan/planted.h"
#include "variants/segment/thread_sanitizer.h"

namespace kill9 {
namespace {

std::vector<PlantedBug> WithTsan() {
  std::vector<PlantedBug> bugs;
  absl::StatusOr<std::vector<PlantedBug>> all = ReadPlantedBugs(KILL9_PLANTED_MANIFEST);
  if (!all.ok()) return bugs;
  std::copy_if(all->begin(), all->end(), std::back_inserter(bugs),
               [](const PlantedBug& bug) { return bug.declares("tsan"); });
  return bugs;
}

uint64_t Seed() {
  const char* text = std::getenv("KILL9_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 9;
}

// The threads go on until the race is found, usually within a second: this ends only what will
// never find it, and is no bound for a slow machine.
constexpr double kSecondsWithoutAFinding = 900;

class PlantedOrderings : public ::testing::TestWithParam<PlantedBug> {};

TEST_P(PlantedOrderings, IsFoundByTheWorkersAsThreads) {
  if (!kThreadSanitizer) GTEST_SKIP() << "this build has no ThreadSanitizer: ./dev tsan";
  const PlantedBug& bug = GetParam();
  const TierOutcome outcome = RunPlantedTier(bug, "tsan", Seed(), kSecondsWithoutAFinding, nullptr);
  ASSERT_NE(outcome.verdict, "not_built") << "ninja planted_threads";
  EXPECT_TRUE(outcome.caught()) << bug.what << ": " << outcome.verdict << " in " << outcome.seconds
                                << " s";
}
INSTANTIATE_TEST_SUITE_P(Planted, PlantedOrderings, ::testing::ValuesIn(WithTsan()),
                         [](const auto& test) { return test.param.name; });

TEST(PlantedOrderingsList, IsNotEmpty) { EXPECT_GE(WithTsan().size(), 3u); }

}  // namespace
}  // namespace kill9

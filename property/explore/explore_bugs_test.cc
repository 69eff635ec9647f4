// Bugs that were published: each is found, its token repeats it, and the repaired form is clean.
#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/explore/search/explore.h"
#include "property/explore/programs/programs.h"

namespace kill9::explore {

static void PrintTo(const PublicBug& bug, std::ostream* out) { *out << bug.what; }

namespace {

class ExploreBugs : public testing::TestWithParam<PublicBug> {};

ExploreResult ExploreProgram(ProgramScene& scene, const PublicBug& bug, Strategy strategy) {
  return Explore(scene, {.model = bug.model,
                         .deaths = bug.deaths,
                         .strategy = strategy,
                         .schedules = 200'000,
                         .budget_seconds = 600});
}

TEST_P(ExploreBugs, IsFoundByAllSchedules) {
  ProgramScene scene(GetParam().make(false));
  const ExploreResult result = ExploreProgram(scene, GetParam(), Strategy::kExhaustive);
  EXPECT_NE(result.finding.verdict, Verdict::kPass) << GetParam().what;
  EXPECT_FALSE(result.exhaustive);
}

TEST_P(ExploreBugs, IsFoundAtRandom) {
  ProgramScene scene(GetParam().make(false));
  const ExploreResult result = ExploreProgram(scene, GetParam(), Strategy::kRandom);
  EXPECT_NE(result.finding.verdict, Verdict::kPass) << GetParam().what;
}

TEST_P(ExploreBugs, IsRepeatedByItsToken) {
  ProgramScene scene(GetParam().make(false));
  const ExploreResult found = ExploreProgram(scene, GetParam(), Strategy::kAuto);
  ASSERT_NE(found.finding.verdict, Verdict::kPass);
  Token token{.variant = "program",
              .scenario = "it",
              .model = GetParam().model,
              .deaths = GetParam().deaths,
              .schedule = found.schedule,
              .contended = found.contended};
  const std::optional<Token> parsed = ParseToken(Render(token));
  ASSERT_TRUE(parsed.has_value()) << Render(token);
  ASSERT_EQ(parsed->schedule, found.schedule);
  // As in a program that knows nothing but the token.
  ProgramScene fresh(GetParam().make(false));
  const MachineLimits limits{.model = parsed->model, .deaths = parsed->deaths};
  Machine::Get().Load(fresh, limits);
  Machine::Get().SetContended(parsed->contended);
  for (int i = 0; i < 100; ++i) {
    const Replayed replayed = Replay(parsed->schedule, limits);
    ASSERT_EQ(replayed.finding.verdict, found.finding.verdict) << Render(token);
    ASSERT_EQ(replayed.finding.message, found.finding.message);
  }
}

TEST_P(ExploreBugs, RepairedFormIsClean) {
  ProgramScene scene(GetParam().make(true));
  const ExploreResult result = ExploreProgram(scene, GetParam(), Strategy::kExhaustive);
  EXPECT_EQ(result.finding.verdict, Verdict::kPass) << result.finding.message;
  EXPECT_TRUE(result.exhaustive);
}

std::string NameOfBug(const testing::TestParamInfo<PublicBug>& bug) { return bug.param.name; }

INSTANTIATE_TEST_SUITE_P(Public, ExploreBugs, testing::ValuesIn(PublicBugs()), NameOfBug);
INSTANTIATE_TEST_SUITE_P(Waiting, ExploreBugs, testing::ValuesIn(WaitingBugs()), NameOfBug);

// The bugs of a weaker model are none under the one before it: what finds them is the model.
TEST(ExploreModels, BugsOfAModelNeedIt) {
  int seen = 0;
  for (PublicBug bug : PublicBugs()) {
    if (bug.model == MemoryModel::kSc) continue;
    ++seen;
    bug.model = bug.model == MemoryModel::kC11 ? MemoryModel::kTso : MemoryModel::kSc;
    ProgramScene scene(bug.make(false));
    const ExploreResult result = ExploreProgram(scene, bug, Strategy::kExhaustive);
    EXPECT_EQ(result.finding.verdict, Verdict::kPass) << bug.name;
    EXPECT_TRUE(result.exhaustive) << bug.name;
  }
  EXPECT_GE(seen, 5);
}

}  // namespace
}  // namespace kill9::explore

// The models of a counter, a set, a lock, a semaphore, a condition, a lease and a list against the
// brute force: the same verdict on random small histories, under every condition, of the whole and
// along with a run; and what is shown as a violation is one by itself.
#include <algorithm>
#include <iostream>
#include <string>

#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/edn/edn.h"
#include "property/checker/brute_force_search.h"
#include "property/checker/small_model_run.h"
#include "property/checker/small_object_run.h"

namespace kill9 {
namespace {

constexpr int kHistoriesOfObjects = 20'000;

bool StreamAccepts(const ModelChecker& model, const History& history) {
  auto stream = model.NewStream(/*has_versions=*/false, {});
  for (Operation operation : history) {
    if (!IsKeyed(operation.function) || TellsNothing(operation)) continue;
    if (operation.outcome == Outcome::kUnknown) operation.finish = kNever;
    if (stream->Add(operation) != SearchResult::kLinearizable) return false;
  }
  return stream->Finish() == SearchResult::kLinearizable;
}

History SmallHistory(const std::string& model, uint64_t seed) {
  if (model == "condition" || model == "lease" || model == "list") {
    return SmallModelRun(model, seed).Make();
  }
  return SmallObjectRun(model, seed).Make();
}

class ObjectsBruteForce : public testing::TestWithParam<std::string> {};

TEST_P(ObjectsBruteForce, AgreesWithTheCheckerUnderEveryCondition) {
  const std::string name = GetParam();
  const ModelChecker& model = *FindModel(name);
  int legal = 0, crashed = 0, shown = 0, told_apart = 0;
  for (int i = 0; i < kHistoriesOfObjects; ++i) {
    const History history = SmallHistory(name, static_cast<uint64_t>(i));
    bool strict = false;
    for (const Condition condition : kConditions) {
      const bool expected = BruteForceLinearizable(name, condition, history);
      const auto outcome = CheckHistory(model, history, {.condition = condition, .threads = 1});
      ASSERT_TRUE(outcome.ok()) << outcome.status();
      ASSERT_EQ(outcome->verdict, expected ? Verdict::kPass : Verdict::kViolation)
          << i << " " << ConditionName(condition) << "\n"
          << WriteEdn(history, {});
      if (condition == Condition::kStrict) {
        strict = expected;
        ASSERT_EQ(StreamAccepts(model, history), expected) << WriteEdn(history, {});
      }
      if (condition == Condition::kPending) told_apart += expected && !strict;
      if (!outcome->counterexample.has_value()) continue;
      // Less can be shown; what is shown must not be legal.
      const History& small = outcome->counterexample->operations;
      ASSERT_FALSE(BruteForceLinearizable(name, condition, small)) << WriteEdn(history, {}) << "\n"
                                                                   << WriteEdn(small, {});
      shown += small.size() < history.size();
    }
    legal += strict;
    crashed += std::any_of(history.begin(), history.end(), IsOptional);
  }
  std::cout << name << ": legal " << legal << ", with crashes " << crashed << ", made smaller "
            << shown << ", legal under a weaker condition only " << told_apart << "\n";
  EXPECT_GT(legal, kHistoriesOfObjects * 3 / 10);
  EXPECT_LT(legal, kHistoriesOfObjects * 9 / 10);
  EXPECT_GT(crashed, kHistoriesOfObjects / 3);
  EXPECT_GT(shown, kHistoriesOfObjects / 20);
  EXPECT_GT(told_apart, kHistoriesOfObjects / 1000);
}

INSTANTIATE_TEST_SUITE_P(Models, ObjectsBruteForce,
                         testing::Values("counter", "set", "mutex", "robust-mutex", "semaphore",
                                         "condition", "lease", "list"),
                         kModelTestName);

// One process asks for a term of 10; long after it has got an answer another one is refused.
TEST(LeaseOfWhichNothingIsKnown, MayBeginAtAnyLaterTime) {
  const auto verdict = [](Outcome outcome) {
    History history(2);
    history[0].function = history[1].function = Function::kAcquireFor;
    history[0].argument = history[1].argument = 10;
    history[0].invoke = history[0].expected = 1;
    history[0].finish = history[0].result_version = 2;
    history[0].outcome = outcome;
    history[1].process = 1;
    history[1].invoke = history[1].expected = 50;
    history[1].finish = history[1].result_version = 51;
    history[1].outcome = Outcome::kOk;
    history[1].result = kHeldByOther;
    const auto checked = CheckHistory(*FindModel("lease"), history, {.threads = 1});
    return checked.ok() ? checked->verdict : Verdict::kUndecided;
  };
  EXPECT_EQ(verdict(Outcome::kUnknown), Verdict::kPass);
  EXPECT_EQ(verdict(Outcome::kCrashed), Verdict::kViolation);  // it had ended by then
  EXPECT_EQ(verdict(Outcome::kOk), Verdict::kViolation);
}

}  // namespace
}  // namespace kill9

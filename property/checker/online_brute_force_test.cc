// The checker that goes along with a run, against the brute force and against the check of the
// whole history: the same verdict, and of the strongest condition never more than the truth.
// Histories are cut after every few operations, so that most of what a violation needs is forgotten
// by then.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <span>

#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/checker/online.h"
#include "harness/edn/edn.h"
#include "property/torture/small_run.h"

namespace kill9 {
namespace {

// More on request: KILL9_HISTORIES=200000.
int Histories() {
  const char* asked = std::getenv("KILL9_HISTORIES");
  return asked == nullptr ? 10'000 : std::atoi(asked);
}

// 0: strict; 3: none.
int Rank(const std::optional<Condition>& strongest) {
  return strongest.has_value() ? static_cast<int>(*strongest)
                               : static_cast<int>(std::size(kConditions));
}

// `configurations`: the engine has room for these; what it cannot decide so is decided otherwise.
OnlineOutcome Feed(std::string_view model, size_t window, size_t configurations, History history) {
  const size_t batch = 1 + window;
  const bool versions = std::any_of(history.begin(), history.end(), HasVersion);
  std::sort(history.begin(), history.end(),
            [](const Operation& a, const Operation& b) { return a.finish < b.finish; });
  OnlineChecker checker({.model = FindModel(model),
                         .has_versions = versions,
                         .limits = {.configurations = configurations, .stream_window = window}});
  for (size_t begin = 0; begin < history.size(); begin += batch) {
    const size_t end = std::min(begin + batch, history.size());
    uint64_t settled = kNever;
    for (size_t i = end; i < history.size(); ++i) settled = std::min(settled, history[i].invoke);
    checker.Feed(std::span(history).subspan(begin, end - begin), settled);
  }
  return checker.Finish();
}

int StrongestByBruteForce(std::string_view model, const History& history) {
  int rank = 0;
  for (const Condition condition : kConditions) {
    if (BruteForceLinearizable(model, condition, history)) break;
    ++rank;
  }
  return rank;
}

class Online : public testing::TestWithParam<std::string> {
 protected:
  // Compares, and counts what was found.
  void Compare(const History& history, int truth, size_t window,
               size_t configurations = EngineLimits{}.configurations) {
    const OnlineOutcome outcome = Feed(GetParam(), window, configurations, history);
    const Verdict expected = truth == 0 ? Verdict::kPass : Verdict::kViolation;
    ASSERT_EQ(outcome.verdict, expected) << WriteEdn(history, {});
    ASSERT_GE(Rank(outcome.strongest), truth) << WriteEdn(history, {});
    violating_ += truth != 0;
    weaker_ += truth == 1 || truth == 2;
    shown_ += truth != 0 && Rank(outcome.strongest) == truth && truth < 3;
  }

  int violating_ = 0;  // histories
  int weaker_ = 0;     // those of which a weaker condition holds
  int shown_ = 0;      // those of which the strongest that holds was told
};

TEST_P(Online, NeverTellsMoreThanTheTruthOfASmallHistory) {
  for (int i = 0; i < Histories() && !HasFatalFailure(); ++i) {
    const History history = SmallRun(GetParam(), static_cast<uint64_t>(i), 4, 4).Make();
    const bool nothing = std::none_of(history.begin(), history.end(), [](const Operation& one) {
      return one.function != Function::kRecover;
    });
    if (nothing) continue;
    const int truth = StrongestByBruteForce(GetParam(), history);
    for (const size_t window : {1, 2, 4}) Compare(history, truth, window);
    for (const size_t window : {1, 4}) Compare(history, truth, window, 1);
  }
  std::cout << GetParam() << ": violating " << violating_ << ", of which a weaker condition holds "
            << weaker_ << ", told " << shown_ << "\n";
  EXPECT_GT(weaker_, Histories() / 1000);
  EXPECT_GT(shown_, weaker_ / 10);
}

TEST_P(Online, NeverTellsMoreThanTheTruthOfALongerHistory) {
  for (int i = 0; i < Histories() / 10 && !HasFatalFailure(); ++i) {
    const History history = SmallRun(GetParam(), static_cast<uint64_t>(i), 20, 40).Make(false);
    const auto outcome = CheckHistory(*FindModel(GetParam()), history, {.explain = false});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    ASSERT_NE(outcome->verdict, Verdict::kUndecided);
    for (const size_t window : {2, 16}) Compare(history, Rank(outcome->strongest), window);
    Compare(history, Rank(outcome->strongest), 2, 2);
  }
  std::cout << GetParam() << ": violating " << violating_ << ", of which a weaker condition holds "
            << weaker_ << ", told " << shown_ << "\n";
  EXPECT_GT(weaker_, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, Online,
                         testing::Values("register", "cas-register", "map", "cache"),
                         kModelTestName);

}  // namespace
}  // namespace kill9

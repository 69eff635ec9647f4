// The checker that goes along with a run, fed as a supervisor would feed it.
#include "harness/checker/online.h"

#include <algorithm>
#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/checker/simulated_history.h"

namespace kill9 {
namespace {

// Feeds a history in batches as operations return, with the time up to which it is settled.
OnlineOutcome FeedInOrderOfReturn(const OnlineOptions& options, std::vector<Operation> history,
                                  size_t batch) {
  std::sort(history.begin(), history.end(),
            [](const Operation& a, const Operation& b) { return a.finish < b.finish; });
  OnlineChecker checker(options);
  for (size_t begin = 0; begin < history.size(); begin += batch) {
    size_t end = std::min(begin + batch, history.size());
    uint64_t settled = ~0ull;
    for (size_t i = end; i < history.size(); ++i) settled = std::min(settled, history[i].invoke);
    checker.Feed(std::span(history).subspan(begin, end - begin), settled);
  }
  return checker.Finish();
}

TEST(OnlineChecker, ChecksEveryOperationOfALegalRun) {
  for (bool lossy : {false, true}) {
    SimulationOptions simulation{
        .seed = 3, .keys = 20, .operations = 20000, .crash_share = 0.05, .lossy = lossy};
    OnlineOutcome outcome =
        FeedInOrderOfReturn({.model = FindModel(lossy ? "cache" : "map"), .threads = 2},
                            SimulateHistory(simulation), 1000);
    EXPECT_EQ(outcome.verdict, Verdict::kPass) << outcome.counterexample_text;
    EXPECT_EQ(outcome.strongest, Condition::kStrict);
    EXPECT_EQ(outcome.operations, 20000u);
    EXPECT_EQ(outcome.operations_checked, outcome.operations);
    EXPECT_GT(outcome.overlapping_operations, 1000u);
    EXPECT_EQ(outcome.keys, 20u);
  }
}

TEST(OnlineChecker, FindsOneStaleReadAndSaysWhere) {
  std::vector<Operation> history = SimulateHistory({.seed = 5, .keys = 10, .operations = 10000});
  size_t forged = 0;
  for (size_t i = 5000; i < history.size() && forged == 0; ++i) {
    if (history[i].function != Function::kGet || history[i].result == kNothing) continue;
    for (size_t j = 0; j < 4000; ++j) {
      if (history[j].function == Function::kPut && history[j].key == history[i].key) {
        history[i].result = history[j].argument;
        history[i].result_version = history[j].result_version;
        forged = i;
        break;
      }
    }
  }
  ASSERT_NE(forged, 0u);
  OnlineOutcome outcome = FeedInOrderOfReturn(
      {.model = FindModel("map"),
       .counterexample_stem = testing::TempDir() + "/online_test_counterexample"},
      history, 500);
  EXPECT_EQ(outcome.verdict, Verdict::kViolation);
  EXPECT_FALSE(outcome.strongest.has_value());
  EXPECT_EQ(outcome.keys_violating, 1u);
  ASSERT_TRUE(outcome.counterexample.has_value());
  const Counterexample& shown = *outcome.counterexample;
  EXPECT_EQ(shown.operations[shown.failed].invoke, history[forged].invoke);
  EXPECT_LE(shown.operations.size(), 3u);
  EXPECT_EQ(outcome.counterexample_files.size(), 3u);
}

TEST(OnlineChecker, SaysThatALateEffectIsPendingAtBest) {
  SimulationOptions simulation{.seed = 11,
                               .processes = 4,
                               .keys = 4,
                               .operations = 4000,
                               .crash_share = 0.05,
                               .late_share = 0.2};
  std::vector<Operation> history = SimulateHistory(simulation);
  OnlineOutcome outcome = FeedInOrderOfReturn({.model = FindModel("map")}, history, 100);
  EXPECT_EQ(outcome.verdict, Verdict::kViolation);
  auto whole = CheckHistory(*FindModel("map"), history, {});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->verdict, Verdict::kViolation);
  EXPECT_EQ(whole->strongest, Condition::kPending);
}

// The engine alone has room for 64 open operations, and for twelve writes in any order.
TEST(OnlineChecker, DecidesAnyNumberOfOverlappingWritesWithoutVersions) {
  for (const uint64_t writes : {13, 70, 250}) {
    for (const bool equal : {false, true}) {
      for (const bool legal : {true, false}) {
        SCOPED_TRACE(testing::Message() << writes << " writes, " << (equal ? "equal" : "distinct")
                                        << (legal ? "" : ", and a read of what nobody wrote"));
        std::vector<Operation> history;
        for (uint64_t i = 0; i < writes; ++i) {
          Operation write{};
          write.process = static_cast<uint32_t>(i);
          write.function = Function::kPut;
          write.outcome = Outcome::kOk;
          write.argument = equal ? 7 : 1000 + i;
          write.invoke = 10;
          write.finish = 20;
          history.push_back(write);
        }
        Operation read{};
        read.process = static_cast<uint32_t>(writes);
        read.function = Function::kGet;
        read.outcome = Outcome::kOk;
        read.result = !legal ? 8 : equal ? 7 : 1000;
        read.invoke = 30;
        read.finish = 40;
        for (int again = 0; again < 20; ++again) {
          history.push_back(read);
          read.invoke += 20;
          read.finish += 20;
        }
        const OnlineOutcome outcome =
            FeedInOrderOfReturn({.model = FindModel("map"), .has_versions = false}, history, 5);
        EXPECT_EQ(outcome.verdict, legal ? Verdict::kPass : Verdict::kViolation);
        EXPECT_EQ(outcome.counterexample_text == "", legal);
        if (!legal) continue;
        EXPECT_EQ(outcome.operations_checked, history.size());
        EXPECT_EQ(outcome.strongest, Condition::kStrict);
      }
    }
  }
}

// A window of so many operations is cut although the reader is still at work. What it saw of a
// write that a death cut off after that cut is then in no window; and the write is still no longer
// to come.
TEST(OnlineChecker, ALateEffectIsNotOneThatALongReadHasSeen) {
  constexpr uint64_t kTorn = 5, kAfter = 9;
  constexpr uint64_t kMoreThanAWindow = 10'000;
  for (const bool seen : {true, false}) {
    std::vector<Operation> history;
    uint64_t now = 1;
    const auto add = [&](uint32_t process, Function function, uint64_t value) -> Operation& {
      Operation operation{};
      operation.process = process;
      operation.function = function;
      (function == Function::kPut ? operation.argument : operation.result) = value;
      operation.outcome = Outcome::kOk;
      operation.invoke = now++;
      operation.finish = now++;
      history.push_back(operation);
      return history.back();
    };
    add(0, Function::kGet, seen ? kTorn : kNothing);
    for (uint64_t i = 0; i < kMoreThanAWindow; ++i) add(1, Function::kGet, kNothing);
    add(2, Function::kPut, kTorn).outcome = Outcome::kCrashed;
    history[0].finish = now++;
    add(1, Function::kPut, kAfter);
    for (uint64_t i = 0; i < kMoreThanAWindow; ++i) add(1, Function::kGet, kAfter);
    add(1, Function::kGet, kTorn);
    const OnlineOutcome outcome =
        FeedInOrderOfReturn({.model = FindModel("map"), .has_versions = false}, history, 100);
    EXPECT_EQ(outcome.verdict, Verdict::kViolation);
    // Unseen, its effect may have come at the end: what is told may be weaker, never stronger.
    if (seen) {
      EXPECT_FALSE(outcome.strongest.has_value());
    }
    const auto whole = CheckHistory(*FindModel("map"), history, {});
    ASSERT_TRUE(whole.ok()) << whole.status();
    EXPECT_EQ(whole->strongest.has_value(), !seen);
  }
}

// Writes that all overlap, each value twice: what the search must keep doubles with each of them.
TEST(OnlineChecker, WithoutWorkLeftAKeyIsUndecidedAndTheOthersAreCheckedOn) {
  constexpr uint64_t kGroups = 12, kWrites = 8;
  for (const bool other_is_legal : {true, false}) {
    std::vector<Operation> history;
    const auto add = [&history](uint32_t process, uint64_t key, Function function, uint64_t value,
                                uint64_t invoke, uint64_t finish) {
      Operation operation{};
      operation.process = process;
      operation.key = key;
      operation.function = function;
      (function == Function::kPut ? operation.argument : operation.result) = value;
      operation.outcome = Outcome::kOk;
      operation.invoke = invoke;
      operation.finish = finish;
      history.push_back(operation);
    };
    for (uint64_t group = 0; group < kGroups; ++group) {
      const uint64_t begin = 1 + group * 1000;
      for (uint64_t write = 0; write < kWrites; ++write) {
        add(static_cast<uint32_t>(write), 1, Function::kPut, 100 + write, begin + write,
            begin + 500 + write);
      }
      add(9, 1, Function::kGet, 103, begin + 800, begin + 801);
      add(9, 2, Function::kPut, 100 + group, begin + 820, begin + 821);
      const bool last = group + 1 == kGroups;
      add(9, 2, Function::kGet, last && !other_is_legal ? 100 : 100 + group, begin + 830,
          begin + 831);
    }
    OnlineOptions options{.model = FindModel("map"), .has_versions = false};
    const OnlineOutcome enough = FeedInOrderOfReturn(options, history, 20);
    EXPECT_EQ(enough.verdict, other_is_legal ? Verdict::kPass : Verdict::kViolation);
    EXPECT_EQ(enough.keys_undecided, 0u);
    EXPECT_FALSE(enough.out_of_work);
    options.work_at_once = 3000;  // less than one group takes
    options.work_of_an_operation = 2;
    const OnlineOutcome bounded = FeedInOrderOfReturn(options, history, 20);
    EXPECT_EQ(bounded.verdict, other_is_legal ? Verdict::kUndecided : Verdict::kViolation);
    EXPECT_EQ(bounded.keys_undecided, 1u);
    EXPECT_TRUE(bounded.out_of_work);
    EXPECT_GE(bounded.operations_checked, 2 * kGroups);
  }
}

TEST(OnlineChecker, NothingToCheckIsVacuous) {
  OnlineChecker checker({.model = FindModel("map")});
  EXPECT_EQ(checker.Finish().verdict, Verdict::kVacuous);
}

}  // namespace
}  // namespace kill9

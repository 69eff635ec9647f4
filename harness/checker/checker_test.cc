#include "harness/checker/checker.h"

#include "gtest/gtest.h"

namespace kill9 {
namespace {

Operation Make(uint32_t process, uint64_t invoke, uint64_t finish, Function function,
               uint64_t argument, uint64_t result, uint64_t version,
               Outcome outcome = Outcome::kOk) {
  Operation operation{};
  operation.invoke = invoke;
  operation.finish = finish;
  operation.process = process;
  operation.function = function;
  operation.outcome = outcome;
  operation.key = 1;
  operation.argument = argument;
  operation.result = result;
  operation.result_version = version;
  return operation;
}

TEST(Checker, StaleReadIsAViolationWithACounterexample) {
  std::vector<Operation> history = {
      Make(0, 1, 2, Function::kPut, 7, 0, 1), Make(0, 3, 4, Function::kPut, 8, 0, 2),
      Make(1, 5, 6, Function::kGet, 0, 7, 1), Make(1, 7, 8, Function::kGet, 0, 8, 2)};
  auto outcome = CheckHistory(*FindModel("map"), history, {});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->verdict, Verdict::kViolation);
  EXPECT_FALSE(outcome->strongest.has_value());
  ASSERT_TRUE(outcome->counterexample.has_value());
  EXPECT_EQ(outcome->counterexample->operations.size(), 3u);
  std::cout << RenderText(*outcome->counterexample, {});
}

TEST(Checker, CrashedWriteThatShowsUpAfterTheDeathIsPendingNotStrict) {
  std::vector<Operation> history = {Make(0, 1, 4, Function::kPut, 7, 0, 0, Outcome::kCrashed),
                                    Make(1, 5, 6, Function::kGet, 0, 0, 0),
                                    Make(1, 7, 8, Function::kGet, 0, 7, 1)};
  auto outcome = CheckHistory(*FindModel("map"), history, {});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->verdict, Verdict::kViolation);
  EXPECT_EQ(outcome->strongest, Condition::kPending);
  std::cout << RenderText(*outcome->counterexample, {});
}

// So many writes that overlap, by a process each, and then a read.
std::vector<Operation> Overlapping(uint64_t writes, bool equal, uint64_t read) {
  std::vector<Operation> history;
  for (uint64_t i = 1; i <= writes; ++i) {
    history.push_back(Make(static_cast<uint32_t>(i), i, 10 * writes - i, Function::kPut,
                           equal ? 7 : 1000 + i, 0, 0));
  }
  history.push_back(Make(0, 20 * writes, 20 * writes + 1, Function::kGet, 0, read, 0));
  return history;
}

CheckOutcome Check(const char* model, const std::vector<Operation>& history) {
  absl::StatusOr<CheckOutcome> outcome = CheckHistory(*FindModel(model), history, {.threads = 1});
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return *outcome;
}

TEST(Checker, DecidesAnyNumberOfOverlappingWrites) {
  for (const char* model : {"register", "map", "cache"}) {
    for (const uint64_t writes : {13, 250, 1000}) {
      // Whichever is read, it can have been the last one.
      for (const uint64_t last : {uint64_t{1}, writes / 2, writes}) {
        EXPECT_EQ(Check(model, Overlapping(writes, false, 1000 + last)).verdict, Verdict::kPass);
      }
      EXPECT_EQ(Check(model, Overlapping(writes, true, 7)).verdict, Verdict::kPass);
      // A value that nobody wrote.
      for (const bool equal : {false, true}) {
        const CheckOutcome outcome = Check(model, Overlapping(writes, equal, 8));
        EXPECT_EQ(outcome.verdict, Verdict::kViolation) << model << " " << writes << " " << equal;
        EXPECT_EQ(outcome.counterexample->operations.size(), 1u);
      }
      // One after the other, two values are read that were both written before: one is old.
      std::vector<Operation> history = Overlapping(writes, false, 1001);
      history.push_back(Make(0, 30 * writes, 31 * writes, Function::kGet, 0, 1002, 0));
      const CheckOutcome outcome = Check(model, history);
      EXPECT_EQ(outcome.verdict, Verdict::kViolation) << model << " " << writes;
      EXPECT_LE(outcome.counterexample->operations.size(), 4u);
    }
  }
}

// With more than writes and reads it is the search, depth first, that finds a way.
TEST(Checker, FindsAWayThroughOverlappingWritesAndErases) {
  for (const uint64_t writes : {13, 250, 1000}) {
    std::vector<Operation> history = Overlapping(writes, false, 1001 + writes / 2);
    history.insert(history.begin(), Make(2000, 0, 10 * writes, Function::kErase, 0, 1, 0));
    EXPECT_EQ(Check("map", history).verdict, Verdict::kPass) << writes;
    history.back().result = 8;
    EXPECT_EQ(Check("map", history).verdict, Verdict::kViolation) << writes;
  }
}

TEST(Checker, CountsCrashedCallsThatAreAlikeOnce) {
  std::vector<Operation> history;
  for (uint64_t i = 1; i <= 250; ++i) {
    history.push_back(
        Make(static_cast<uint32_t>(i), i, 1000 + i, Function::kPut, 7, 0, 0, Outcome::kCrashed));
  }
  history.push_back(Make(0, 2000, 2001, Function::kGet, 0, 7, 0));
  history.push_back(Make(0, 2002, 2003, Function::kErase, 0, 1, 0));
  EXPECT_EQ(Check("map", history).verdict, Verdict::kPass);
  history.push_back(Make(0, 2004, 2005, Function::kGet, 0, 7, 0));
  const CheckOutcome outcome = Check("map", history);
  EXPECT_EQ(outcome.verdict, Verdict::kViolation);
  EXPECT_EQ(outcome.strongest, Condition::kPending);
}

// What cannot be decided within the limits is neither legal nor illegal.
TEST(Checker, OutOfItsDepthItIsUndecided) {
  std::vector<Operation> history = {Make(0, 0, 0, Function::kPut, 1, 0, 0)};
  for (uint64_t i = 1; i <= 40; ++i) {
    history.push_back(Make(static_cast<uint32_t>(i), i, 1000 + i, Function::kCompareAndSwapValue,
                           1 + (i + 1) % 20, 0, 0));
    history.back().expected = 1 + i % 20;
  }
  const auto outcome = CheckHistory(*FindModel("cas-register"), history,
                                    {.limits = {.steps = 4, .configurations = 4}});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->verdict, Verdict::kUndecided);
  EXPECT_FALSE(outcome->strongest.has_value());
}

}  // namespace
}  // namespace kill9

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

}  // namespace
}  // namespace kill9

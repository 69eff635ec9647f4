// The checker of channels: messages that one call gives back.
#include <vector>

#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/checker/model_checker.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

Operation OfMessage(Function function, uint32_t process, uint64_t message, uint64_t invoke,
                    uint64_t finish) {
  Operation operation = {};
  operation.function = function;
  operation.process = process;
  operation.invoke = invoke;
  operation.finish = finish;
  operation.outcome = Outcome::kOk;
  const bool is_taken = function == Function::kTake || function == Function::kReceive;
  (is_taken ? operation.result : operation.argument) = message;
  return operation;
}

Verdict VerdictOfChannel(std::vector<Operation> history) {
  const ModelChecker* model = FindModel(FindDesign("slot_ring")->model());
  const absl::StatusOr<CheckOutcome> outcome =
      CheckHistory(*model, history, {.condition = Condition::kStrict, .threads = 1});
  return outcome.ok() ? outcome->verdict : Verdict::kUndecided;
}

// Each is back at some moment of the call, and whoever takes it then may be done before the call.
TEST(ChannelChecker, EachMessageOfABatchMayComeAgainBeforeItsReturnEnds) {
  std::vector<Operation> history;
  for (const uint64_t message : {1, 2}) {
    history.push_back(OfMessage(Function::kSend, 1, message, message, message));
    history.push_back(OfMessage(Function::kTake, 1, message, 10, 11));
    history.push_back(OfMessage(Function::kReturn, 1, message, 20, 30));
    history.push_back(
        OfMessage(Function::kReceive, 2, message, 20 + 2 * message, 21 + 2 * message));
  }
  EXPECT_EQ(VerdictOfChannel(history), Verdict::kPass);
}

TEST(ChannelChecker, MessageThatIsReturnedAfterItWasAcknowledgedWasHeldByTwo) {
  EXPECT_EQ(VerdictOfChannel({OfMessage(Function::kSend, 1, 1, 1, 1),
                              OfMessage(Function::kTake, 1, 1, 10, 11),
                              OfMessage(Function::kReceive, 2, 1, 20, 21),
                              OfMessage(Function::kReturn, 1, 1, 30, 31)}),
            Verdict::kViolation);
}

}  // namespace
}  // namespace kill9

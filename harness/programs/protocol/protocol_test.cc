// The worker protocol's lines, and what its values and answers mean.
#include "harness/programs/protocol/protocol.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/checker/model_checker.h"
#include "harness/programs/models/drawn_models.h"
#include "harness/programs/protocol/workload.h"

namespace kill9::programs {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(std::string_view line) {
  const absl::StatusOr<Answer> answer = ReadAnswer(line, 7);
  return answer.ok() ? "" : std::string(answer.status().message());
}

TEST(Protocol, AnswerHasItsRequestsIdAndAType) {
  EXPECT_EQ(ErrorOf(R"({"id":7,"type":"ok"})"), "");
  EXPECT_THAT(ErrorOf("hello"), HasSubstr("no object of JSON: 'hello'"));
  EXPECT_THAT(ErrorOf("[7]"), HasSubstr("no object"));
  EXPECT_THAT(ErrorOf(R"({"id":6,"type":"ok"})"), HasSubstr("does not answer request 7"));
  EXPECT_THAT(ErrorOf(R"({"type":"ok"})"), HasSubstr("does not answer request 7"));
  EXPECT_THAT(ErrorOf(R"({"id":7,"type":"yes"})"), HasSubstr("not ok, fail or info"));
  EXPECT_THAT(ErrorOf(std::string(100'000, 'x') + "\x01"), HasSubstr("...'"));
  EXPECT_LT(ErrorOf(std::string(100'000, '\x01')).size(), 2000u);
}

TEST(Protocol, AQuotedLineIsReadable) {
  EXPECT_EQ(Quoted(R"({"value":"it's"})"), R"('{"value":"it's"}')");
  EXPECT_EQ(Quoted("a\tb\\\"c"), R"('a\tb\\"c')");
}

Answer Ok(const Json& value) { return {Answer::Type::kOk, Json{{"value", value}}}; }

// What is written for a call, as a program would store it.
Json WrittenBy(const Workload& workload, const Call& call) {
  return ParseJson(workload.Request(1, call))["value"];
}

Operation Decoded(Workload& workload, Function function, const Answer& answer) {
  Operation operation{};
  operation.function = function;
  const absl::Status status = workload.Decode(answer, &operation);
  EXPECT_TRUE(status.ok()) << status;
  return operation;
}

TEST(Workload, ValueThatIsTornOrNobodysIsNoValueOfTheRun) {
  Workload workload({.model = "map"});
  Random random(1);
  const auto functions = *workload.FunctionsOf({});
  size_t long_ones = 0;
  for (int n = 0; n < 300; ++n) {
    const Call call = *workload.Draw(random, functions, {}, false);
    if (call.function != Function::kPut) continue;
    const std::string text = WrittenBy(workload, call).get<std::string>();
    EXPECT_EQ(Decoded(workload, Function::kGet, Ok(text)).result, call.argument);
    long_ones += text.size() > 1000;
    std::string torn = text;
    torn.back() = torn.back() == 'x' ? 'y' : 'x';
    EXPECT_NE(Decoded(workload, Function::kGet, Ok(torn)).result, call.argument) << text;
    EXPECT_NE(Decoded(workload, Function::kGet, Ok(text.substr(0, text.size() - 1))).result,
              call.argument);
  }
  EXPECT_GT(long_ones, 0u);
  EXPECT_FALSE(workload.foreign().empty());
  EXPECT_EQ(Decoded(workload, Function::kGet, Ok(nullptr)).result, kNothing);
  EXPECT_NE(Decoded(workload, Function::kGet, Ok("v1000000.")).result, 1000000u) << "not drawn yet";
}

TEST(Workload, LockIsGivenBackBeforeAnythingElse) {
  Workload workload({.model = "mutex", .keys = 3});
  Random random(1);
  const auto functions = *workload.FunctionsOf({});
  for (int n = 0; n < 100; ++n) {
    EXPECT_EQ(workload.Draw(random, functions, {}, false)->function, Function::kAcquire);
    const Call call = *workload.Draw(random, functions, 2, n % 2 == 0);
    EXPECT_EQ(call.function, Function::kRelease);
    EXPECT_EQ(call.key, 2u);
  }
  EXPECT_FALSE(workload.Draw(random, functions, {}, /*ending=*/true).has_value());
}

TEST(Workload, LeaseIsRenewedGivenBackOrForgotten) {
  Workload workload({.model = "lease"});
  Random random(1);
  const auto functions = *workload.FunctionsOf({});
  std::map<Function, int> asked;
  for (int n = 0; n < 300; ++n) {
    const Call call = *workload.Draw(random, functions, 0, /*ending=*/false);
    ++asked[call.function];
    EXPECT_EQ(call.argument > 0, call.function != Function::kRelease) << "a term";
    EXPECT_EQ(workload.Draw(random, functions, 0, /*ending=*/true)->function, Function::kRelease);
    EXPECT_EQ(workload.Draw(random, functions, {}, false)->function, Function::kAcquireFor);
  }
  EXPECT_GT(asked[Function::kRenew], 0);
  EXPECT_GT(asked[Function::kRelease], 0);
  EXPECT_GT(asked[Function::kAcquireFor], 0) << "as if it had none: its term ends by itself";
  EXPECT_EQ(asked.size(), 3u);
  // Without renewals, if the program has none.
  for (int n = 0; n < 100; ++n) {
    const auto few = *workload.FunctionsOf({"acquire", "release"});
    EXPECT_NE(workload.Draw(random, few, 0, false)->function, Function::kRenew);
  }
}

TEST(Workload, ReadingsOfAClockGrowByTheirUncertainty) {
  Workload workload({.model = "lease"});
  Operation operation{};
  operation.function = Function::kAcquireFor;
  operation.expected = 1000;
  operation.finish = 3000;
  const auto told = [](Json uncertainty) {
    Answer answer{Answer::Type::kFail, Json::object()};
    answer.fields["uncertainty_ns"] = std::move(uncertainty);
    return answer;
  };
  ASSERT_TRUE(workload.Decode(told(200u), &operation).ok());
  EXPECT_EQ(operation.expected, 800u);
  EXPECT_EQ(operation.result_version, 3200u);
  EXPECT_EQ(operation.outcome, Outcome::kOk);
  EXPECT_EQ(operation.result, kHeldByOther);
  ASSERT_TRUE(workload.Decode(told(5000u), &operation).ok());
  EXPECT_EQ(operation.expected, 0u);
  EXPECT_FALSE(workload.Decode(told("much"), &operation).ok());
}

TEST(Workload, OfAListWhatWasAppendedIsReadAndRemoved) {
  Workload workload({.model = "list"});
  Random random(1);
  const auto functions = *workload.FunctionsOf({});
  uint64_t appended = 0, removals = 0;
  for (int n = 0; n < 300; ++n) {
    const Call call = *workload.Draw(random, functions, {}, false);
    if (call.function == Function::kAppend) appended = call.argument;
    if (call.function == Function::kAt) {
      EXPECT_LE(call.argument, 1u) << "as long as nothing is known to be there";
      EXPECT_THAT(workload.Request(1, call), HasSubstr(absl::StrCat("\"index\":", call.argument)));
    }
    if (call.function != Function::kRemoveItem) continue;
    EXPECT_GE(call.argument, 1u);
    EXPECT_LE(call.argument, appended + 1);
    removals += call.argument <= appended;
  }
  EXPECT_GT(removals, 0u);
  EXPECT_EQ(Decoded(workload, Function::kRemoveItem, Ok(true)).result, 1u);
}

TEST(Workload, OfAListSomeItemsAreEqual) {
  Workload workload({.model = "list"});
  Random random(1);
  const auto functions = *workload.FunctionsOf({});
  std::set<uint64_t> items;
  int appends = 0;
  for (int n = 0; n < 300; ++n) {
    const Call call = *workload.Draw(random, functions, {}, false);
    if (call.function != Function::kAppend) continue;
    ++appends;
    items.insert(call.argument);
    Decoded(workload, Function::kAt, Ok(WrittenBy(workload, call)));
  }
  EXPECT_GT(items.size(), 10u);
  EXPECT_LT(items.size() + 10, static_cast<size_t>(appends));
}

TEST(Workload, AnswersOfALock) {
  Workload plain({.model = "mutex"}), robust({.model = "robust-mutex"});
  const Answer untold{Answer::Type::kOk, Json::object()};
  EXPECT_EQ(Decoded(plain, Function::kAcquire, untold).result, kAcquiredUntold);
  EXPECT_EQ(Decoded(robust, Function::kAcquire, untold).result, kAcquired) << "it must tell";
  EXPECT_EQ(Decoded(plain, Function::kAcquire, Ok("owner-died")).result, kAcquiredOfDead);
  const Operation failed =
      Decoded(plain, Function::kAcquire, {Answer::Type::kFail, Json::object()});
  EXPECT_EQ(failed.outcome, Outcome::kOk);
  EXPECT_EQ(failed.result, kHeldByOther);
}

TEST(Workload, EachModelDrawsOnlyWhatItsCheckerAccepts) {
  for (const std::string& name : ModelsOfPrograms()) {
    const ModelChecker* model = FindModel(name);
    ASSERT_NE(model, nullptr) << name;
    Workload workload({.model = name});
    Random random(1);
    const auto functions = *workload.FunctionsOf({});
    for (int n = 0; n < 100; ++n) {
      const Call call = *workload.Draw(random, functions, {}, false);
      EXPECT_TRUE(model->Accepts(call.function)) << name;
      EXPECT_LT(call.key, workload.keys());
    }
    for (const Call& call : workload.Closing()) EXPECT_TRUE(model->Accepts(call.function)) << name;
  }
}

TEST(Workload, CompareAndSwapIsAskedOfThoseThatHaveIt) {
  const Workload workload({.model = "map"});
  const auto has = [](const std::vector<WeighedFunction>& functions) {
    return std::any_of(functions.begin(), functions.end(), [](const WeighedFunction& one) {
      return one.function == Function::kCompareAndSwapValue;
    });
  };
  EXPECT_FALSE(has(*workload.FunctionsOf({})));
  EXPECT_TRUE(has(*workload.FunctionsOf({"put", "get", "cas"})));
  EXPECT_THAT(std::string(workload.FunctionsOf({"multiply"}).status().message()),
              HasSubstr("'multiply'"));
}

}  // namespace
}  // namespace kill9::programs

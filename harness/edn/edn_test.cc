// EDN in and out: ours, Jepsen's, and what is malformed.
#include "harness/edn/edn.h"

#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/edn/edn_for_tests.h"

namespace kill9 {
namespace {

using testing::HasSubstr;

// Calls a function with what its row says that it takes, and has it answer what the row says that
// it tells; `name` is one of its names.
std::string OneOperation(const FunctionRow& row, std::string_view name) {
  const std::string call = absl::StrCat("{:process 0, :f :", std::string(name), ", :type ");
  const std::string argument = row.expected != Field::kUnused   ? "[0 7]"
                               : row.argument != Field::kUnused ? "7"
                                                                : "nil";
  const bool tells = row.result == Field::kValue || row.result == Field::kNumber;
  const std::string result = row.result == Field::kWasThere ? "true" : tells ? "7" : argument;
  // What takes a :value tells what it comes to as its :result.
  const std::string told = TakesValue(row) && row.result != Field::kUnused
                               ? absl::StrCat(argument, ", :result ", tells ? "7" : "true")
                               : result;
  return absl::StrCat(call, ":invoke, :value ", argument, "}\n", call, ":ok, :value ", told, "}\n");
}

TEST(Edn, EachFunctionIsReadByEachOfItsNamesAndReadBackAsItWasWritten) {
  size_t names_read = 0;
  for (const FunctionRow& row : kFunctions) {
    const auto only_this = [&row](Function function) { return function == row.function; };
    std::vector<std::string> names = {std::string(row.name)};
    for (const auto alias : absl::StrSplit(std::string(row.aliases), ' ', absl::SkipEmpty())) {
      names.emplace_back(alias);
    }
    for (const std::string& name : names) {
      SCOPED_TRACE(name);
      const auto history = ReadEdn(OneOperation(row, name), "h.edn", only_this);
      ASSERT_TRUE(history.ok()) << history.status();
      ASSERT_EQ(history->operations.size(), 1u);
      const Operation& read = history->operations.front();
      EXPECT_EQ(read.function, row.function);
      EXPECT_EQ(read.argument != kNothing, row.argument != Field::kUnused);
      EXPECT_EQ(read.result != kNothing, row.result != Field::kUnused);
      const std::string written = WriteEdn(history->operations, history->naming());
      EXPECT_THAT(written, HasSubstr(absl::StrCat(":f :", std::string(row.name))));
      const auto again = ReadEdn(written, "again.edn", only_this);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(std::memcmp(&again->operations.front(), &read, sizeof read), 0) << written;
      ++names_read;
    }
  }
  EXPECT_GT(names_read, std::size(kFunctions)) << "no function has an alias";
}

TEST(Edn, ReadsAJepsenVectorWithIndexTimeAndNemesis) {
  constexpr std::string_view kText = R"([
{:type :invoke, :f :read, :value nil, :process 0, :time 10, :index 0}
{:type :info, :f :start-partition, :value [:n1 :n2], :process :nemesis, :time 12, :index 1}
{:type :invoke, :f :write, :value 3, :process 1, :time 15, :index 2}
{:type :ok, :f :read, :value 3, :process 0, :time 20, :index 3}
{:type :ok, :f :write, :value 3, :process 1, :time 25, :index 4}
{:type :invoke, :f :cas, :value [3 4], :process 1, :time 26, :index 5}
{:type :info, :f :cas, :value [3 4], :process 1, :time 30, :index 6, :error :timeout}
])";
  auto history = Read(kText, "cas-register");
  ASSERT_TRUE(history.ok()) << history.status();
  ASSERT_EQ(history->operations.size(), 3u);
  EXPECT_EQ(history->operations[2].outcome, Outcome::kCrashed);
  EXPECT_EQ(history->naming().Nanoseconds(history->operations[1].invoke), 15u);
  EXPECT_EQ(VerdictOf(kText, "cas-register"), Verdict::kPass);
}

TEST(Edn, ReadsTaggedRecordsCommentsAndDiscards) {
  EXPECT_EQ(VerdictOf(R"(; a comment
#jepsen.history.Op{:process 0, :type :invoke, :f :write, :value "a b", :time -5}
#_ {:process 9, :type :nonsense}
#jepsen.history.Op{:process 0, :type :ok, :f :write, :value "a b", :time -3}
{:process 1 :type :invoke :f :read}
{:process 1 :type :ok :f :read :value "a b"}
)",
                      "register"),
            Verdict::kPass);
}

TEST(Edn, ReadsKeyedValues) {
  constexpr std::string_view kText = R"(
{:process 0, :type :invoke, :f :write, :value [:x 1]}
{:process 0, :type :ok, :f :write, :value [:x 1]}
{:process 0, :type :invoke, :f :write, :value [:y 2]}
{:process 0, :type :ok, :f :write, :value [:y 2]}
{:process 1, :type :invoke, :f :cas, :value [:x [1 5]]}
{:process 1, :type :ok, :f :cas, :value [:x [1 5]]}
{:process 1, :type :invoke, :f :read, :value [:y nil]}
{:process 1, :type :ok, :f :read, :value [:y 2]}
{:process 1, :type :invoke, :f :read, :value [:x nil]}
{:process 1, :type :ok, :f :read, :value [:x 5]}
)";
  auto history = Read(kText, "cas-register");
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(history->keys.size(), 2u);
  EXPECT_EQ(VerdictOf(kText, "cas-register"), Verdict::kPass);
  // One key for all would be a violation.
  EXPECT_EQ(CheckHistory(*FindModel("cas-register"), history->operations, {})->keys, 2u);
}

TEST(Edn, AnInfoEndsAtItsLineUnlessPendingIsAsked) {
  constexpr std::string_view kText = R"(
{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :info, :f :write, :value 1}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value nil}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value 1}
)";
  EXPECT_EQ(VerdictOf(kText, "register"), Verdict::kViolation);
  EXPECT_EQ(VerdictOf(kText, "register", Condition::kPending), Verdict::kPass);
}

// A lock's holder is killed before its answer is read; the next one's is read first.
TEST(Edn, DeathMayComeBeforeAnAnswerIsRead) {
  constexpr std::string_view kText = R"(
{:process 0, :type :invoke, :f :acquire, :key 1}
{:process 1, :type :invoke, :f :acquire, :key 1}
{:process 0, :type :invoke, :f :die, :key 1}
{:process 1, :type :ok, :f :acquire, :key 1}
{:process 0, :type :ok, :f :acquire, :key 1}
{:process 0, :type :ok, :f :die, :key 1}
)";
  EXPECT_EQ(VerdictOf(kText, "mutex"), Verdict::kPass);
  const absl::StatusOr<EdnHistory> read = Read(kText, "mutex");
  ASSERT_TRUE(read.ok()) << read.status();
  const std::string written = WriteEdn(read->operations, read->naming());
  EXPECT_EQ(VerdictOf(written, "mutex"), Verdict::kPass) << written;
}

TEST(Edn, NilIsAValueOfARegisterAndAMissOfAMap) {
  EXPECT_EQ(
      VerdictOf("{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read :value nil}",
                "register"),
      Verdict::kPass);
}

struct Malformed {
  std::string_view text;
  std::string_view error;
};

class EdnErrors : public testing::TestWithParam<Malformed> {};

TEST_P(EdnErrors, AreToldWithLineAndColumn) {
  auto history = Read(GetParam().text);
  ASSERT_FALSE(history.ok());
  EXPECT_THAT(std::string(history.status().message()), HasSubstr(std::string(GetParam().error)));
}

INSTANTIATE_TEST_SUITE_P(
    All, EdnErrors,
    testing::Values(
        Malformed{"{:process 0", "h.edn:1:1: not closed"},
        Malformed{"\n  [1 2", "h.edn:2:4: an event is a map"},
        Malformed{"[{:process 0, :type :invoke, :f :get}", "h.edn:1:38: the history's vector"},
        Malformed{"{:process 0 :type}", "h.edn:1:1: a map needs a value"},
        Malformed{"{:type :invoke, :f :get}", "h.edn:1:1: an event needs :process"},
        Malformed{"{:process 0, :f :get}", "h.edn:1:1: an event needs :type"},
        Malformed{"{:process -1, :type :invoke, :f :get}", "h.edn:1:11: :process must be"},
        Malformed{"{:process 0, :type :begin, :f :get}", "h.edn:1:20: :type must be"},
        Malformed{"{:process 0, :type :invoke, :f :frob}",
                  "h.edn:1:32: the model has no operation :frob; it has "},
        Malformed{"{:process 0, :type :invoke, :f :enqueue, :value 1}",
                  "h.edn:1:32: the model has no operation :enqueue; it has :"},
        Malformed{"{:process 0, :type :ok, :f :get, :value 1}",
                  "h.edn:1:1: process 0 has no operation open"},
        Malformed{"{:process 0, :type :invoke, :f :get}\n{:process 0, :type :invoke, :f :get}",
                  "h.edn:2:1: process 0 has an operation open already"},
        Malformed{
            "{:process 0, :type :invoke, :f :get}\n{:process 0, :type :ok, :f :put, :value 1}",
            "h.edn:2:28: completes another operation"},
        Malformed{"{:process 0, :type :invoke, :f :get, :key 1}\n"
                  "{:process 0, :type :ok, :f :get, :key 2, :value 1}",
                  "h.edn:2:49: completes an operation on another key"},
        Malformed{"{:process 0, :type :invoke, :f :get, :time 5}\n"
                  "{:process 0, :type :ok, :f :get, :value 1, :time 4}",
                  "h.edn:2:50: the time is before"},
        Malformed{"{:process 0, :type :invoke, :f :get, :index 5}\n"
                  "{:process 0, :type :ok, :f :get, :value 1, :index 5}",
                  "h.edn:2:51: the index is not greater"},
        Malformed{"{:process 0, :type :invoke, :f :compare-and-swap, :key 1, :value 4}",
                  "h.edn:1:66: :compare-and-swap needs a :value of two"},
        Malformed{"{:process 0, :type :invoke, :f :compare-and-swap, :key 1, :value [:a 4]}",
                  "h.edn:1:67: a version must be"},
        Malformed{"{:process 0, :type :invoke, :f :get, :process 1}",
                  "h.edn:1:38: the key is there twice"},
        Malformed{"{:process 0, :type :invoke, :f :get, :key \"a}",
                  "h.edn:1:43: the string is not closed"},
        Malformed{"{:process 0, :type :invoke, :f :get, :key 1x}", "h.edn:1:43: not a number"},
        Malformed{"]", "h.edn:1:1: closes what was not opened"}));

TEST(Edn, WhatIsWrittenIsReadAgain) {
  Operation put{};
  put.invoke = 10;
  put.finish = 20;
  put.function = Function::kCompareAndSwap;
  put.outcome = Outcome::kFail;
  put.key = 3;
  put.argument = 9;
  put.expected = 4;
  put.result_version = 5;
  Operation erase{};
  erase.process = 0;
  erase.invoke = 20;  // at the time at which the first one finished
  erase.finish = 30;
  erase.function = Function::kErase;
  erase.outcome = Outcome::kCrashed;
  erase.key = 3;
  std::string text = WriteEdn(std::vector<Operation>{put, erase}, {});
  auto history = Read(text);
  ASSERT_TRUE(history.ok()) << history.status() << text;
  ASSERT_EQ(history->operations.size(), 2u);
  EXPECT_EQ(history->operations[0].outcome, Outcome::kFail);
  EXPECT_EQ(history->operations[0].expected, 4u);
  EXPECT_EQ(history->operations[0].result_version, 5u);
  EXPECT_EQ(history->operations[1].outcome, Outcome::kCrashed);
  EXPECT_EQ(history->naming().Nanoseconds(history->operations[1].finish), 30u);
}

}  // namespace
}  // namespace kill9

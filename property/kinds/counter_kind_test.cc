// A second kind of object joins the testbed: by its contract, its driver, its model and one line
// (property/kinds/counter/counter_kind.h).
#include "property/kinds/counter/counter_kind.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/checker/models/objects/counter.h"
#include "harness/edn/edn.h"
#include "harness/result/result.h"
#include "harness/torture/torture.h"
#include "property/kinds/report_of.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr uint64_t kKills = 60;

class CounterKindTest : public testing::Test {
 protected:
  // Once, before any list is asked for.
  static void SetUpTestSuite() {
    if (FindDesign("atomic_counter") == nullptr) {
      ASSERT_TRUE(RegisterOwn(CounterKind()).ok());
    }
  }

  // Ends by kills, far within its seconds.
  static TortureResult Run(std::string_view design, std::string_view scenario,
                           uint64_t kills = kKills) {
    TortureOptions options;
    options.seed = 7;
    options.supervisor.processes = 3;
    options.supervisor.seconds = 600;
    options.supervisor.kills = kills;
    return RunTorture(*FindDesign(design), *FindScenario(scenario), options,
                      [](const TortureProgress&) { return true; });
  }
};

TEST_F(CounterKindTest, IsListedAndIsNoStore) {
  ASSERT_NE(FindDesign("atomic_counter"), nullptr);
  EXPECT_EQ(FindDesign("atomic_counter")->kind(), "counter");
  EXPECT_EQ(FindVariant("atomic_counter"), nullptr);
  EXPECT_NE(FindDesign("global_mutex"), nullptr);
  EXPECT_NE(FindModel("tally"), nullptr);
  EXPECT_NE(FindTortureDriver("counter"), nullptr);
}

TEST_F(CounterKindTest, CannotBeAddedTwice) {
  const absl::Status again = RegisterOwn(CounterKind());
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists) << again;
  EXPECT_EQ(AddDesigns(CounterKind().designs).code(), absl::StatusCode::kAlreadyExists);
  const auto named = [](const Design* design) { return design->name() == "atomic_counter"; };
  EXPECT_EQ(std::count_if(AllDesigns().begin(), AllDesigns().end(), named), 1);
}

TEST_F(CounterKindTest, PassesEachScenarioWhereItIsRight) {
  for (const Scenario& scenario : FindTortureDriver("counter")->scenarios()) {
    // Where only who attaches recovers, an audit seldom finds a dead participant.
    const uint64_t kills = scenario.full_table ? 10 * kKills : kKills;
    const TortureResult result = Run("atomic_counter", scenario.name, kills);
    if (result.verdict == Verdict::kSkipped) {
      // What is never full; and what this machine may forbid.
      EXPECT_TRUE(scenario.name == "full_segment" || scenario.name == "pid_reuse")
          << scenario.name << ": " << result.reason;
      continue;
    }
    EXPECT_EQ(VerdictName(result.verdict), "pass") << scenario.name << ": " << result.reason;
    EXPECT_EQ(result.run["condition"], "strict") << scenario.name;
    const uint64_t least = scenario.nobody_dies ? 0 : 1;
    EXPECT_GE(result.run["kills"]["total"].get<uint64_t>(), least * kills) << scenario.name;
    EXPECT_GE(result.run["kills"]["in_operation"].get<uint64_t>(), least) << scenario.name;
    EXPECT_GT(result.run["additions"].get<uint64_t>(), 0u) << scenario.name;
    EXPECT_FALSE(result.run.contains("lost_writes")) << "a counter has no such thing";
  }
}

TEST_F(CounterKindTest, IsFoundToForgetTheDead) {
  const TortureResult result = Run("forgetful_counter", "steady", /*kills=*/100'000);
  EXPECT_EQ(VerdictName(result.verdict), "violation") << result.reason;
  EXPECT_GT(result.run["kills"]["total"].get<uint64_t>(), 0u) << "it is right while nobody dies";
  // The checker's finding, not the client's: by the counter's own model.
  ASSERT_TRUE(result.run.contains("counterexample")) << result.reason;
  const std::string shown = result.run["counterexample"];
  EXPECT_THAT(shown, HasSubstr("tally"));
  // Whose place is missing depends on how the calls overlapped: a read's, or an addition's.
  EXPECT_THAT(shown, ContainsRegex("no place is left for: [0-9]+ [(](read|add 1) -> "));
}

TEST_F(CounterKindTest, IsNotPutThroughAStoresScenario) {
  const TortureResult result = Run("atomic_counter", "hot_key");
  EXPECT_EQ(VerdictName(result.verdict), "skipped");
  EXPECT_THAT(result.reason, HasSubstr("a counter has no such scenario"));
}

TEST_F(CounterKindTest, HasWorkloadsOfItsOwn) {
  TortureOptions options;
  options.supervisor.seconds = 600;
  options.supervisor.kills = 10;
  options.workload = "mostly-reads";
  const auto go_on = [](const TortureProgress&) { return true; };
  const TortureResult known =
      RunTorture(*FindDesign("atomic_counter"), *FindScenario("steady"), options, go_on);
  EXPECT_EQ(VerdictName(known.verdict), "pass") << known.reason;
  EXPECT_THAT(known.run["repeat"].get<std::string>(), HasSubstr("--workload=mostly-reads"));
  options.workload = "ycsb-a";
  const TortureResult unknown =
      RunTorture(*FindDesign("atomic_counter"), *FindScenario("steady"), options, go_on);
  EXPECT_EQ(VerdictName(unknown.verdict), "undecided");
  EXPECT_THAT(unknown.reason, HasSubstr("a counter has no workload 'ycsb-a'"));
}

TEST_F(CounterKindTest, IsInTheReport) {
  Json file = NewResult("torture", 7);
  file["runs"].push_back(Run("atomic_counter", "steady").run);
  file["runs"].push_back(Run("forgetful_counter", "steady", /*kills=*/100'000).run);
  const std::string text = ReportOf(file);
  EXPECT_THAT(text, HasSubstr("| atomic\\_counter | pass "));
  EXPECT_THAT(text, HasSubstr("| forgetful\\_counter | [**violation "));
  EXPECT_THAT(text, HasSubstr("is not strict linearizable (model tally)"));
}

// ---- The model ----------------------------------------------------------------------------------

Operation Make(uint32_t process, Function function, uint64_t number, uint64_t invoke,
               uint64_t finish, Outcome outcome = Outcome::kOk) {
  Operation operation{};
  operation.process = process;
  operation.function = function;
  (function == Function::kAdd ? operation.argument : operation.result) = number;
  operation.invoke = invoke;
  operation.finish = finish;
  operation.outcome = outcome;
  return operation;
}

CheckOutcome Check(const std::vector<Operation>& history,
                   Condition condition = Condition::kStrict) {
  absl::StatusOr<CheckOutcome> outcome =
      CheckHistory(*FindModel("counter"), history, {.condition = condition, .threads = 1});
  if (!outcome.ok()) {
    ADD_FAILURE() << outcome.status();
    return {};
  }
  return *std::move(outcome);
}

TEST_F(CounterKindTest, ModelCountsCrashedAdditionsBeforeTheDeathOrNever) {
  const auto add = [](uint32_t process, uint64_t invoke, uint64_t finish,
                      Outcome outcome = Outcome::kOk) {
    return Make(process, Function::kAdd, 1, invoke, finish, outcome);
  };
  const auto read = [](uint64_t sum, uint64_t invoke, uint64_t finish) {
    return Make(9, Function::kRead, sum, invoke, finish);
  };
  EXPECT_EQ(Check({read(0, 1, 2), add(1, 3, 4), read(1, 5, 6)}).verdict, Verdict::kPass);
  EXPECT_EQ(Check({add(1, 3, 4), read(0, 5, 6)}).verdict, Verdict::kViolation);  // lost
  EXPECT_EQ(Check({add(1, 3, 6), read(0, 4, 5)}).verdict, Verdict::kPass);       // overlaps
  for (const uint64_t sum : {0, 1}) {
    EXPECT_EQ(Check({add(1, 3, 4, Outcome::kCrashed), read(sum, 5, 6)}).verdict, Verdict::kPass);
  }
  // Counted, and then not.
  EXPECT_EQ(Check({add(1, 3, 4, Outcome::kCrashed), read(1, 5, 6), read(0, 7, 8)}).verdict,
            Verdict::kViolation);
  // After the death is too late for the strict condition, and not for a weaker one.
  const std::vector<Operation> late = {add(1, 3, 4, Outcome::kCrashed), read(0, 5, 6),
                                       read(1, 7, 8)};
  EXPECT_EQ(Check(late).verdict, Verdict::kViolation);
  EXPECT_EQ(Check(late, Condition::kPending).verdict, Verdict::kPass);
}

TEST_F(CounterKindTest, CounterexampleKeepsTheAdditionsThatItNeeds) {
  std::vector<Operation> history;
  for (uint64_t i = 0; i < 8; ++i) {
    history.push_back(Make(1, Function::kAdd, 1, 10 * i + 1, 10 * i + 2));
    history.push_back(Make(2, Function::kRead, i + 1, 10 * i + 3, 10 * i + 4));
  }
  history.push_back(Make(2, Function::kRead, 7, 100, 101));  // one was lost
  const CheckOutcome outcome = Check(history);
  ASSERT_EQ(outcome.verdict, Verdict::kViolation);
  ASSERT_TRUE(outcome.counterexample.has_value());
  // It is a violation by itself.
  EXPECT_EQ(Check(outcome.counterexample->operations).verdict, Verdict::kViolation);
  const auto adds = [](const Operation& one) { return one.function == Function::kAdd; };
  EXPECT_EQ(std::count_if(outcome.counterexample->operations.begin(),
                          outcome.counterexample->operations.end(), adds),
            8);
}

TEST_F(CounterKindTest, HistoryIsWrittenAndReadAsEdn) {
  const std::vector<Operation> history = {
      Make(1, Function::kAdd, 1, 10, 20), Make(2, Function::kRead, 1, 30, 40),
      Make(1, Function::kAdd, 1, 50, 60, Outcome::kCrashed), Make(2, Function::kRead, 0, 70, 80)};
  const std::string text = WriteEdn(history, {});
  EXPECT_THAT(text, HasSubstr(":f :add, :key 0, :value 1"));
  absl::StatusOr<EdnHistory> read = ReadEdn(text, "counter", CounterModel::Accepts);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->operations.size(), history.size());
  for (size_t i = 0; i < history.size(); ++i) {
    EXPECT_EQ(read->operations[i].function, history[i].function);
    EXPECT_EQ(read->operations[i].argument, history[i].argument);
    EXPECT_EQ(read->operations[i].result, history[i].result);
    EXPECT_EQ(read->operations[i].outcome, history[i].outcome);
  }
  EXPECT_EQ(Check(read->operations).verdict, Verdict::kViolation);
}

}  // namespace
}  // namespace kill9

// The gate's parts that need no command: samples, what contradicts itself, and the forms.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/gate/gate.h"
#include "harness/gate/plan/needed_seconds.h"
#include "harness/gate/plan/pass_history.h"
#include "harness/gate/plan/plan.h"
#include "harness/gate/report.h"
#include "harness/gate/run/step_result.h"
#include "variants/registry.h"

namespace kill9::gate {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

GateStep Named(const std::string& variant, const std::string& name) {
  return {.tier = Tier::kPlanted, .variant = variant, .name = name};
}

std::vector<std::string> NamesOf(const std::vector<GateStep>& steps) {
  std::vector<std::string> names;
  for (const GateStep& step : steps) names.push_back(step.name);
  return names;
}

class ResultFile : public ::testing::Test {
 protected:
  // What is read from a result file of this text, after this exit code.
  std::vector<StepResult> ReadText(const std::string& text, int exit_code) {
    GateStep step = Named("v", "n");
    step.tier = Tier::kTorture;
    step.result_file = testing::TempDir() + "/result.json";
    std::ofstream(step.result_file) << text;
    return Read(step, {.ending = ExitReason::kByItself, .status = exit_code << 8, .begun = true});
  }
};

TEST(GateMemory, PutsFirstWhatPassedLongestAgo) {
  PassHistory memory;
  memory.Passed(Named("v", "a"), 30);
  memory.Passed(Named("v", "b"), 10);
  memory.Passed(Named("v", "c"), 20);
  std::vector<GateStep> steps = {Named("v", "a"), Named("v", "b"), Named("v", "never"),
                                 Named("v", "c")};
  memory.Order(steps, 1);
  EXPECT_THAT(NamesOf(steps), ElementsAre("never", "b", "c", "a"));
}

TEST(GateMemory, DrawsAmongEqualsByTheSeed) {
  const PassHistory memory;
  std::vector<std::vector<std::string>> orders;
  for (const uint64_t seed : {1, 1, 2, 3, 4}) {
    std::vector<GateStep> steps;
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) steps.push_back(Named("v", name));
    memory.Order(steps, seed);
    orders.push_back(NamesOf(steps));
  }
  EXPECT_EQ(orders[0], orders[1]);
  EXPECT_FALSE(orders[1] == orders[2] && orders[2] == orders[3] && orders[3] == orders[4]);
}

TEST(GateMemory, SurvivesInItsFile) {
  const std::string path = testing::TempDir() + "/memory.json";
  PassHistory memory;
  memory.Passed(Named("v", "a"), 5);
  ASSERT_TRUE(memory.Save(path).ok());
  absl::StatusOr<PassHistory> again = PassHistory::Load(path);
  ASSERT_TRUE(again.ok());
  std::vector<GateStep> steps = {Named("v", "a"), Named("v", "b")};
  again->Order(steps, 1);
  EXPECT_THAT(NamesOf(steps), ElementsAre("b", "a"));
  std::ofstream(path) << "{}";
  EXPECT_FALSE(PassHistory::Load(path).ok());
}

TEST(GateMemory, GivesEachVariantItsShareFirst) {
  const std::vector<GateStep> steps = {Named("v", "v1"), Named("v", "v2"), Named("v", "v3"),
                                       Named("w", "w1")};
  EXPECT_THAT(NamesOf(FairShare(steps, 2)), ElementsAre("v1", "w1"));
  EXPECT_THAT(NamesOf(FairShare(steps, 3)), ElementsAre("v1", "w1", "v2"));
}

TEST_F(ResultFile, GivesItsVerdicts) {
  const auto answers = ReadText(R"({"runs": [{"verdict": "pass"}]})", 0);
  ASSERT_EQ(answers.size(), 1);
  EXPECT_EQ(answers[0].verdict, Verdict::kPass);
}

TEST_F(ResultFile, ThatContradictsItsExitCodeIsUndecided) {
  const auto answers = ReadText(R"({"runs": [{"verdict": "pass"}]})", 1);
  ASSERT_EQ(answers.size(), 2);
  EXPECT_EQ(answers[1].verdict, Verdict::kUndecided);
  EXPECT_THAT(answers[1].reason, HasSubstr("contradicts"));
}

TEST_F(ResultFile, WithoutRunsOrOfAnotherKindIsUndecided) {
  for (const char* text : {"", "nonsense", "[]", R"({"runs": []})", R"({"runs": [3]})",
                           R"({"runs": [{"verdict": "fine"}]})", R"({"runs": [{"verdict": 7}]})"}) {
    for (const StepResult& answer : ReadText(text, 0)) {
      EXPECT_EQ(answer.verdict, Verdict::kUndecided) << text;
      EXPECT_FALSE(answer.reason.empty()) << text;
    }
  }
}

TEST_F(ResultFile, OfASweepTellsTheLine) {
  const auto answers = ReadText(
      R"({"runs": [{"verdict": "leak", "repeat": "kill9 sweep --at=3", "counterexample":
          {"message": "lost", "place": "`mov` in Put at variants/x/y.cc:17"}}]})",
      1);
  ASSERT_EQ(answers.size(), 1);
  EXPECT_EQ(answers[0].file, "variants/x/y.cc");
  EXPECT_EQ(answers[0].line, 17);
  EXPECT_EQ(answers[0].repeat, "kill9 sweep --at=3");
}

StepResult Failed() {
  StepResult answer;
  answer.tier = Tier::kSweep;
  answer.variant = "v";
  answer.name = "put, same";
  answer.verdict = Verdict::kLeak;
  answer.reason = "50% lost\nand <more>\x01";
  answer.file = "a.cc";
  answer.line = 3;
  return answer;
}

TEST(GatePlan, LeavesWhatRunsWriteInTheGatesOwnFolder) {
  GateOptions options;
  options.designs = {FindDesign("global_mutex")};
  options.output = "here";
  const volatile std::sig_atomic_t never = 0;
  ProcessPool pool(&never);
  Planner planner(options, pool, 0);
  for (const Tier tier : {Tier::kTorture, Tier::kBaselines}) {
    const absl::StatusOr<std::vector<GateStep>> steps = planner.Plan(tier);
    ASSERT_TRUE(steps.ok() && !steps->empty());
    for (const GateStep& step : *steps) {
      if (step.command[1] != "torture") continue;  // a sweep writes none
      EXPECT_THAT(step.command, Contains("--counterexamples=here/logs")) << step.Id();
    }
  }
}

// What random kills may miss for hours is no work for them.
TEST(GatePlan, TakesForEachBaselineWhatShowsItSurely) {
  GateOptions options;
  options.budget_seconds = 1;
  const volatile std::sig_atomic_t never = 0;
  ProcessPool pool(&never);
  Planner planner(options, pool, 0);
  const absl::StatusOr<std::vector<GateStep>> steps = planner.Plan(Tier::kBaselines);
  ASSERT_TRUE(steps.ok());
  size_t swept = 0;
  for (const GateStep& step : *steps) {
    const std::string shown_by(FindDesign(step.variant)->shown_by());
    ASSERT_EQ(step.command[1], shown_by.substr(0, shown_by.find(' '))) << step.Id();
    if (step.command[1] == "sweep") ++swept;
    if (step.command[1] == "torture") {
      EXPECT_THAT(step.command, Contains("--kills=20000")) << step.Id();
    }
    EXPECT_EQ(step.expected, FindDesign(step.variant)->expected_verdict());
  }
  EXPECT_GE(swept, 2);
  EXPECT_EQ(FindDesign("owner_pid_mutex")->shown_by().substr(0, 6), "sweep ");
}

TEST(GatePlan, BoundsByKillsWhatIsToBeBoundedByWork) {
  GateOptions options;
  options.budget_seconds = std::numeric_limits<double>::infinity();
  options.kills = 70;
  options.cells = 3;
  options.designs = {FindDesign("global_mutex")};
  const volatile std::sig_atomic_t never = 0;
  ProcessPool pool(&never);
  Planner planner(options, pool, 0);
  GateStep torture = Named("global_mutex", "steady");
  torture.tier = Tier::kTorture;
  planner.SetWork(torture, 280);
  EXPECT_THAT(torture.command, Contains("--kills=280"));
  GateStep sweep = Named("global_mutex", "sample");
  sweep.tier = Tier::kSweep;
  planner.SetWork(sweep, 280);
  EXPECT_THAT(sweep.command, ElementsAre("--cells=3"));
  GateStep explore = Named("global_mutex", "pairs");
  explore.tier = Tier::kExplore;
  planner.SetWork(explore, 280);
  EXPECT_THAT(explore.command, ElementsAre("--schedules=2800", "--budget=1000000"));
}

// Answers of one tier: some that ended after so many seconds, some that lacked time.
StepResult Ended(Tier tier, double seconds) {
  StepResult answer;
  answer.tier = tier;
  answer.verdict = Verdict::kPass;
  answer.seconds = seconds;
  return answer;
}
StepResult CutOff(Tier tier, double seconds) {
  StepResult answer = Ended(tier, seconds);
  answer.verdict = Verdict::kUndecided;
  answer.lacked_time = true;
  return answer;
}

TEST(GateNeededSeconds, AreNoneWhereNothingLackedTime) {
  EXPECT_EQ(NeededSeconds({Ended(Tier::kTorture, 5), Failed()}, 40, 2), 0);
}

TEST(GateNeededSeconds, FollowFromWhatTheOthersOfTheTierTook) {
  // 40 s, and three more of 10 s each, one of which has had 4 already.
  const std::vector<StepResult> answers = {Ended(Tier::kTorture, 12), Ended(Tier::kTorture, 8),
                                           CutOff(Tier::kTorture, 4), CutOff(Tier::kTorture, 0),
                                           CutOff(Tier::kTorture, 0)};
  EXPECT_EQ(NeededSeconds(answers, 40, 2), 90);  // 1.25 * 66, in tens
}

TEST(GateNeededSeconds, CountTestsSideBySide) {
  std::vector<StepResult> answers = {Ended(Tier::kProperty, 10)};
  for (int n = 0; n < 8; ++n) answers.push_back(CutOff(Tier::kProperty, 0));
  EXPECT_EQ(NeededSeconds(answers, 10, 1), 120);
  EXPECT_EQ(NeededSeconds(answers, 10, 4), 40);
}

TEST(GateNeededSeconds, GrowForWhatHasRunLongerThanAllOthers) {
  EXPECT_EQ(NeededSeconds({Ended(Tier::kSweep, 1), CutOff(Tier::kSweep, 100)}, 101, 2), 260);
}

TEST(GateConclusion, TellsWrongFromSlow) {
  GateResult result{.answers = {CutOff(Tier::kSweep, 3), CutOff(Tier::kSweep, 3)},
                    .exit_code = 3,
                    .needed_seconds = 120};
  EXPECT_EQ(Conclusion(result),
            "the gate is closed: 0 wrong, 2 undecided: this machine needs --budget=120");
  result.answers.push_back(Failed());
  result.exit_code = 1;
  EXPECT_THAT(Conclusion(result), HasSubstr("1 wrong, 2 undecided"));
  EXPECT_EQ(Conclusion({.answers = {}, .exit_code = 3}), "the gate is closed: nothing passed");
  EXPECT_EQ(Conclusion({}), "the gate is open: pass");
}

TEST_F(ResultFile, ThatWasCutOffLackedTimeAndOneThatIsMissingDidNot) {
  const GateStep step = Named("v", "n");
  for (const ExitReason ending : {ExitReason::kOutOfBudget, ExitReason::kOutOfLimit}) {
    EXPECT_TRUE(Read(step, {.ending = ending, .begun = true})[0].lacked_time);
  }
  EXPECT_FALSE(ReadText("", 0)[0].lacked_time);
}

TEST(GateStep, ThatCannotRunHereIsSkippedWithItsReason) {
  GateStep step = Named("v", "n");
  step.skipped = "ptrace is forbidden";
  const std::vector<StepResult> answers = Read(step, {});
  ASSERT_EQ(answers.size(), 1);
  EXPECT_EQ(answers[0].verdict, Verdict::kSkipped);
  EXPECT_EQ(answers[0].reason, "ptrace is forbidden");
  EXPECT_FALSE(answers[0].lacked_time);
}

// Too few kills prove nothing: here fewer than 1,600, for each of a design's scenarios.
TEST(GateByWork, TriesAgainWithMoreKillsWhatProvedNothing) {
  const std::string folder = testing::TempDir() + "/by_work_" + std::to_string(getpid());
  std::filesystem::create_directories(folder + "/logs");
  GateOptions options;
  options.budget_seconds = std::numeric_limits<double>::infinity();
  options.kills = 100;
  options.designs = {FindDesign("global_mutex")};
  options.tiers = {Tier::kTorture};
  options.output = folder;
  options.memory = folder + "/memory.json";
  options.program = folder + "/kill9";
  std::ofstream(options.program) << R"(#!/bin/sh
for word; do case "$word" in --json=*) out=${word#--json=};; esac; done
verdict=vacuous; code=3
case "$*" in *--kills=1600*) verdict=pass; code=0;; esac
echo "{\"runs\": [{\"verdict\": \"$verdict\"}]}" > "$out"
exit $code
)";
  std::filesystem::permissions(options.program, std::filesystem::perms::owner_all);
  const volatile std::sig_atomic_t never = 0;
  for (const uint64_t kills : {100, 99}) {
    options.kills = kills;
    const absl::StatusOr<GateResult> result = Gate(options, &never, [](const StepResult&) {}).Run();
    ASSERT_TRUE(result.ok());
    EXPECT_GE(result->answers.size(), 10);
    EXPECT_EQ(result->exit_code, kills == 100 ? kExitPass : kExitUndecided);
    EXPECT_EQ(result->needed_seconds, 0);
  }
  std::filesystem::remove_all(folder);
}

// What was answered is not lost with what was to be remembered.
TEST(GateMemory, ThatCannotBeWrittenIsToldBesideTheAnswers) {
  GateOptions options;
  options.tiers = {Tier::kTorture};  // of no design
  options.memory = absl::StrCat(testing::TempDir(), "/no such folder/memory.json");
  const volatile std::sig_atomic_t never = 0;
  const absl::StatusOr<GateResult> result = Gate(options, &never, [](const StepResult&) {}).Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(std::string(result->remembered.message()), HasSubstr("No such file"));
}

// Without shards nothing is dealt out: where there is no work, nothing passed. That is an answer.
TEST(GateWithoutShards, ThatHasNothingToDoIsClosed) {
  GateOptions options;
  options.tiers = {Tier::kTorture};  // of no design
  options.memory = absl::StrCat(testing::TempDir(), "/nothing_", getpid(), ".json");
  const volatile std::sig_atomic_t never = 0;
  const absl::StatusOr<GateResult> result = Gate(options, &never, [](const StepResult&) {}).Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->answers.empty());
  EXPECT_EQ(result->exit_code, kExitUndecided);
  EXPECT_EQ(Conclusion(*result), "the gate is closed: nothing passed");
  options.shard = {1, 2};
  EXPECT_FALSE(Gate(options, &never, [](const StepResult&) {}).Run().ok());
  std::filesystem::remove(options.memory);
}

// What is not built is skipped with its reason. Stores and channels are explored.
TEST(GateOfExplore, IsSkippedWhereItIsNotBuilt) {
  const std::string folder = testing::TempDir() + "/explore_" + std::to_string(getpid());
  std::filesystem::create_directories(folder + "/logs");
  GateOptions options;
  options.designs = {FindDesign("global_mutex"), FindDesign("slot_ring")};
  options.tiers = {Tier::kExplore};
  options.output = folder;
  options.memory = folder + "/memory.json";
  options.program = folder + "/kill9";
  const volatile std::sig_atomic_t never = 0;
  const absl::StatusOr<GateResult> result = Gate(options, &never, [](const StepResult&) {}).Run();
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->answers.size(), 1);
  EXPECT_EQ(result->answers[0].verdict, Verdict::kSkipped);
  EXPECT_THAT(result->answers[0].reason, HasSubstr("there is no " + folder + "/kill9-explore"));
  // Nothing passed.
  EXPECT_EQ(result->exit_code, kExitUndecided);

  std::ofstream(folder + "/kill9-explore") << "#!/bin/sh\n";
  std::filesystem::permissions(folder + "/kill9-explore", std::filesystem::perms::owner_all);
  ProcessPool pool(&never);
  Planner planner(options, pool, 0);
  absl::StatusOr<std::vector<GateStep>> steps = planner.Plan(Tier::kExplore);
  ASSERT_TRUE(steps.ok()) << steps.status();
  ASSERT_THAT(NamesOf(*steps), ElementsAre("pairs", "wider", "drawn", "pairs", "wider", "drawn"));
  EXPECT_EQ((*steps)[2].variant, "global_mutex");
  EXPECT_EQ((*steps)[3].variant, "slot_ring");
  EXPECT_THAT((*steps)[2].command, Contains("--scenario=drawn"));
  EXPECT_THAT((*steps)[1].command, Contains("--scenario=wider"));
  // What cannot be exhausted takes no more than a share that is the same whatever the others need.
  EXPECT_EQ(Planner::ShareOf((*steps)[0]), 3 * Planner::ShareOf((*steps)[1]));
  EXPECT_EQ(Planner::ShareOf((*steps)[1]), Planner::ShareOf((*steps)[2]));
  // A campaign knows scenes, and the gate its three steps.
  for (const GateStep& step : *steps) {
    EXPECT_THAT(step.command, Contains("--jobs=1"));
    const std::string scene = step.name == "pairs"   ? "send+receive"
                              : step.name == "wider" ? "send+receive@closed"
                                                     : "send+receive@closed@drawn7";
    EXPECT_EQ(StepOf("explore", step.variant, scene).Id(), step.Id());
  }
  EXPECT_EQ(StepOf("explore", "slot_ring", "send+receive+take").Id(), (*steps)[4].Id());
  planner.SetSeconds(steps->front(), 4);
  EXPECT_THAT(steps->front().command, Contains("--variant=global_mutex"));
  EXPECT_THAT(steps->front().command, Contains("--seconds=4.00"));
  EXPECT_THAT(steps->front().command, Contains("--budget=0.500"));
  // Scenes that cannot be exhausted end, however much time there is.
  planner.SetSeconds((*steps)[1], 4000);
  EXPECT_THAT((*steps)[1].command, Contains("--budget=2.000"));

  // One that is there, and does not know the design.
  std::ofstream(folder + "/kill9-explore") << "#!/bin/sh\nexit 2\n";
  const absl::StatusOr<GateResult> unknown = Gate(options, &never, [](const StepResult&) {}).Run();
  ASSERT_TRUE(unknown.ok());
  ASSERT_EQ(unknown->answers.size(), 2);
  for (const StepResult& answer : unknown->answers) {
    EXPECT_EQ(answer.verdict, Verdict::kSkipped);
    EXPECT_THAT(answer.reason, HasSubstr("does not explore it"));
  }
  std::filesystem::remove_all(folder);
}

// Who dies in its midst leaves what it has in shared memory.
TEST(GatePool, WhatATestLeavesInSharedMemoryGoesWithIt) {
  const pid_t may_mount = fork();
  if (may_mount == 0) _exit(unshare(CLONE_NEWNS));
  int cannot = 0;
  waitpid(may_mount, &cannot, 0);
  if (cannot != 0) GTEST_SKIP() << "this user has no mounts of its own";
  const std::string name = absl::StrCat("/dev/shm/kill9-left-", getpid());
  GateStep step = Named("v", "n");
  step.log_file = testing::TempDir() + "/left.log";
  step.command = {"sh", "-c", absl::StrCat("echo >", name, " && ls ", name, " && kill -9 $$")};
  const volatile std::sig_atomic_t never = 0;
  for (const bool has_own : {true, false}) {
    step.has_own_memory = has_own;
    ProcessPool(&never).Run(
        {step}, 1, std::numeric_limits<double>::infinity(),
        [](const GateStep&, const Outcome& outcome) { EXPECT_EQ(outcome.status, SIGKILL); });
    std::ifstream log(step.log_file);
    EXPECT_THAT(std::string(std::istreambuf_iterator<char>(log), {}), HasSubstr(name));
    EXPECT_EQ(std::filesystem::remove(name), !has_own);
  }
}

// Of one that leaves a file (property/test_main.cc).
TEST(GateTests, LeaveNothingInTheFolderOfTemporaryFiles) {
  const std::string folder = testing::TempDir() + "/of_tests";
  std::filesystem::create_directory(folder);
  const pid_t child = fork();
  if (child == 0) {
    setenv("TEST_TMPDIR", folder.c_str(), 1);
    execl("/proc/self/exe", "gate_parts_test", "--gtest_brief=1",
          "--gtest_filter=GateReport.WritesJunitThatCanBeRead", nullptr);
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(GateReport, EscapesAnnotations) {
  EXPECT_EQ(GithubAnnotation(Failed()),
            "::error file=a.cc,line=3,title=kill9 sweep%3A v put%2C same%3A leak::50%25 lost%0Aand "
            "<more>?");
  EXPECT_EQ(GithubAnnotation([] {
              StepResult answer = Failed();
              answer.verdict = Verdict::kPass;
              return answer;
            }()),
            "");
}

TEST(GateReport, WritesJunitThatCanBeRead) {
  const std::string path = testing::TempDir() + "/junit.xml";
  ASSERT_TRUE(WriteJunit({Failed()}, path).ok());
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("<testsuite name=\"sweep\" tests=\"1\" failures=\"1\""));
  EXPECT_THAT(text, HasSubstr("type=\"leak\""));
  EXPECT_THAT(text, HasSubstr("and &lt;more&gt;?"));
  EXPECT_FALSE(WriteJunit({}, "/nonexistent/junit.xml").ok());
}

}  // namespace
}  // namespace kill9::gate

// kill9 gate from outside: it is closed by everything that must close it. Programs that fail, crash
// and hang are scripts here, given to the gate as its tests and planted bugs.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"
#include "property/scaffold/eventually.h"

namespace kill9 {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// Script fragments. GoogleTest's are asked for their list first.
constexpr char kTests[] = R"(case "$1" in --gtest_list_tests)
printf 'Suite.\n  Test\n'; exit 0;; esac
for word; do case "$word" in --gtest_output=json:*) out=${word#--gtest_output=json:};; esac; done
)";
constexpr char kResult[] =
    R"(for word; do case "$word" in --json=*) out=${word#--json=};; esac; done
)";

std::string Writes(const std::string& verdict, int exit_code) {
  return std::string(kResult) + "echo '{\"schema\": \"kill9/1\", \"runs\": [{\"verdict\": \"" +
         verdict + "\"}]}' > \"$out\"\nexit " + std::to_string(exit_code) + "\n";
}

class GateCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/gate_" + std::to_string(getpid()) + "_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_ + "/tests");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Script(const std::string& name, const std::string& body) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << body;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  // A manifest of one planted bug of global_mutex, caught as `verdict` by what `body` does.
  void Plant(const std::string& verdict, bool control, const std::string& body) {
    bugs_.push_back({{"name", "bug_" + std::to_string(bugs_.size())},
                     {"variant", "global_mutex"},
                     {"control", control},
                     {"tiers", {"sweep"}},
                     {"verdicts", {verdict}},
                     {"budget_s", 1},
                     {"command", Script("bug_" + std::to_string(bugs_.size()), body)},
                     {"sweep", "--operation=put_same"},
                     {"patch", "property/planted/global_mutex/bug.patch"},
                     {"target", "planted_bug"}});
    std::ofstream(folder_ + "/manifest.json") << bugs_.dump();
  }

  std::string CommandFor(const std::string& arguments) const {
    return std::string(KILL9_COMMAND) + " gate --output=" + folder_ + "/out --tests=" + folder_ +
           "/tests --tsan=" + folder_ + "/none --planted=" + folder_ +
           "/manifest.json --junit=" + folder_ + "/junit.xml --json=" + folder_ + "/gate.json " +
           arguments;
  }
  Ended RunGate(const std::string& arguments, const std::string& environment = "GITHUB_ACTIONS=") {
    return RunLine(environment + " " + CommandFor(arguments) + " 2>&1");
  }
  int Run(const std::string& arguments, const std::string& environment = "GITHUB_ACTIONS=") {
    const Ended ended = RunGate(arguments, environment);
    output_ = ended.output;
    return ended.exit_code;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  Json FirstRun() const { return Json::parse(Read("gate.json"))["runs"][0]; }

  std::string folder_;
  std::string output_;
  Json bugs_ = Json::array();
};

TEST_F(GateCommand, BaselineTakenForADesignClosesIt) {
  EXPECT_EQ(Run("--variant=shared_reference_count --tier=torture --kills=300"), 1) << output_;
  EXPECT_THAT(output_, AllOf(HasSubstr("leak"), HasSubstr("the gate is closed: "),
                             HasSubstr(" wrong, 0 undecided")));
  EXPECT_THAT(Read("junit.xml"), HasSubstr("<failure message="));
}

TEST_F(GateCommand, SoundDesignOpensIt) {
  EXPECT_EQ(Run("--variant=global_mutex --tier=torture --kills=60 --seed=3"), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("the gate is open"));
  const Json result = Json::parse(Read("gate.json"));
  EXPECT_EQ(result["kind"], "gate");
  EXPECT_EQ(result["seed"], 3);
  for (const Json& run : result["runs"]) {
    EXPECT_EQ(run["tier"], "torture");
    EXPECT_EQ(run["verdict"], "pass");
    EXPECT_EQ(run["kills"]["total"] >= 60, run["scenario"] != "nobody_dies") << run;
  }
  EXPECT_THAT(Read("junit.xml"), AllOf(HasSubstr("<testsuite name=\"torture\""),
                                       HasSubstr("classname=\"kill9.torture.global_mutex\""),
                                       Not(HasSubstr("<failure"))));
}

// Each baseline by the tier that shows it surely: nothing depends on how many kills fit into a
// time.
TEST_F(GateCommand, EveryBaselineGetsItsVerdictWithoutABoundByTime) {
  EXPECT_EQ(Run("--tier=baselines --kills=100"), 0) << output_;
  EXPECT_GE(Json::parse(Read("gate.json"))["runs"].size(), 6);
}

TEST_F(GateCommand, BugThatIsCaughtAndControlThatPassesOpenIt) {
  Plant("leak", false, Writes("leak", 1));
  Plant("pass", true, Writes("pass", 0));
  EXPECT_EQ(Run("--tier=planted --budget=600"), 0) << output_;
  EXPECT_EQ(Json::parse(Read("gate.json"))["runs"].size(), 2);
}

TEST_F(GateCommand, RunsWhereItsParentIgnoresTheEndOfChildren) {
  Plant("leak", false, Writes("leak", 1));
  const Ended ended = RunLine("timeout 300 env --ignore-signal=CHLD " +
                              CommandFor("--tier=planted --budget=200") + " 2>&1");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
}

// As nohup leaves it: the terminal goes, the gate does not.
TEST_F(GateCommand, IsNotInterruptedByASignalThatItsParentIgnores) {
  Plant("leak", false, "kill -HUP $PPID\n" + Writes("leak", 1));
  const Ended ended = RunLine("timeout 300 env --ignore-signal=HUP " +
                              CommandFor("--tier=planted --budget=200") + " 2>&1");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
}

TEST_F(GateCommand, BugThatIsNotCaughtClosesIt) {
  Plant("leak", false, Writes("pass", 0));
  EXPECT_EQ(Run("--tier=planted --budget=600", "GITHUB_ACTIONS=true"), 1);
  EXPECT_THAT(output_,
              AllOf(HasSubstr("not caught: expected leak, got pass"),
                    HasSubstr("::error file=property/planted/global_mutex/bug.patch,line=1,"
                              "title=kill9 planted%3A global_mutex bug_0%3A violation::")));
}

TEST_F(GateCommand, IsClosedThoughNoneOfItsFilesCanBeWritten) {
  Plant("leak", false, Writes("pass", 0));
  for (const char* file : {"/junit.xml", "/gate.json"}) {
    std::filesystem::create_symlink("/dev/full", folder_ + file);
  }
  EXPECT_EQ(Run("--tier=planted --budget=600"), 1) << output_;
  EXPECT_THAT(output_, AllOf(HasSubstr("junit.xml'"), HasSubstr("gate.json': No space left")));
}

TEST_F(GateCommand, BugThatGetsAnotherVerdictThanItsOwnClosesIt) {
  Plant("leak", false, Writes("stuck", 1));
  EXPECT_EQ(Run("--tier=planted --budget=600"), 1);
  EXPECT_THAT(output_, AllOf(HasSubstr("expected leak, got stuck"), Not(HasSubstr("::error"))));
}

TEST_F(GateCommand, ControlThatFailsClosesIt) {
  Plant("pass", true, Writes("violation", 1));
  EXPECT_EQ(Run("--tier=planted --budget=600"), 1);
  EXPECT_THAT(output_, HasSubstr("a false alarm: expected pass, got violation"));
}

TEST_F(GateCommand, CommandThatCrashesIsNoCatch) {
  Plant("leak", false, "kill -SEGV $$\n");
  EXPECT_EQ(Run("--tier=planted --budget=600"), 1);
  EXPECT_EQ(FirstRun()["verdict"], "survivor_crashed");
}

TEST_F(GateCommand, CommandWithoutAResultIsUndecided) {
  Plant("leak", false, "echo something is wrong with the machine; exit 2\n");
  EXPECT_EQ(Run("--tier=planted --budget=600"), 3);
  EXPECT_THAT(FirstRun()["reason"].get<std::string>(),
              HasSubstr("something is wrong with the machine"));
}

TEST_F(GateCommand, TestThatFailsIsShownAtItsLine) {
  Script("tests/conformance_x_test",
         std::string(kTests) +
             R"(echo '{"testsuites": [{"testsuite": [{"name": "Test", "classname": "Suite",
"status": "RUN", "result": "COMPLETED",
"failures": [{"failure": "/somewhere/property/conformance_x_test.cc:42\\nIt broke."}]}]}]}' > "$out"
exit 1)");
  EXPECT_EQ(Run("--tier=property --budget=600", "GITHUB_ACTIONS=true"), 1);
  EXPECT_THAT(output_, HasSubstr("::error file=property/conformance_x_test.cc,line=42,"));
  EXPECT_EQ(FirstRun()["place"], "property/conformance_x_test.cc:42");
  EXPECT_THAT(Read("junit.xml"), AllOf(HasSubstr("It broke."), HasSubstr("line=\"42\"")));
}

TEST_F(GateCommand, TestsOfEachKindBelongToIt) {
  const std::vector<std::string> tests = {"channel_x_test", "heap_x_test",   "terms_test",
                                          "leases_test",    "buffer_x_test", "robust_mutex_test"};
  for (const std::string& test : tests) {
    Script("tests/" + test, absl::StrCat(kTests, "echo '{\"testsuites\": []}' > \"$out\"\n"));
  }
  EXPECT_EQ(Run("--tier=property --budget=600"), 3);
  for (const std::string& test : tests) EXPECT_THAT(output_, HasSubstr(test));
}

TEST_F(GateCommand, TestThatCrashesClosesIt) {
  Script("tests/conformance_x_test", std::string(kTests) + "echo last words; kill -ABRT $$\n");
  EXPECT_EQ(Run("--tier=property --budget=600"), 1);
  EXPECT_EQ(FirstRun()["verdict"], "survivor_crashed");
  EXPECT_THAT(output_, HasSubstr("last words"));
}

TEST_F(GateCommand, TestThatRunsNothingIsVacuous) {
  Script("tests/conformance_x_test",
         std::string(kTests) + "echo '{\"testsuites\": []}' > \"$out\"\n");
  EXPECT_EQ(Run("--tier=property --budget=600"), 3);
  EXPECT_EQ(FirstRun()["verdict"], "vacuous");
}

TEST_F(GateCommand, WhatHangsIsUndecidedAndKilled) {
  // Deaf to SIGTERM, and so is its child.
  Script("tests/conformance_x_test", std::string(kTests) + "trap '' TERM; sleep 600 & echo $! > " +
                                         folder_ + "/pid; wait; sleep 600\n");
  // On a machine without a CPU for it, the script may not have begun.
  for (int budget = 6; Read("pid").empty() && budget < 1000; budget *= 4) {
    EXPECT_EQ(Run(absl::StrCat("--tier=property --budget=", budget)), 3);
    EXPECT_THAT(output_,
                AllOf(HasSubstr("out of budget: it was still running"),
                      ContainsRegex("0 wrong, 1 undecided: this machine needs --budget=[0-9]+")));
    EXPECT_GT(Json::parse(Read("gate.json"))["needed_budget_seconds"], budget);
  }
  EXPECT_THAT(Read("junit.xml"), HasSubstr("<error message="));
  const pid_t sleeper = std::stoi(Read("pid"));
  EXPECT_EQ(kill(sleeper, 0), -1);
}

TEST_F(GateCommand, EndsAfterTheFirstFailureIfThatIsAsked) {
  for (const char* name : {"tests/conformance_b_test", "tests/conformance_c_test"}) {
    Script(name, std::string(kTests) + "exec sleep 600\n");
  }
  Script("tests/conformance_a_test", std::string(kTests) + "kill -ABRT $$\n");
  Plant("leak", false, Writes("leak", 1));
  EXPECT_EQ(Run("--tier=property,planted --budget=600 --fail-fast"), 1);
  EXPECT_THAT(output_, HasSubstr("1 wrong, 0 undecided; not run after the first failure: 3 "));
  const Json result = Json::parse(Read("gate.json"));
  EXPECT_EQ(result["runs"].size(), 1);
  EXPECT_EQ(result["not_run"], 3);
}

TEST_F(GateCommand, WhatWasNotBegunIsUndecided) {
  Script("tests/conformance_a_test", std::string(kTests) + "sleep 600\n");
  Script("tests/conformance_b_test", std::string(kTests) + "sleep 600\n");
  for (int n = 0; n < 40; ++n) {
    Script("tests/conformance_more_" + std::to_string(n) + "_test",
           std::string(kTests) + "sleep 600\n");
  }
  EXPECT_EQ(Run("--tier=property --budget=3"), 3);
  EXPECT_THAT(output_, HasSubstr("not begun: the budget was used up"));
  EXPECT_EQ(Json::parse(Read("gate.json"))["runs"].size(), 42);
}

TEST_F(GateCommand, TierThatCannotRunIsSkippedUnlessItWasNamed) {
  EXPECT_EQ(Run("--tier=tsan"), 2);
  EXPECT_THAT(output_, HasSubstr("tier tsan: there is no"));
  EXPECT_EQ(Run("--tier=planted"), 2);
  EXPECT_EQ(Run("--tier=property"), 2);
}

TEST_F(GateCommand, EndsCleanlyOnCtrlC) {
  Script("tests/conformance_x_test",
         std::string(kTests) + "echo $$ > " + folder_ + "/pid; exec sleep 600\n");
  const std::string line = "exec " + CommandFor("--tier=property") + " > " + folder_ + "/said";
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    _exit(9);
  }
  // Read whole: the line's end comes last.
  EXPECT_TRUE(Eventually([this] { return Read("pid").find('\n') != std::string::npos; }));
  kill(-pid, SIGINT);
  int status = 0;
  waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_EQ(kill(std::stoi(Read("pid")), 0), -1);
  EXPECT_THAT(Read("said"), HasSubstr("interrupted after"));
  EXPECT_EQ(FirstRun()["reason"], "interrupted");
}

TEST_F(GateCommand, SaysWhatItLacksWhereProcIsNotMounted) {
  const std::string without_proc =
      "unshare --map-root-user --mount sh -c 'mount -t tmpfs none /proc && ";
  if (RunLine(without_proc + "true' 2>/dev/null").exit_code != 0) {
    GTEST_SKIP() << "no mount namespace can be made here";
  }
  const Ended ended = RunLine(without_proc + "exec " + CommandFor("--tier=torture") + "' 2>&1");
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("it needs /proc"));
}

// What was caught longest ago comes first, whoever ran it: here kill9 planted, whose results were
// added.
TEST_F(GateCommand, TakesACampaignForItsMemory) {
  for (const int n : {0, 1, 2}) {
    Plant("leak", false, Writes("leak", 1));
    bugs_[n]["target"] = absl::StrCat("target_", n);
  }
  std::ofstream(folder_ + "/manifest.json") << bugs_.dump();
  const auto result = [this](const std::string& name, int day, bool as_expected) {
    Json json = NewResult("planted", 1);
    json["started_at"] = absl::StrCat("2026-11-", day, "T00:00:00Z");
    json["runs"] = {{{"variant", "global_mutex"},
                     {"name", name},
                     {"verdict", as_expected ? "leak" : "pass"},
                     {"as_expected", as_expected}}};
    const std::string path = absl::StrCat(folder_, "/", name, ".json");
    EXPECT_TRUE(WriteResult(json, path).ok());
    return path;
  };
  const std::string campaign = folder_ + "/night.db";
  const std::string add = absl::StrCat(KILL9_COMMAND, " campaign add ", campaign, " ");
  const Ended added = RunLine(add + result("bug_0", 20, true) + " " + result("bug_1", 11, true) +
                              " " + result("bug_2", 21, false) + " 2>&1");
  if (added.exit_code == 2) GTEST_SKIP() << added.output;
  ASSERT_EQ(added.exit_code, 0) << added.output;
  for (const int seed : {1, 2, 3}) {
    EXPECT_EQ(
        RunGate(absl::StrCat("--planted-targets=3 --campaign=", campaign, " --seed=", seed)).output,
        "target_2\ntarget_1\ntarget_0\n");
  }
  ASSERT_EQ(Run("--tier=planted --campaign=" + campaign), 0) << output_;
  const Ended again = RunLine(add + folder_ + "/gate.json 2>&1");
  EXPECT_THAT(again.output, HasSubstr("3 runs, 0 of them new"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/out/memory.json"));
}

TEST_F(GateCommand, ExplainsWrongFlags) {
  ExpectUsageErrors([this](const char* arguments) { return RunGate(arguments); },
                    {{"--budget=soon", "'soon' is no time; give seconds"},
                     {"--budget=0", "'0' is no time"},
                     {"--variant=nonsense", KnownVariants()},
                     {"--tier=nonsense", "known are: all, checker, property"},
                     {"--cells=3", "--cells requires --kills"},
                     {"--kills=0", "--kills"},
                     {"--nonsense", "--nonsense"}});
  std::ofstream(folder_ + "/memory") << "[]";
  EXPECT_EQ(Run("--tier=torture --memory=" + folder_ + "/memory"), 2);
  EXPECT_THAT(output_, HasSubstr("is no memory of a gate"));
  EXPECT_EQ(Run("--tier=torture --memory=" + folder_ + "/none/memory"), 2);
  EXPECT_THAT(output_, AllOf(HasSubstr("none/memory': No such file"), Not(HasSubstr("budget"))));
}

}  // namespace
}  // namespace kill9

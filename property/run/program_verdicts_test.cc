// kill9 run: what is no pass and no violation, and what the machine forbids.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/run/run_for_tests.h"
#include "property/scaffold/eventually.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

using ProgramVerdicts = ProgramTest;

TEST_F(ProgramVerdicts, AProgramThatLeavesTheSameEverywhereProvesNothing) {
  const Ended ended = Run("--check=true -- /bin/true");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(run_["verdict"], "vacuous");
  EXPECT_GT(run_["kills"]["total"], 0u);
  EXPECT_EQ(run_["distinct_states"], 1u);
}

TEST_F(ProgramVerdicts, ACheckThatSeesNoDamageIsCalledSo) {
  const Ended blind = Run("--blunt --check=true -- " + kVictim + " replace");
  EXPECT_EQ(blind.exit_code, 3) << blind.output;
  EXPECT_EQ(run_["verdict"], "vacuous");
  EXPECT_EQ(run_["blunt"]["seen"], 0u);
  EXPECT_THAT(blind.output, HasSubstr("it sees nothing"));
  const Ended seeing =
      Run("--blunt --check=" + std::string(kWhole) + " -- " + kVictim + " replace");
  EXPECT_EQ(seeing.exit_code, 0) << seeing.output;
  EXPECT_EQ(run_["blunt"]["seen"], 2u) << "emptied, and cut";
  // One of two files is not looked at.
  const Ended half = Run("--blunt --check=" + std::string(kWhole) + " -- sh -c '" + kVictim +
                         " replace; echo 1 >other'");
  EXPECT_EQ(half.exit_code, 0) << half.output;
  EXPECT_THAT(half.output, HasSubstr("does not see it when other is emptied"));
}

TEST_F(ProgramVerdicts, ACheckThatCannotTellLeavesTheRunUndecided) {
  const Ended ended = Run("--check='test -s metrics || exit 125' -- " + kVictim + " replace");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(run_["verdict"], "undecided");
  EXPECT_GT(run_["cannot_tell"], 0u);
  EXPECT_GT(run_["judged"], run_["cannot_tell"]);
}

TEST_F(ProgramVerdicts, ACheckThatDiesOrDoesNotEndIsAViolation) {
  const Ended died = Run("--check='test -s metrics || kill -SEGV $$' -- " + kVictim + " replace");
  EXPECT_EQ(died.exit_code, 1) << died.output;
  EXPECT_THAT(died.output, HasSubstr("the check ends with signal 11"));
  const Ended stuck =
      Run("--check-seconds=1 --sample=0 --check='test \"$(wc -c <metrics)\" != 0 || "
          "sleep 1000' -- " +
          kVictim + " rewrite");
  EXPECT_EQ(stuck.exit_code, 1) << stuck.output;
  EXPECT_THAT(stuck.output, HasSubstr("no end within its time"));
}

TEST_F(ProgramVerdicts, WithoutAKillAllMustBeWell) {
  for (const auto& [arguments, reason] : std::initializer_list<std::pair<std::string, const char*>>{
           {"--check=false -- /bin/true", "without a kill, the check fails: exit status 1"},
           {"--check='exit 125' -- /bin/true", "without a kill, the check cannot tell"},
           {"--check='kill -9 $$' -- /bin/true", "the check fails: signal 9"},
           {"--check=true -- sh -c 'echo broken >&2; exit 4'", "ends with exit status 4: broken"},
           {"--check=true -- sh -c 'kill -9 $$'", "ends with signal 9"},
           {"--check=true --program-seconds=1 -- sleep 1000", "does not end within 1 s"}}) {
    const Ended ended = Run(arguments);
    EXPECT_EQ(ended.exit_code, 3) << arguments << ended.output;
    EXPECT_EQ(run_["verdict"], "undecided") << arguments;
    EXPECT_THAT(ended.output, HasSubstr(reason)) << arguments;
  }
}

TEST_F(ProgramVerdicts, WhatCannotBeRunIsAnErrorOfUsage) {
  Write("not_executable", "#!/bin/sh\n");
  ExpectUsageErrors(
      [this](const char* arguments) { return Run(arguments); },
      {
          {"-- /bin/true", "--check is required"},
          {"--check=true", "program"},
          {"--check=true -- ./nothing", "cannot run './nothing': No such file"},
          {"--check=true -- ./not_executable", "cannot run './not_executable': Permission denied"},
          {"--check=./nothing -- /bin/true", "the check cannot be run"},
          {"--check=./not_executable -- /bin/true", "the check cannot be run"},
          {"--check=true --point='write(metrics)' -- /bin/true", "points are written as"},
          {"--check=true --state=nothing -- /bin/true", "nothing"},
          {"--check=true --state=/ -- /bin/true", "the root directory cannot be copied"},
          {"--check=true --points=instructions -- /bin/true", "never looked at /kill9/begin"},
          {"--check=true --victim=nobody -- /bin/true", "nobody"},
      });
}

TEST_F(ProgramVerdicts, APointThatIsNeverMetIsNoPass) {
  const Ended ended =
      Run("--check=true --point='write(\"metrics\") #9' -- " + kVictim + " rewrite");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(run_["verdict"], "undecided");
  EXPECT_EQ(run_["missed"], 1u);
}

TEST_F(ProgramVerdicts, WhatTimeCutsShortIsNoPass) {
  const Ended ended = Run("--check=true --seconds=1e-9 -- " + kVictim + " replace");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(run_["verdict"], "undecided");
}

// Before the first kill, too. The second one is done in no time, but what it has left is hashed
// before each of its calls.
TEST_F(ProgramVerdicts, WhatComesBeforeTheKillsIsGivenUpInTime) {
  for (const char* program : {"sleep 100000", "dd if=/dev/zero of=metrics bs=1k count=20000"}) {
    const Ended ended =
        Run(absl::StrCat("--check=true --seconds=3 --program-seconds=100000 -- ", program));
    EXPECT_EQ(ended.exit_code, 3) << ended.output;
    EXPECT_EQ(run_["verdict"], "undecided");
    EXPECT_THAT(ended.output, HasSubstr("the time (--seconds) was over before the program had"));
  }
}

TEST_F(ProgramVerdicts, WhereTracingIsForbiddenItSaysSo) {
  const Ended ended = Run("--check=true -- " + kVictim + " replace", kVictim + " without_ptrace");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(run_["verdict"], "skipped");
  EXPECT_THAT(ended.output, HasSubstr("ptrace"));
}

TEST_F(ProgramVerdicts, WithoutNamespacesTheCopyIsAllThatIsTouched) {
  Write("metrics", "old\nend\n");
  // A user namespace that may make no other.
  const std::string forbid =
      "unshare --user --map-root-user sh -c 'for kind in user pid mnt ipc; do echo 0 >"
      "/proc/sys/user/max_${kind}_namespaces; done; exec \"$@\"' sh";
  const bool can_forbid = RunLine(forbid + " true 2>/dev/null").exit_code == 0;
  for (const std::string& way : {std::string("--no-namespaces "), std::string()}) {
    if (way.empty() && !can_forbid) continue;
    const std::string before = way.empty() ? forbid : "";
    const Ended wrong =
        Run(way + "--check=" + std::string(kWhole) + " -- " + kVictim + " rewrite", before);
    EXPECT_EQ(wrong.exit_code, 1) << wrong.output;
    EXPECT_EQ(run_["namespaces"], false);
    EXPECT_THAT(wrong.output, HasSubstr("this machine allows no namespaces ("));
    const Ended good =
        Run(way + "--check=" + std::string(kWhole) + " -- " + kVictim + " replace", before);
    EXPECT_EQ(good.exit_code, 0) << good.output;
    EXPECT_EQ(run_["point_coverage"], 1.0);
    // What it would share with the machine is not tried.
    const std::string name = absl::StrCat("kill9-verdict-", getpid());
    const Ended shared = Run(way + "--check=true -- " + kVictim + " segment " + name, before);
    RunLine("rm -f /dev/shm/" + name);
    EXPECT_EQ(shared.exit_code, 3) << shared.output;
    const Ended elsewhere =
        Run(way + "--state=/usr/share/doc/libc6 --check=true -- /bin/true", before);
    EXPECT_EQ(elsewhere.exit_code, 3) << elsewhere.output;
    EXPECT_EQ(run_["verdict"], "skipped");
  }
  EXPECT_EQ(Read("metrics"), "old\nend\n");
}

// How many processes have `mark` among their arguments.
size_t ProcessesWith(const std::string& mark) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    std::string text;
    std::getline(file, text, '\n');
    count += text.find("sleep") == 0 && text.find(mark) != std::string::npos;
  }
  return count;
}

class ProgramEnds : public ProgramTest, public testing::WithParamInterface<const char*> {
 protected:
  // Who is killed cannot remove its temporary folder.
  void SetUp() override {
    ProgramTest::SetUp();
    std::filesystem::create_directory(folder() + ".tmp");
  }
  void TearDown() override {
    std::filesystem::remove_all(folder() + ".tmp");
    ProgramTest::TearDown();
  }
  // Started, with a check that sleeps; returns when it does.
  pid_t StartThatSleeps(const std::string& mark) {
    const pid_t pid = fork();
    if (pid == 0) {
      if (chdir(folder().c_str()) != 0 || freopen("/dev/null", "w", stderr) == nullptr) _exit(9);
      setenv("TMPDIR", (folder() + ".tmp").c_str(), 1);
      const std::string check = "--check=test -s metrics || exec sleep " + mark;
      execl(KILL9_COMMAND, "kill9", "run", "--quiet", "--check-seconds=100000", check.c_str(),
            GetParam(), "--json=/dev/null", "--", kVictim.c_str(), "replace", nullptr);
      _exit(9);
    }
    EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark) > 0; }));
    return pid;
  }
};
INSTANTIATE_TEST_SUITE_P(ProgramVerdicts, ProgramEnds,
                         testing::Values("--seed=1", "--no-namespaces"), [](const auto& one) {
                           return one.index == 0 ? "InNamespaces" : "Without";
                         });

TEST_P(ProgramEnds, AnInterruptLeavesNobodyBehind) {
  const std::string mark = "98761" + std::to_string(getpid());
  const pid_t pid = StartThatSleeps(mark);
  kill(pid, SIGINT);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_EQ(ProcessesWith(mark), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder() + ".tmp"));
}

TEST_P(ProgramEnds, WhenItIsKilledItselfNobodyStaysBehind) {
  const std::string mark = "98762" + std::to_string(getpid());
  const pid_t pid = StartThatSleeps(mark);
  kill(pid, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark) == 0; }));
}

// It says which place is full and what names another one, and leaves nothing there.
TEST(ProgramPlaces, AFullTemporaryFolderIsToldAndLeftAsItWas) {
  const OwnFolder folder;
  const Ended ended =
      RunOnFullDisk(folder.path(), "TMPDIR=$PWD " KILL9_COMMAND " run --check=true -- true; ls -A");
  if (ended.exit_code == 77) GTEST_SKIP() << "no mount namespace can be made here";
  EXPECT_THAT(ended.output, HasSubstr("kill9 run: no room for"));
  EXPECT_THAT(ended.output, testing::EndsWith("TMPDIR names another place\nfull\n"));
}

// The finding stands, and so does the result file, which lies elsewhere.
TEST(ProgramPlaces, AFindingForWhichThereIsNoRoomIsAFindingAllTheSame) {
  const OwnFolder folder, elsewhere;
  const std::string json = elsewhere.path() + "/run.json";
  const Ended ended = RunOnFullDisk(
      folder.path(), "rm full; mkdir work; head -c 100000 /dev/zero >full; " KILL9_COMMAND
                     " run --state=work --check=\"test ! -e a -o -e b\" --json=" +
                         json + " -- touch work/a work/b");
  if (ended.exit_code == 77) GTEST_SKIP() << "no mount namespace can be made here";
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("No space left on device"));
  EXPECT_EQ(ReadJsonFile(json).value()["runs"][0]["verdict"], "violation");
}

}  // namespace
}  // namespace kill9

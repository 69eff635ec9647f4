// kill9 run: what it finds in programs that are wrong, and that it finds nothing in those that are
// not.
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/run/run_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Field(const Json& object, const char* name) { return TextField(object, name); }

using ProgramRun = ProgramTest;

TEST_F(ProgramRun, FindsTheFileThatIsEmptyBetweenItsTruncationAndTheWrite) {
  Write("metrics", "old\nend\n");
  const Ended ended = Run("--check=" + std::string(kWhole) + " -- " + kVictim + " rewrite");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(run_["verdict"], "violation") << ended.output;
  EXPECT_EQ(run_["point_coverage"], 1.0);
  ASSERT_EQ(run_["findings"].size(), 1u) << "the second time it is as empty as the first";
  const Json& finding = run_["findings"][0];
  EXPECT_EQ(finding["point"], "write(\"metrics\") #1");
  EXPECT_EQ(finding["exit_status"], 1);
  EXPECT_THAT(ended.output, HasSubstr("a process's death, not a loss of power"));
  // What was left is kept, and the program's own directory is as it was.
  const std::string left = Field(finding, "left");
  ASSERT_THAT(left, StartsWith("kill9-out/"));
  EXPECT_TRUE(Exists(left + "/state/metrics"));
  EXPECT_EQ(Read(left + "/state/metrics"), "");
  EXPECT_EQ(Read("metrics"), "old\nend\n");
}

TEST_F(ProgramRun, HowMuchIsCopiedForEachRunIsSaidBeforeTheFirst) {
  const std::string arguments =
      "--check=true --point='write(\"metrics\") #1' -- " + kVictim + " rewrite";
  const std::string said = "begins with a copy of '.', 17 MiB: --state=DIR names the part";
  EXPECT_THAT(Run(arguments).output, Not(HasSubstr("begins with a copy"))) << "a few bytes";
  Write("large", std::string(17 << 20, 'x'));
  EXPECT_THAT(Run(arguments).output, StartsWith("each run of the program " + said));
  EXPECT_EQ(run_["state_bytes"].get<uint64_t>() >> 20, 17u);
  EXPECT_THAT(Run("--quiet " + arguments).output, Not(HasSubstr(said)));
}

TEST_F(ProgramRun, APointThatTheProgramDoesNotComeToIsNamed) {
  const Ended ended =
      Run("--check=true --point='write(\"nothing\") #1' -- " + kVictim + " rewrite");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output,
              HasSubstr("in 3 runs the program did not come to write(\"nothing\") #1"));
}

TEST_F(ProgramRun, TheLineThatRepeatsAFindingDoesSo) {
  const Ended found = Run("--check=" + std::string(kWhole) + " -- " + kVictim + " rewrite");
  ASSERT_EQ(found.exit_code, 1) << found.output;
  EXPECT_EQ(run_["findings"][0]["repeat_kind"], "deterministic");
  const std::string line = Field(run_, "repeat");
  ASSERT_THAT(line, StartsWith("kill9 run --point="));
  const Ended again = Run(line.substr(std::string("kill9 run ").size()));
  EXPECT_EQ(again.exit_code, 1) << again.output;
  EXPECT_EQ(run_["kills"]["total"], 1u);
  EXPECT_EQ(run_["findings"][0]["point"], "write(\"metrics\") #1");
}

TEST_F(ProgramRun, AFileThatIsReplacedInOneStepPassesAtEveryCall) {
  const Ended ended = Run("--check=" + std::string(kWhole) + " -- " + kVictim + " replace");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(run_["verdict"], "pass");
  EXPECT_EQ(run_["point_coverage"], 1.0);
  EXPECT_EQ(run_["drifted"], 0u);
  EXPECT_EQ(run_["missed"], 0u);
  // Nothing; an empty, a whole fresh file; that in its place; and the last two beside the old one.
  EXPECT_GE(run_["distinct_states"], 6u) << ended.output;
  EXPECT_FALSE(Exists("metrics")) << "the copies are gone";
}

TEST_F(ProgramRun, AChildOfTheProgramIsKilledAtItsCalls) {
  Write("work.sh", "sh -c 'echo 1 >a; echo 1 >b'\n");
  const Ended ended = Run("--check='test -e a -a -e b -o ! -e a -a ! -e b' -- sh work.sh");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(run_["processes"], 2u);
  EXPECT_THAT(ended.output, HasSubstr("killed after 1:openat(\"a\") #1"));
}

TEST_F(ProgramRun, EveryProcessOfAScriptHasItsNameAndTheWholeTreeDies) {
  Write("work.sh", "cp old new\ntouch between\nmv new old\nwait\n");
  Write("old", "1");
  const Ended ended = Run("--check='test ! -e between' -- sh -c 'sh work.sh; rm between'");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  bool of_mv = false;
  for (const Json& finding : run_["findings"]) {
    of_mv = of_mv || (Field(finding, "program") == "mv" && !Field(finding, "process").empty());
    EXPECT_EQ(finding["survivors"], 0u);
  }
  EXPECT_TRUE(of_mv) << run_["findings"].dump(1);
}

// The child of a parent that has died goes on, and the check meets it.
TEST_F(ProgramRun, WhereTheRootAloneIsKilledItsChildrenSurvive) {
  const std::string check =
      "'test ! -e child_is_there || { test -n \"$KILL9_SURVIVORS\" && kill -0 $KILL9_SURVIVORS && "
      "until test -e parent_has_ended; do sleep 0.01; done; }'";
  const Ended root = Run("--victim=root --check=" + check + " -- " + kVictim + " parent_and_child");
  EXPECT_EQ(root.exit_code, 0) << root.output;
  EXPECT_GT(run_["survivors"], 0u);
  const Ended tree = Run("--check=" + check + " -- " + kVictim + " parent_and_child");
  EXPECT_EQ(tree.exit_code, 1) << "nobody survives: " << tree.output;
  EXPECT_EQ(run_["survivors"], 0u);
}

// What the program has said before it died is a promise.
TEST_F(ProgramRun, TheCheckGetsWhatWasPrintedAndThePoint) {
  const std::string check =
      "'if grep -q stored \"$KILL9_STDOUT\"; then test -e stored; fi && test -s \"$KILL9_STDERR\" "
      "-o -n \"$KILL9_POINT\"'";
  const Ended wrong = Run("--check=" + check + " -- sh -c 'echo stored; : >stored; echo end >&2'");
  EXPECT_EQ(wrong.exit_code, 1) << wrong.output;
  const Ended right = Run("--check=" + check + " -- sh -c ': >stored; echo stored; echo end >&2'");
  EXPECT_EQ(right.exit_code, 0) << right.output;
  const Ended said =
      Run("--check='test -z \"$KILL9_POINT\" || { echo $KILL9_CALL $KILL9_PATH $KILL9_OCCURRENCE "
          "$KILL9_PROGRAM; false; }' --point='write(\"metrics\") #2' -- " +
          kVictim + " rewrite");
  EXPECT_EQ(said.exit_code, 1) << said.output;
  EXPECT_THAT(said.output, HasSubstr("    write metrics 2 victim_program"));
}

// The traces do not read a file anew that nobody has opened for writing: this one is, by a way that
// does not name it.
TEST_F(ProgramRun, AFileThatIsOpenedAnewThroughADescriptorIsSeenToChange) {
  Write("metrics", "old\nend\n");
  const Ended ended = Run("--sample=0 --check=" + std::string(kWhole) +
                          " -- sh -c 'exec 3<metrics; echo end >/proc/self/fd/3'");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
}

// What `pub/cur/../f` names is not what its text looks like.
TEST_F(ProgramRun, AFileBehindALinkAndAWayUpIsSeenToChange) {
  std::filesystem::create_directories(folder() + "/data/v1");
  std::filesystem::create_directories(folder() + "/pub");
  std::filesystem::create_symlink("../data/v1", folder() + "/pub/cur");
  Write("data/f", "whole");
  const Ended ended =
      Run("--check='test ! -e data/f -o -s data/f' -- " + kVictim + " write_to pub/cur/../f");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(run_["distinct_states"], 3u) << ended.output;
}

TEST_F(ProgramRun, ThreadsAreFollowed) {
  const Ended ended =
      Run("--check='for f in one other; do test ! -e $f || test \"$(tail -n 1 $f)\" = end || exit "
          "1; done' -- " +
          kVictim + " two_threads");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(run_["point_coverage"], 1.0);
  EXPECT_GT(run_["distinct_states"], 12u);
}

// Some calls are made in one run and not in the next. What was left before them is met at others.
TEST_F(ProgramRun, AStateIsMetThoughItsFirstCallIsNotMadeAgain) {
  const Ended ended = Run("--sample=0 --check='test ! -e file39 || test -e file0' -- " + kVictim +
                          " look_at_times 40");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_FALSE(run_["steady"]) << "each run makes the same calls";
  EXPECT_GT(run_["drifted"], 0u) << "the premise: a call was another one";
  EXPECT_EQ(run_["distinct_states"], 41u) << "no file, one, two";
  EXPECT_EQ(run_["point_coverage"], 1.0);
  EXPECT_EQ(run_["missed"], 0u);
}

TEST_F(ProgramRun, BetweenTwoStoresToAMappedFileAnInstructionIsFound) {
  const std::string check =
      "'set -- $(od -A n -t d8 -N 16 ledger 2>/dev/null || echo 100 0); test $(($1 + $2)) = 100'";
  const Ended calls = Run("--check=" + check + " -- " + kVictim + " move");
  // Before the first of its accounts is written, the file has zeros.
  EXPECT_EQ(calls.exit_code, 1) << calls.output;
  for (const Json& finding : run_["findings"]) EXPECT_NE(finding["path"], "/kill9/end");
  const Ended ended = Run("--points=instructions --check=" + check + " -- " + kVictim + " move");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  ASSERT_EQ(run_["findings"].size(), 1u) << ended.output;
  EXPECT_EQ(run_["distinct_states"], 3u) << "before both stores, between them, behind them";
  EXPECT_EQ(run_["point_coverage"], 1.0);
  EXPECT_THAT(Field(run_["findings"][0], "point"), StartsWith("begin #1 + "));
  const std::string line = Field(run_, "repeat");
  const Ended again = Run(line.substr(std::string("kill9 run ").size()));
  EXPECT_EQ(again.exit_code, 1) << again.output;
}

TEST_F(ProgramRun, EachRunHasItsOwnSharedMemory) {
  const std::string name = absl::StrCat("kill9-victim-", getpid());
  const std::string file = "/dev/shm/" + name;
  const Ended ended = Run(absl::StrCat("--check='test ! -s ", file, " || test $(head -c 8 ", file,
                                       " | wc -c) = 8' -- ", kVictim, " segment ", name));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GE(run_["distinct_states"], 4u) << "none, empty, half, whole";
  EXPECT_FALSE(std::filesystem::exists(file));
}

// The directory of temporary files is the program's own, and so hides what lies in the machine's.
TEST_F(ProgramRun, AProgramBelowTmpIsSeenThoughOnlyAShellNamesIt) {
  std::filesystem::create_directory(folder() + "/data");
  const std::string apart = std::filesystem::canonical(folder()).string() + "-apart";
  std::filesystem::create_directory(apart);
  const std::string program = apart + "/victim";
  const std::string mine = absl::StrCat("/tmp/kill9-mine-", getpid());
  ASSERT_TRUE(program.starts_with("/tmp/")) << program;
  std::filesystem::copy_file(kVictim, program);
  const Ended ended = Run("--state=data --check=" + std::string(kWhole) + " -- sh -c 'cd data; " +
                          program + " replace || exit 9; : >" + mine + "'");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(run_["verdict"], "pass");
  EXPECT_GE(run_["distinct_states"], 3u) << "none, the new one beside it, whole";
  EXPECT_FALSE(std::filesystem::exists(mine));
}

TEST_F(ProgramRun, WhatLiesOutsideCannotBeWrittenToAndIsNamed) {
  std::filesystem::create_directory(folder() + "/data");
  const std::string outside = std::filesystem::canonical(folder()).string() + "/outside";
  const Ended ended = Run("--state=data --check=true -- sh -c '" + kVictim + " write_to " +
                          outside + "; : >data/done'");
  ASSERT_EQ(run_["verdict"], "pass") << "it ends well all the same: " << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("it would write to " + outside));
  EXPECT_FALSE(Exists("outside"));
  EXPECT_FALSE(Exists("data/done"));
}

// Names drawn by chance differ in each run.
TEST_F(ProgramRun, APythonProgramWithTemporaryFilesIsMetAgain) {
  if (!std::filesystem::exists("/usr/bin/python3")) GTEST_SKIP() << "there is no python3";
  Write("keep.py",
        "import os, tempfile\n"
        "file = tempfile.NamedTemporaryFile('w', dir='.', prefix='fresh-', delete=False)\n"
        "file.write('1\\nend\\n')\n"
        "file.close()\n"
        "os.replace(file.name, 'metrics')\n");
  const Ended good = Run("--check=" + std::string(kWhole) + " -- /usr/bin/python3 -I keep.py");
  EXPECT_EQ(good.exit_code, 0) << good.output;
  EXPECT_EQ(run_["point_coverage"], 1.0);
  EXPECT_EQ(run_["missed"], 0u);
  EXPECT_GT(run_["drifted"], 0u) << "the names were not drawn";
  const Ended named = Run("--check='! ls | grep -q fresh-' -- /usr/bin/python3 -I keep.py");
  EXPECT_EQ(named.exit_code, 1) << named.output;
  EXPECT_THAT(named.output, HasSubstr("fresh-*")) << named.output;
  const std::string line = Field(run_, "repeat");
  const Ended again = Run(line.substr(std::string("kill9 run ").size()));
  EXPECT_EQ(again.exit_code, 1) << again.output;
}

TEST_F(ProgramRun, TheExampleIsFoundAndItsMendedFormPasses) {
  const std::string example = std::string(KILL9_SOURCE_DIR) + "/apps/examples/metrics";
  const std::string check = "--check=" + example + "/verify_metrics.sh -- " + example;
  const Ended wrong = Run(check + "/write_metrics.sh");
  EXPECT_EQ(wrong.exit_code, 1) << wrong.output;
  EXPECT_THAT(wrong.output, HasSubstr("metrics is not whole: it has 0 bytes"));
  const Ended mended = Run(check + "/write_metrics_mended.sh");
  EXPECT_EQ(mended.exit_code, 0) << mended.output;
  EXPECT_EQ(run_["point_coverage"], 1.0);
}

}  // namespace
}  // namespace kill9

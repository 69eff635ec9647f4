// What holds for the options of every command: wrong names, numbers that are none, answers that
// cannot be written. What was asked for and is not done is never a pass.
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/run_command.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCommands[] = {"check",  "list",    "torture", "sweep",
                                     "replay", "planted", "gate",    "report"};

std::string Path(const std::string& name) { return testing::TempDir() + "/options_" + name; }

// The options of a command that take a value of this type, as its help tells.
std::vector<std::string> OptionsOf(const std::string& command, const std::string& type) {
  std::istringstream help(RunCommand(command + " --help").output);
  const std::regex form("^ +(--[a-z-]+) " + type + "(:.*|=.*| .*)?$");
  std::vector<std::string> options;
  std::smatch match;
  for (std::string line; std::getline(help, line);) {
    if (std::regex_match(line, match, form)) options.push_back(match[1]);
  }
  return options;
}

// An option takes no other option for its value, and none at all is said to be none.
TEST(Options, WithoutAValueAreRefusedAndTakeNothingElse) {
  ExpectUsageErrors([](const char* arguments) { return RunCommand(arguments); },
                    {{"torture --variant= --scenario=steady", "--variant= has no value"},
                     {"torture --variant --scenario=steady",
                      "--variant has no value: '--scenario=steady' follows"},
                     {"torture --json= --variant=global_mutex", "--json= has no value"},
                     {"torture --json", "--json has no value"},
                     {"--config", "kill9: --config has no value"},
                     {"--versio", "it has no option '--versio'; did you mean '--version'?"},
                     {"torture --plugin x.so", "--plugin is an option of kill9 itself"},
                     {"run --cheque=true -- true", "it has no option '--cheque'\nkill9 run --help"},
                     {"run --check=true", "program is required: the program and its arguments"},
                     {"report --compare a", "--compare takes 2 values"},
                     {"check --counterexample=/nonexistent/x /dev/null", "/nonexistent/x.html"},
                     {"campaign add /nonexistent/a.db", "add needs result files"},
                     {"sweep --state= --variant=global_mutex", "--state= has no value"},
                     {"check --model= /dev/null", "--model= has no value"},
                     {"report --input= x", "--input= has no value"},
                     {"sweep --stall=maybe", "kill9 sweep: --stall = maybe: a flag has no value"},
                     {"list --json=x.json", "--json = x.json: a flag has no value but true"},
                     {"gate --budget", "--budget"}});
}

TEST(Options, InAFolderThatWasRemovedNoCommandWorks) {
  for (const char* command : {"list", "run --check=true -- true", "torture --kills=1"}) {
    const std::string folder = testing::TempDir() + "/removed";
    std::filesystem::create_directories(folder);
    const Ended ended = RunLine("cd " + folder + " && rmdir " + folder + " && " + KILL9_COMMAND +
                                " " + command + " 2>&1 </dev/null");
    EXPECT_EQ(ended.exit_code, 2) << command << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("the current folder was removed")) << command;
  }
}

// A user namespace without a mapping: whoever is root here is nobody there.
TEST(Options, InAFolderThatMayNotBeUsedNoCommandWorks) {
  const OwnFolder own;
  const Ended ended =
      RunLine("cd " + own.path() + " && mkdir closed && cd closed && chmod 0 . && unshare --user " +
              KILL9_COMMAND + " list 2>&1; code=$?; chmod 700 .; exit $code");
  if (ended.output.starts_with("unshare:")) GTEST_SKIP() << ended.output;
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("the current folder cannot be used: Permission denied"));
}

TEST(Options, OfProgramsOfOnesOwnNeedOne) {
  for (const char* option : {"--model=map", "--model=mutex", "--kill-at=syscalls",
                             "--values=numbers", "--keys=3", "--shared"}) {
    const Ended ended = RunCommand(std::string("torture --variant=global_mutex --scenario=steady "
                                               "--kills=1 ") +
                                   option);
    EXPECT_EQ(ended.exit_code, 2) << option << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("is of programs of your own: --worker")) << option;
  }
}

// What CLI11 finds wrong is said as everything else: by which command, and where there is more.
TEST(Options, AreRefusedInOneWay) {
  const std::string file = testing::TempDir() + "/options.ini";
  const auto with = [&file](const std::string& text) {
    std::ofstream(file) << text;
    return RunCommand("--config=" + file + " torture --scenario=steady");
  };
  const std::string more = "\nkill9 --help lists what there is\n";
  EXPECT_EQ(RunCommand("merge").output,
            "kill9 merge: DIR is required: the folder in which the shards' result files lie\n"
            "kill9 merge --help lists what there is\n");
  EXPECT_EQ(RunCommand("").output, "kill9: it takes a command" + more);
  EXPECT_EQ(RunCommand("--config=/nonexistent torture").output,
            "kill9: --config: cannot read '/nonexistent'" + more);
  EXPECT_EQ(with("[torture]\nsecnds=3\n").output,
            "kill9: --config: torture has no option 'secnds'; did you mean 'seconds'?" + more);
  EXPECT_EQ(with("[tortur]\nseconds=3\n").output,
            "kill9: --config: there is no command 'tortur'; did you mean 'torture'?" + more);
  EXPECT_EQ(with("seconds=3\n").output,
            "kill9: --config: 'seconds' stands below no command" + more);
  EXPECT_EQ(RunCommand("sweep --variant=cas_slots --variant=slot_ring").output,
            "kill9 sweep: --variant is given more than once, and takes one value\n"
            "kill9 sweep --help lists what there is\n");
}

TEST(Options, OfFoldersAreLookedAtBeforeTheWork) {
  const std::string summary =
      "report --input=/nonexistent --summary=/dev/null/x --output=" + testing::TempDir();
  ExpectUsageErrors([](const char* arguments) { return RunCommand(arguments); },
                    {{"sweep --coverage=/dev/null/x", "cannot write into the folder '/dev/null/x'"},
                     {"report --input=/nonexistent --output=/dev/null/x", "folder '/dev/null/x'"},
                     {summary.c_str(), "cannot write into the folder '/dev/null/x'"},
                     {"gate --output=/dev/null/x", "cannot write into the folder '/dev/null/x'"}});
}

// In words, and with numbers that people read.
TEST(Options, OutOfRangeSayWhatTheRangeIs) {
  ExpectUsageErrors(
      [](const char* arguments) { return RunCommand(arguments); },
      {{"torture --seconds=-1", "--seconds: '-1' is no number from 0.05 to 1000000"},
       {"torture --processes=1000", "--processes: '1000' is no whole number from 1 to 60"},
       {"torture --seed=-1", "--seed: '-1' is no whole number from 0"},
       {"sweep --watchdog=-1", "--watchdog: '-1' is no number above 0"},
       {"replay --times=0 x", "--times: '0' is no number above 0"},
       {"torture --seed=99999999999999999999", "is too large: it is at most 1844674407370955161"},
       {"sweep --workers=5000", "--workers: '5000' is no whole number from 0 to 1024"},
       {"check --model=mapp /dev/null", "no 'mapp'; did you mean 'map'? Known are: register"},
       {"check --model=bogus /dev/null", "there is no 'bogus'; known are: register"},
       {"check /nonexistent", "cannot read '/nonexistent': No such file or directory"},
       {"check /", "cannot read '/': Is a directory"},
       {"merge /nonexistent", "'/nonexistent' is no folder that there is"}});
}

TEST(Options, ThatNameSomethingRefuseWhatThereIsNot) {
  ExpectUsageErrors([](const char* arguments) { return RunCommand(arguments); },
                    {{"check --model=nonsense", "register"},
                     {"check --condition=nonsense", "recoverable"},
                     {"torture --variant=nonsense", KnownVariants()},
                     {"torture --scenario=steady,nonsense", "known are: all, steady"},
                     {"torture --scenario=steady,", "a name is empty: write names with one comma"},
                     {"torture --workload=nonsense", "known are: mixed"},
                     {"torture --workload=mixed,ycsb-a", "takes one name"},
                     {"sweep --variant=nonsense", KnownVariants()},
                     {"sweep --operation=nonsense", "known are: all, put_insert"},
                     {"sweep --state=nonsense", "known are: all, empty"},
                     {"sweep --second=nonsense", "there is no 'nonsense'"},
                     {"gate --variant=nonsense", KnownVariants()},
                     {"gate --tier=nonsense", "known are: all, "},
                     {"planted --tier=nonsense", "known are: all, conformance, sweep"},
                     {"planted --tier=sweep,nonsense", "known are: all, conformance, sweep"},
                     {"planted --name=nonsense", "known are: all, "},
                     {"planted --name=bugs,nonsense", "known are: all, "},
                     {"nonsense", "there is no command 'nonsense'"}});
}

TEST(Options, ThatAreNumbersRefuseWhatIsNone) {
  size_t numbers = 0;
  for (const std::string command : kCommands) {
    for (const char* type : {"FLOAT", "UINT", "INT"}) {
      for (const std::string& option : OptionsOf(command, type)) {
        ++numbers;
        for (const char* value : {"nan", "inf", "-inf", "1e300", "99999999999999999999999", "1x",
                                  "-99999999999999999999999", "''"}) {
          const std::string line = command + " " + option + "=" + value;
          const Ended ended = RunCommand(line);
          EXPECT_EQ(ended.exit_code, 2) << line << "\n" << ended.output;
          EXPECT_THAT(ended.output, HasSubstr(option)) << line;
        }
      }
    }
  }
  EXPECT_GT(numbers, 20u) << "the help is not read";
}

TEST(Options, ThatNameAResultFileAreLookedAtFirst) {
  size_t files = 0;
  for (const std::string command : kCommands) {
    for (const std::string& option : OptionsOf(command, "TEXT")) {
      if (option != "--json" && option != "--junit") continue;
      ++files;
      for (const std::string& path : {std::string("/nonexistent/r.json"), testing::TempDir()}) {
        const Ended ended = RunCommand(command + " " + option + "=" + path);
        EXPECT_EQ(ended.exit_code, 2) << ended.output;
        EXPECT_THAT(ended.output, HasSubstr("cannot write the result file '" + path));
        EXPECT_THAT(ended.output, Not(HasSubstr("seed"))) << "it has begun";
      }
    }
  }
  EXPECT_GE(files, 5u) << "the help is not read";
}

// Whoever reads a result is told of what version it is, and where a damaged one is damaged.
TEST(ResultFiles, OfAnotherVersionOrCutOffSaySo) {
  const std::string newer = Path("newer.json"), cut = Path("cut.json"), empty = Path("empty.json");
  const std::string folder = testing::TempDir() + "/of_another_version";
  std::filesystem::create_directories(folder);
  std::ofstream(newer) << R"({"schema": "kill9/2", "kind": "sweep", "runs": []})";
  std::filesystem::copy_file(newer, folder + "/1.json",
                             std::filesystem::copy_options::overwrite_existing);
  std::ofstream(cut) << R"({"schema": "kill9/1", "kin)";
  std::ofstream{empty};
  const std::string readers[] = {"replay ", "sweep --continue=", "torture --seed=1 --continue=",
                                 "report --output=" + testing::TempDir() + " --input=",
                                 "campaign add " + Path("of_none.db") + " "};
  for (const std::string& reader : readers) {
    for (const auto& [file, what] : std::initializer_list<std::pair<std::string, std::string>>{
             {newer, "its schema is 'kill9/2', and this one reads 'kill9/1'"},
             {cut, "is no JSON: it ends in its midst"},
             {empty, "is no JSON: it is empty"}}) {
      const Ended ended = RunCommand(reader + file);
      if (ended.output.find("without SQLite") != std::string::npos) continue;
      EXPECT_EQ(ended.exit_code, 2) << reader << file;
      EXPECT_THAT(ended.output, HasSubstr(what)) << reader << file;
    }
  }
  EXPECT_THAT(RunCommand("merge " + folder + " --json=" + Path("merged.json")).output,
              HasSubstr("its schema is 'kill9/2'"));
}

// The disk is full when the work is done.
TEST(ResultFiles, ThatCannotBeWrittenHideNothingThatWasFound) {
  const std::string lost = KILL9_SOURCE_DIR "/property/histories/lost_write.edn";
  const std::string kept = KILL9_SOURCE_DIR "/property/histories/sequential.edn";
  const std::pair<std::string, int> answers[] = {
      {"check " + lost, 1},
      {"check " + kept, 2},
      {"check " + lost + " /nonexistent", 1},
      {"sweep --variant=robust_unrepaired --operation=put_same --state=one_entry --fail-fast", 1},
      {"explore --variant=cas_slots --scenario=get --schedules=1 --strategy=random", 2},
      {"torture --variant=robust_unrepaired --scenario=steady --shape=usual --seconds=600", 1}};
  for (const auto& [line, code] : answers) {
    const Ended full = RunLine(KILL9_COMMAND " " + line + " --json=/dev/full 2>&1");
    EXPECT_EQ(full.exit_code, code) << line << full.output;
    EXPECT_THAT(full.output, HasSubstr("cannot write the result file '/dev/full'")) << line;
  }
  std::filesystem::remove(Path("full.html"));
  std::filesystem::create_symlink("/dev/full", Path("full.html"));
  const Ended page = RunCommand("check " + lost + " --counterexample=" + Path("full"));
  EXPECT_EQ(page.exit_code, 1) << page.output;
  EXPECT_THAT(page.output, HasSubstr("No space left on device"));
  EXPECT_EQ(RunLine(KILL9_COMMAND " check " + lost + " >/dev/full 2>&1").exit_code, 1);
}

// Lines for people are no part of a result on standard output.
TEST(StandardOutput, HasAResultAlone) {
  const std::string history = Path("one.edn");
  std::ofstream(history) << "{:process 0, :type :invoke, :f :get, :key 1}\n"
                            "{:process 0, :type :ok, :f :get, :key 1, :value 1}";
  for (const std::string& line :
       {"check " + history, std::string("explore --variant=cas_slots --scenario=get")}) {
    const Ended ended = RunLine(KILL9_COMMAND " " + line + " --json=- 2>/dev/null </dev/null");
    EXPECT_TRUE(ParseJson(ended.output).is_object()) << line << "\n" << ended.output;
  }
}

TEST(StandardOutput, ThatIsFullIsNoticed) {
  for (const char* command : {"list", "list --json", "--help", "check --help", "--version",
                              "explore --variant=cas_slots --scenario=get"}) {
    ASSERT_EQ(RunCommand(command).exit_code, 0) << command;
    const Ended full =
        RunLine(std::string(KILL9_COMMAND) + " " + command + " 2>&1 >/dev/full </dev/null");
    EXPECT_EQ(full.exit_code, 2) << command;
    EXPECT_THAT(full.output, HasSubstr("cannot write standard output: No space left"));
    EXPECT_EQ(RunLine(std::string(KILL9_COMMAND) + " " + command + " 2>/dev/null >&-").exit_code,
              2);
  }
}

TEST(CheckCommand, WritesItsResultWhateverBytesAHistoryHolds) {
  std::ofstream(Path("bytes.edn")) << "{:process 0, :type :invoke, :f :get, :key \"\xff\"}\n"
                                      "{:process 0, :type :ok, :f :get, :key \"\xff\", :value 1}";
  const Ended ended = RunCommand("check " + Path("bytes.edn") + " --json=" + Path("bytes.json") +
                                 " --counterexample=" + Path("bytes"));
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  const absl::StatusOr<Json> result = ReadJsonFile(Path("bytes.json"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["runs"][0]["verdict"], "violation");
}

TEST(CheckCommand, AHistoryThatSaysNothingIsVacuous) {
  std::ofstream(Path("nothing.edn")) << "{:process 0, :type :invoke, :f :write, :value 1}\n"
                                        "{:process 0, :type :fail, :f :write, :value 1}";
  const Ended ended = RunCommand("check " + Path("nothing.edn"));
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.output, HasSubstr("vacuous (strongest: unknown)"));
}

class PlantedCommand : public testing::Test {
 protected:
  PlantedCommand() {
    const Json bug = {{"name", "a_bug"},           {"variant", "cas_slots"},
                      {"patch", "a.patch"},        {"tiers", {"sweep", "conformance"}},
                      {"verdicts", {"violation"}}, {"budget_s", 1},
                      {"command", "/nonexistent"}, {"conformance_command", "/bin/true"}};
    Json control = bug;
    control["name"] = "a_control";
    control["control"] = true;
    Json caught = bug;
    caught["name"] = "a_caught_bug";
    caught["tiers"] = {"conformance"};
    caught["conformance_command"] = "/bin/false";
    std::ofstream(Path("manifest.json")) << Json::array({bug, control, caught});
  }
  static Ended Planted(const std::string& arguments) {
    return RunCommand("planted --manifest=" + Path("manifest.json") + " " + arguments);
  }
};

TEST_F(PlantedCommand, WhatIsNotBuiltIsNoAnswer) {
  const Ended ended = Planted("--name=a_bug --json=" + Path("planted.json"));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("not built"));
  EXPECT_THAT(ended.output, HasSubstr("no answer: a_bug: not_built (sweep)"));
  EXPECT_THAT(ended.output, HasSubstr("--build builds"));
  EXPECT_THAT(ended.output, Not(HasSubstr("not caught: a_bug")));
  const absl::StatusOr<Json> result = ReadJsonFile(Path("planted.json"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["runs"][0]["verdict"], "undecided");
  EXPECT_EQ(Planted("--name=controls").exit_code, 3) << "a control that did not run did not pass";
}

TEST_F(PlantedCommand, WhyThereIsNoAnswerIsSaid) {
  const Ended ended = RunLine(absl::StrCat("TMPDIR=/nonexistent ", KILL9_COMMAND,
                                           " planted --manifest=", Path("manifest.json"),
                                           " --name=a_bug --tier=conformance 2>&1"));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output,
              HasSubstr("a_bug: error (conformance): cannot make a temporary folder"));
  EXPECT_THAT(ended.output, HasSubstr("TMPDIR names another place"));
}

TEST_F(PlantedCommand, ATierThatRanAndSawNothingHasNotCaughtIt) {
  const Ended ended = Planted("--name=a_bug --tier=conformance");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("not caught: a_bug"));
  EXPECT_EQ(Planted("--name=a_bug --tier=conformance --json=/dev/full").exit_code, 1);
  EXPECT_EQ(Planted("--name=a_caught_bug").exit_code, 0);
  EXPECT_EQ(Planted("--name=a_control --tier=conformance").exit_code, 0);
}

// What cleans up behind a folder is a child of the command, and none of what its steps left.
TEST_F(PlantedCommand, LeavesNoFolder) {
  const OwnFolder own;
  const Ended ended = RunLine(absl::StrCat("TMPDIR=", own.path(), " ", KILL9_COMMAND,
                                           " planted --manifest=", Path("manifest.json"),
                                           " --name=a_bug --tier=conformance 2>&1"));
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_TRUE(std::filesystem::is_empty(own.path()));
}

TEST_F(PlantedCommand, EndsAfterTheFirstThatIsNotCaughtIfThatIsAsked) {
  const Ended all = Planted("--name=bugs --tier=conformance");
  EXPECT_THAT(all.output, HasSubstr("\na_caught_bug "));
  const Ended first = Planted("--name=bugs --tier=conformance --fail-fast --quiet");
  EXPECT_EQ(first.exit_code, 1) << first.output;
  EXPECT_THAT(first.output, HasSubstr("not caught: a_bug\nnot asked after the first failure: 1\n"));
  EXPECT_THAT(first.output, Not(HasSubstr("a_caught_bug")));
  EXPECT_THAT(Planted("--name=a_caught_bug --quiet").output,
              testing::StartsWith("1 of 1 as expected"));
}

TEST_F(PlantedCommand, WhatWasInterruptedIsToldAsThat) {
  const std::string begun = Path("begun");
  std::filesystem::remove(begun);
  const std::string slow = Path("slow.sh");
  std::ofstream(slow) << "#!/bin/sh\n: >" << begun << "\nexec sleep 600\n";
  std::filesystem::permissions(slow, std::filesystem::perms::owner_all);
  const Json bug = {{"name", "a_slow_bug"},     {"variant", "cas_slots"},     {"patch", "a.patch"},
                    {"tiers", {"conformance"}}, {"verdicts", {"leak"}},       {"budget_s", 600},
                    {"command", "/none"},       {"conformance_command", slow}};
  std::ofstream(Path("slow.json")) << Json::array({bug});
  const Ended ended =
      RunLine(std::string(KILL9_COMMAND) + " planted --manifest=" + Path("slow.json") +
              " --json=" + Path("interrupted.json") + " 2>&1 & planted=$!; until [ -e " + begun +
              " ]; do sleep 0.05; done; kill -INT $planted; wait $planted");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("no answer: a_slow_bug: interrupted (conformance)"));
  EXPECT_THAT(ended.output, Not(HasSubstr("timeout")));
  const absl::StatusOr<Json> result = ReadJsonFile(Path("interrupted.json"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["interrupted"], true);
  EXPECT_EQ((*result)["runs"][0]["verdict"], "undecided");
}

TEST_F(PlantedCommand, WhatWasNotAskedIsNoPass) {
  const Ended ended = Planted("--name=a_caught_bug --tier=tsan");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("none of its tiers was asked"));
  EXPECT_EQ(Planted("--name=a_caught_bug --seeds=0").exit_code, 2);
  EXPECT_EQ(Planted("--name=cas_slots,bugs").exit_code, 3);
}

}  // namespace
}  // namespace kill9

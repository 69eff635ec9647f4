// kill9 replay from outside: result files of each tier, and files that are none.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/run_command.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

std::string InFolder(const std::string& name) { return testing::TempDir() + "/" + name; }

std::string WriteRuns(const std::string& name, const char* kind, const Json& runs) {
  std::ofstream(InFolder(name)) << Json{
      {"schema", "kill9/1"},
      {"kind", kind},
      {"runs", runs}}.dump();
  return InFolder(name);
}

Json SweepRun(uint32_t at) {
  return {{"variant", "global_mutex"},
          {"verdict", "violation"},
          {"operation", "put_same"},
          {"state", "one_entry"},
          {"counterexample",
           {{"kind", "sweep"}, {"mode", "kill"}, {"plan", "work_first"}, {"at", {at}}}}};
}

TEST(ReplayCommand, RefusesWhatIsNoResultFile) {
  std::ofstream(InFolder("no_result.json")) << "[1, 2]";
  EXPECT_EQ(RunCommand("replay " + InFolder("no_result.json")).exit_code, 2);
  EXPECT_EQ(RunCommand("replay " + InFolder("no_such_file.json")).exit_code, 2);
}

TEST(ReplayCommand, ATortureResultWithoutAFailureHasNothingToRepeat) {
  const std::string path = InFolder("replay_torture.json");
  ASSERT_EQ(
      RunCommand(
          "torture --variant=global_mutex --scenario=steady --seconds=600 --kills=100 --json=" +
          path)
          .exit_code,
      0);
  const Ended ended = RunCommand("replay " + path);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.output, HasSubstr("no run of"));
}

// As often as asked; its exit code is passed on.
TEST(ReplayCommand, AFailureOfACheckIsRepeatedFromItsFields) {
  const std::string history = InFolder("replay history.edn");
  std::ofstream(history) << "{:process 0, :type :invoke, :f :write, :value 1}\n"
                            "{:process 0, :type :ok, :f :write, :value 1}\n"
                            "{:process 0, :type :invoke, :f :read, :value nil}\n"
                            "{:process 0, :type :ok, :f :read, :value 2}\n";
  const Json run = {{"file", history},
                    {"model", "register"},
                    {"condition", "strict"},
                    {"verdict", "violation"},
                    {"repeat", "kill9 list"}};
  const std::string path = WriteRuns("replay_check.json", "check", Json::array({run}));
  const Ended ended = RunCommand("replay --times=3 " + path);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("repeating"));
  EXPECT_THAT(ended.output, HasSubstr(history + ": violation"));
}

// What was found may not come again: what was kept of it is checked first.
TEST(ReplayCommand, TheKeptHistoryOfAFailureIsCheckedFirst) {
  const Json run = {{"variant", "robust_unrepaired"},
                    {"scenario", "steady"},
                    {"verdict", "violation"},
                    {"history", "/elsewhere/kept.edn"},
                    {"history_is_whole", true},
                    {"history_is_checkable", true},
                    {"repeat_with", {{"seed", 7}, {"seconds", 1.0}, {"processes", 2}}}};
  const std::string path = WriteRuns("replay_kept.json", "torture", Json::array({run}));
  const std::string kept =
      (std::filesystem::path(path).parent_path() / "kept.edn").string();  // beside the result
  const auto replay = [&](const std::string& history) {
    std::ofstream(kept) << history;
    return RunCommand("replay " + path).output;
  };
  const std::string put =
      "{:process 0, :type :invoke, :f :put, :key 7, :value 4294967300}\n"
      "{:process 0, :type :ok, :f :put, :key 7, :value 4294967300}\n"
      "{:process 1, :type :invoke, :f :get, :key 7}\n";
  const std::string legal =
      replay(put + "{:process 1, :type :ok, :f :get, :key 7, :value 4294967300}\n");
  EXPECT_THAT(legal, HasSubstr("all 2 operations (" + kept + "): pass\n"));
  EXPECT_THAT(legal, HasSubstr("nothing that the operations that ended show"));
  const std::string illegal = replay(put + "{:process 1, :type :ok, :f :get, :key 7, :value nil}");
  const size_t said = illegal.find("all 2 operations (" + kept + "): violation\n");
  ASSERT_NE(said, std::string::npos) << illegal;
  const size_t shown = illegal.find("key 7 is not strict", said);
  ASSERT_NE(shown, std::string::npos) << illegal;
  EXPECT_LT(shown, illegal.find("looking for an instruction"));
  EXPECT_THAT(replay("{:process"), HasSubstr("cannot be read: " + kept + ":1:"));
}

TEST(ReplayCommand, AFailureOfTortureIsRepeatedFromItsFields) {
  const Json run = {
      {"variant", "global_mutex"},
      {"scenario", "steady"},
      {"verdict", "undecided"},
      {"repeat_with",
       {{"seed", 7}, {"seconds", 600.0}, {"processes", 2}, {"kills", 200}, {"workload", "mixed"}}}};
  const Ended ended = RunCommand(
      "replay " + WriteRuns("replay_torture_fields.json", "torture", Json::array({run})));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output,
              HasSubstr("--processes=2 --seed=7 --kills=200 --shape=usual --workload=mixed"));
  EXPECT_THAT(ended.output, HasSubstr("pass"));
}

// Whoever made the file: nothing in it is run as a command, nothing is overwritten, and what failed
// and is not repeated is no pass.
TEST(ReplayCommand, AFileThatMeansHarmIsRefused) {
  const std::string victim = InFolder("victim.txt");
  const Json torture = {{"variant", "global_mutex"},
                        {"scenario", "steady"},
                        {"verdict", "violation"},
                        {"processes", 2},
                        {"seconds", 1},
                        {"repeat_with", {{"seed", 1}, {"seconds", 1}, {"processes", 2}}}};
  const auto with = [](Json run, const char* field, const Json& value) {
    run[field] = value;
    return run;
  };
  const Json sweep = SweepRun(100);
  const auto example = [&sweep](const char* field, const Json& value) {
    Json run = sweep;
    run["counterexample"][field] = value;
    return run;
  };
  const auto fields = [&torture](const char* field, const Json& value) {
    Json run = torture;
    run["repeat_with"][field] = value;
    return run;
  };
  const std::string overwrite = "kill9 check /dev/null --json=" + victim;
  const Json runs = {
      {{"verdict", "violation"}, {"repeat", overwrite}},
      {{"verdict", "violation"}, {"repeat", 7}},
      {{"verdict", "violation"}},
      {{"verdict", 5}},
      {{"verdict", "splendid"}},
      Json::object(),
      nullptr,
      "violation",
      with(torture, "variant", "global_mutex --json=" + victim),
      with(torture, "variant", 3),
      with(torture, "scenario", "steady,x"),
      with(torture, "repeat_with", "--json=" + victim),
      fields("seed", -1),
      fields("seed", 0.5),
      fields("seconds", "1 --json=" + victim),
      fields("seconds", 1e300),
      fields("processes", 1000000),
      fields("workload", "mixed --json=" + victim),
      fields("shape", "usual --json=" + victim),
      fields("shape", "stripes=3"),
      with(sweep, "variant", "nonsense"),
      with(sweep, "operation", Json::array()),
      example("mode", "bogus"),
      example("plan", 3),
      example("at", {1, 2, 3, 4}),
      example("at", Json::array({-1})),
      example("at", Json::array({1.5})),
      example("at", Json::array({1ull << 40})),
      example("at", "100"),
  };
  for (const Json& run : runs) {
    std::ofstream(victim) << "mine";
    const Ended ended =
        RunCommand("replay " + WriteRuns("harm.json", "torture", Json::array({run})));
    EXPECT_EQ(ended.exit_code, 2) << run.dump() << "\n" << ended.output;
    std::string content;
    std::getline(std::ifstream(victim), content);
    EXPECT_EQ(content, "mine") << run.dump();
  }
  const Json check = {{"verdict", "violation"}, {"model", "map"}, {"condition", "strict"}};
  for (const std::string& file : {std::string("/dev/zero"), std::string("--json=") + victim}) {
    const std::string path =
        WriteRuns("harm.json", "check", Json::array({with(check, "file", file)}));
    EXPECT_EQ(RunCommand("replay " + path).exit_code, 2) << file;
  }
  EXPECT_EQ(RunCommand("replay " + WriteRuns("no_runs.json", "torture", Json::array())).exit_code,
            3);
}

TEST(ReplayCommand, WhatIsNoFileOfJsonIsRefused) {
  std::ofstream(InFolder("deep.json")) << std::string(1'000'000, '[');
  std::ofstream(InFolder("deep_and_closed.json"))
      << R"({"schema": "kill9/1", "runs": )" << std::string(100'000, '[')
      << std::string(100'000, ']') << "}";
  std::ofstream(InFolder("huge.json")).seekp(1ll << 40).write("x", 1);
  for (const std::string& path :
       {testing::TempDir(), std::string("/dev/zero"), InFolder("deep.json"),
        InFolder("deep_and_closed.json"), InFolder("huge.json")}) {
    for (const char* command : {"replay ", "report --input=", "planted --manifest="}) {
      const Ended ended = RunCommand(command + path);
      EXPECT_EQ(ended.exit_code, 2) << command << path << "\n" << ended.output;
    }
  }
}

// A result of a plugin or a program, without it.
TEST(ReplayCommand, AnObjectThatIsNotHereIsNamedOnceWithTheLineThatHasIt) {
  Json mine = SweepRun(5);
  mine["variant"] = "my_lock";
  mine["operation"] = "acquire";
  mine["state"] = "used";
  mine["repeat"] = "kill9 --plugin=./libmy_lock.so sweep --operation=acquire";
  const Ended ended =
      RunCommand("replay " + WriteRuns("not_here.json", "sweep", Json::array({mine, mine})));
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_EQ(ended.output,
            "kill9 replay: there is no variant 'my_lock' here: how the command was called that has "
            "it, its line tells: kill9 --plugin=./libmy_lock.so sweep --operation=acquire\n");
}

TEST(ReplayCommand, APlaceOfASweepThatPassesIsSaidToPass) {
  const Ended ended = RunCommand(
      "replay --times=5 " + WriteRuns("replay_sweep.json", "sweep", Json::array({SweepRun(100)})));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("failed 0 times of 5"));
}

// 2>&-: what is opened next is no place for what is said there.
TEST(ReplayCommand, GoesOnWhereNobodyListensToErrors) {
  const std::string found = InFolder("found_by_sweep.json");
  ASSERT_EQ(RunCommand("sweep --variant=robust_unrepaired --operation=put_same --state=one_entry "
                       "--json=" +
                       found)
                .exit_code,
            1);
  EXPECT_EQ(RunLine(KILL9_COMMAND " replay " + found + " >/dev/null 2>&-").exit_code, 1);
}

TEST(ReplayCommand, APlaceThatDoesNotExistIsUndecidedAndNoPass) {
  const Ended ended = RunCommand(
      "replay " + WriteRuns("replay_nowhere.json", "sweep", Json::array({SweepRun(1'000'000)})));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("there is no instruction"));
}

TEST(SweepCommand, ExplainsNamesThatThereAreNot) {
  ExpectUsageErrors([](const char* arguments) { return RunCommand(arguments); },
                    {{"sweep --variant=nonsense", KnownVariants()},
                     {"sweep --operation=get,nonsense", "known are: all, put_insert"},
                     {"sweep --second=nonsense", "--second: there is no 'nonsense'"},
                     {"sweep --state=nonsense", "known are: all, empty, one_entry"}});
}

TEST(SweepCommand, InterruptedIsNoPass) {
  const std::string said = InFolder("interrupted_sweep.txt");
  std::filesystem::remove(said);  // an earlier run's would be taken for this one's
  // Of its cells, the first one's end is waited for, a minute at most.
  const Ended ended =
      RunLine(std::string(KILL9_COMMAND) + " sweep --full --variant=all 2>" + said +
              " & sweep=$!; for look in $(seq 1200); do grep -qs '^.1/' " + said +
              " && break; sleep 0.05; done; kill -INT $sweep; wait $sweep; code=$?" + "; cat " +
              said + "; exit $code");
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.output, HasSubstr("interrupted: the cells above are what was swept"));
  EXPECT_THAT(ended.output, HasSubstr(": pass,"));
}

TEST(ReplayCommand, LeavesTheVictimToADebuggerRightBeforeItsInstruction) {
  const Ended ended = RunCommand(
      "replay --gdb " + WriteRuns("replay_gdb.json", "sweep", Json::array({SweepRun(100)})),
      "bt 8\nkill\nquit");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("The victim stands right before the instruction"));
  if (std::system("command -v gdb >/dev/null") == 0) {
    EXPECT_THAT(ended.output, HasSubstr("kill9::Store::Put")) << "a debugger sees where it stands";
  }
}

}  // namespace
}  // namespace kill9

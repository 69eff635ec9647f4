// kill9 sweep from outside: what was asked for and is not run is no pass.
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Ended Sweep(const std::string& arguments) {
  return RunLine(std::string(KILL9_COMMAND) + " sweep " + arguments + " 2>&1 </dev/null");
}

constexpr char kCell[] = "--variant=global_mutex --operation=get --state=one_entry ";

TEST(SweepCommand, LeavesOutWhatCannotBeStepped) {
  const Ended ended = Sweep("--variant=pmemobj --operation=get --state=one_entry");
  if (ended.exit_code == 2) GTEST_SKIP() << ended.output;  // was built without it
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("pmemobj: skipped: to open its pool"));
  EXPECT_THAT(ended.output, HasSubstr("no cell was swept"));
}

TEST(SweepCommand, RefusesWhatItWouldNotRun) {
  const std::string cell = kCell;
  ExpectUsageErrors(
      [](const char* arguments) { return Sweep(arguments); },
      {
          {"--variant=bogus", "known are: all"},
          {"--operation=bogus", "known are: all, put_insert"},
          {"--state=bogus", "known are: all, empty"},
          {"--breakpoints=bogus", "known are: all, first_that_works, debug_registers, int3"},
          {"--breakpoints=all", "--breakpoints takes one name"},
          {"--mode=kill", "--mode requires --at"},
          {"--plan=work_first", "--plan requires --at"},
          {"--second=erase", "--second needs --two-victims"},
          {"--two-victims --second=erase,get", "--second takes one name"},
          {"--watchdog=nan", "nan"},
          {"--seconds=inf", "inf"},
          {"--operation=create --state=one_entry", "there is nothing to sweep for 'create'"},
          {"--operation=get,create --state=one_entry", "there is nothing to sweep for 'create'"},
          {"--operation=get --state=one_entry,all_participants_dead",
           "there is nothing to sweep for 'all_participants_dead'"},
          {"--operation=create --state=empty --resume", "say nothing of create"},
          {"--operation=create --state=empty --kill-after-resume", "say nothing of create"},
          {"--operation=create --state=empty --reuse", "say nothing of create"},
          {"--at=1 --operation=get --state=one_entry --variant=all", "needs one --variant"},
      });
  for (const auto& [arguments, message] : std::initializer_list<Refused>{
           {"--at=1 --mode=bogus", "known are: all, kill, recovery, two_victims, stall, resume"},
           {"--at=1 --mode=all", "--mode takes one name"},
           {"--at=1 --plan=bogus", "known are: all, work_first, recover_first, look_first"},
           {"--at=1,2 --mode=kill", "a place of mode kill has 1 numbers, not 2"},
           {"--at=1 --mode=recovery", "has 2 or 3 numbers, not 1"},
           {"--at=1 --mode=two_victims", "has 2 numbers, not 1"},
           {"--at=1,2,3,4 --mode=resume", "has 2 numbers, not 4"},
           {"--at=1 --stall", "excludes"},
           {"--at=1 --full", "excludes"},
           {"--at=1 --json=/dev/null", "excludes"},
       }) {
    const Ended ended = Sweep(cell + arguments);
    EXPECT_EQ(ended.exit_code, 2) << arguments << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(message)) << arguments;
  }
}

// What failed comes once more at the end, with one line of all.
TEST(SweepCommand, EndsAfterTheFirstFailureAndIsQuietIfThatIsAsked) {
  const std::string cells =
      "--variant=robust_unrepaired --operation=put_same,put_smaller,get --state=one_entry "
      "--workers=1 --failures=1 ";
  const std::string path = testing::TempDir() + "/fail_fast.json";
  const Ended whole = Sweep(cells);
  EXPECT_THAT(whole.output, HasSubstr("robust_unrepaired get one_entry: pass, "));
  EXPECT_THAT(whole.output, HasSubstr("\n3 cells: 2 pass, 1 violation\n")) << "the premise";
  const Ended ended = Sweep(cells + "--fail-fast --quiet --json=" + path);
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, Not(HasSubstr(": pass, ")));
  EXPECT_THAT(ended.output, Not(HasSubstr("shapes: ")));
  EXPECT_THAT(ended.output, HasSubstr(": violation: key 'target-0': no legal order"));
  EXPECT_THAT(ended.output, HasSubstr("\n1 cell: 1 violation\n"));
  const Json result = Json::parse(std::ifstream(path), nullptr, false);
  ASSERT_TRUE(result.is_object());
  EXPECT_EQ(result["runs"].size(), 1u);
  EXPECT_FALSE(result["interrupted"].get<bool>()) << "nobody interrupted it";
}

TEST(SweepCommand, WithoutAnyCellOrKillItIsNoPass) {
  const Ended none = Sweep(std::string(kCell) + "--seconds=1e-9");
  EXPECT_EQ(none.exit_code, 3) << none.output;
  EXPECT_THAT(none.output, HasSubstr("no cell was swept"));
  // There is no such instruction: nothing is repeated.
  const Ended beyond = Sweep(std::string(kCell) + "--at=100000");
  EXPECT_EQ(beyond.exit_code, 3) << beyond.output;
  EXPECT_THAT(beyond.output, HasSubstr("there is no instruction 100000"));
}

TEST(SweepCommand, ThePlaceThatWasAskedForIsRepeated) {
  for (const char* place : {"--at=3", "--at=3 --mode=kill --plan=recover_first",
                            "--at=3,2 --mode=recovery", "--at=3,0 --mode=resume",
                            "--at=3 --mode=stall", "--at=3,2 --mode=two_victims --second=erase"}) {
    const Ended ended = Sweep(std::string(kCell) + place);
    EXPECT_EQ(ended.exit_code, 0) << place << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("failed 0 times of 1")) << place;
  }
}

TEST(SweepCommand, SaysHowVictimsWereStopped) {
  const std::string file = testing::TempDir() + "/stopped_by.json";
  const Ended ended = Sweep(std::string(kCell) + "--breakpoints=int3 --json=" + file);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("stopped by int3"));
  std::ifstream written(file);
  const Json run = Json::parse(written)["runs"][0];
  EXPECT_EQ(run["stopped_by"], "int3");
  EXPECT_EQ(run["hardware_breakpoints"], false);
  EXPECT_GT(run["page_faults_per_kill"]["victim"], 0);
}

// A result file by somebody's hand, or of another version.
TEST(SweepCommand, ReplayRefusesAModeOrAPlanThatItDoesNotKnow) {
  for (const auto& [mode, plan] : {std::pair("bogus", "work_first"), std::pair("kill", "bogus")}) {
    const std::string file = testing::TempDir() + "/unknown.json";
    const Json run = {
        {"variant", "global_mutex"},
        {"operation", "get"},
        {"state", "one_entry"},
        {"verdict", "violation"},
        {"counterexample", {{"kind", "sweep"}, {"mode", mode}, {"plan", plan}, {"at", {3}}}}};
    std::ofstream(file) << Json{{"schema", "kill9/1"}, {"kind", "sweep"}, {"runs", {run}}}.dump();
    const Ended ended =
        RunLine(std::string(KILL9_COMMAND) + " replay " + file + " 2>&1 </dev/null");
    EXPECT_EQ(ended.exit_code, 2) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("'bogus'; known are: "));
  }
}

// The line of the source that says so.
int LineOf(const std::string& path, const std::string& part) {
  std::ifstream file(std::string(KILL9_SOURCE_DIR) + "/" + path);
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.find(part) != std::string::npos) return number;
  }
  return 0;
}

TEST(SweepCommand, TellsInWhichLineAStuckSurvivorWaits) {
  const std::string source = "variants/baselines/one_semaphore.cc";
  const int line = LineOf(source, "sem_wait(&semaphore)");
  ASSERT_NE(line, 0);
  const std::string waits = "  " + source + ":" + std::to_string(line) + "\n";
  const std::string cell = "--variant=one_semaphore --operation=put_insert --state=empty ";
  const std::string path = testing::TempDir() + "/sweep_waiting.json";
  const Ended swept = Sweep(cell + "--failures=1 --watchdog=1 --json=" + path);
  ASSERT_EQ(swept.exit_code, 1) << swept.output;
  EXPECT_THAT(swept.output, HasSubstr("the waiting process is asleep in futex, on the word at"));
  EXPECT_THAT(swept.output, HasSubstr(waits));
  const Json result = Json::parse(std::ifstream(path), nullptr, false);
  ASSERT_TRUE(result.is_object());
  const Json& run = result["runs"][0];
  EXPECT_EQ(run["verdict"], "stuck");
  ASSERT_FALSE(run["waiting"]["stack"].empty());

  const Ended again = RunLine(std::string(KILL9_COMMAND) + " replay " + path + " 2>&1 </dev/null");
  EXPECT_EQ(again.exit_code, 1) << again.output;
  EXPECT_THAT(again.output, HasSubstr(waits));
  EXPECT_THAT(again.output, HasSubstr("where the victim stands:"));
}

// What two runs of a cell have in common: times and what a busy machine does to a tracer are left
// out.
Json Comparable(const std::string& path) {
  const Json result = Json::parse(std::ifstream(path), nullptr, false);
  if (!result.is_object()) return result;
  std::map<std::string, Json> runs;
  for (Json run : result["runs"]) {
    for (const char* of_the_machine :
         {"seconds", "kill_points_per_second", "page_faults_per_kill", "strayed_victims"}) {
      run.erase(of_the_machine);
    }
    runs[run["operation"].get<std::string>() + " " + run["state"].get<std::string>()] = run;
  }
  return {{"runs", runs},
          {"coverage", result["coverage"]},
          {"kill_points", result["kill_points"]},
          {"interrupted", result["interrupted"]},
          {"goes_on", result.contains("to_continue")}};
}

// Sweeps, and is interrupted (`how` names it $sweep) as soon as a further cell is done. What an
// earlier sweep said must be gone before: else the signal may come before this one has begun.
Ended SweepInterrupted(const std::string& how, const std::string& arguments,
                       const std::string& said) {
  std::filesystem::remove(said);
  return RunLine(std::string(KILL9_COMMAND) + " sweep " + arguments + " >/dev/null 2>" + said +
                 " & sweep=$!; until grep -qs '^.[0-9]*/' " + said +
                 " || ! kill -0 $sweep; do sleep 0.05; done; " + how +
                 "; wait $sweep; code=$?; cat " + said + "; exit $code");
}

TEST(SweepCommand, AnInterruptedOneGoesOnToTheResultOfOneThatWasNot) {
  const std::string cells =
      "--variant=global_mutex --operation=get,put_same,erase --full "
      "--state=one_entry,collision_pair --workers=1 --seed=3 ";
  const std::string whole = testing::TempDir() + "/sweep_whole.json";
  const std::string part = testing::TempDir() + "/sweep_part.json";
  ASSERT_EQ(Sweep(cells + "--json=" + whole).exit_code, 0);
  // As a scheduler does that ends a job: all processes are told, here those of the cell first.
  const std::string all_of_it =
      "for worker in $(cat /proc/$sweep/task/*/children); do "
      "kill -TERM $(cat /proc/$worker/task/*/children) $worker; done; kill -TERM $sweep";
  const Ended first = SweepInterrupted(all_of_it, cells + "--json=" + part, part + ".said");
  ASSERT_EQ(first.exit_code, 3) << first.output;
  EXPECT_THAT(first.output, HasSubstr("to go on: the same options, and --continue=" + part +
                                      "; its kill coverage is told then"));
  const Json interrupted = Comparable(part);
  ASSERT_TRUE(interrupted.is_object());
  EXPECT_TRUE(interrupted["goes_on"].get<bool>());
  EXPECT_TRUE(interrupted["coverage"].empty()) << "nobody waits for debug information";
  const size_t all = Comparable(whole)["runs"].size();
  ASSERT_GE(interrupted["runs"].size(), 1u);
  ASSERT_LT(interrupted["runs"].size(), all) << "it was interrupted before its end";

  // What is undecided, as by a signal to a process of its cell, is swept again.
  Json undecided = Json::parse(std::ifstream(part), nullptr, false);
  for (Json& run : undecided["runs"]) run["verdict"] = "undecided";
  undecided["to_continue"]["addresses"] = Json::array();
  undecided["to_continue"]["kill_points"] = 0;
  std::ofstream(part) << undecided.dump();

  // Other options, another sweep.
  EXPECT_THAT(Sweep("--variant=global_mutex --continue=" + part).output,
              HasSubstr("that sweep was asked for otherwise"));
  const Ended other = Sweep(cells + "--sample=9 --continue=" + part);
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("(sample: 8, now 9)"));

  // Interrupted once more, and then finished.
  const Ended second =
      SweepInterrupted("kill -INT $sweep", cells + "--continue=" + part, part + ".said");
  ASSERT_EQ(second.exit_code, 3) << second.output;
  const Json done = Comparable(part)["runs"];
  const Ended last = Sweep(cells + "--continue=" + part);
  ASSERT_EQ(last.exit_code, 0) << last.output;
  size_t decided = 0;
  for (const auto& [name, run] : done.items()) {
    if (run["verdict"] == "undecided") continue;
    ++decided;
    EXPECT_THAT(last.output, Not(HasSubstr(" global_mutex " + name + ":"))) << "it was done";
  }
  EXPECT_GE(decided, 1u) << "the premise";
  EXPECT_EQ(Comparable(part), Comparable(whole));
  EXPECT_THAT(Sweep(cells + "--continue=" + part).output, HasSubstr("was not interrupted"));
}

TEST(SweepCommand, RefusesToGoOnWithWhatIsNoInterruptedSweep) {
  const std::string path = testing::TempDir() + "/no_sweep.json";
  std::ofstream(path) << R"({"schema": "kill9/1", "kind": "torture", "runs": []})";
  for (const auto& [arguments, message] :
       std::initializer_list<std::pair<std::string, std::string>>{
           {"--continue=" + path, "it is no result of a sweep"},
           {"--continue=/nonexistent", "/nonexistent"},
           {"--continue=" + path + " --seconds=1", "--continue and --seconds"},
           {"--continue=" + path + " --at=1", "excludes"}}) {
    const Ended ended = Sweep(kCell + arguments);
    EXPECT_EQ(ended.exit_code, 2) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(message));
  }
}

}  // namespace
}  // namespace kill9

// kill9 sweep from outside: what was asked for and is not run is no pass.
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

Ended Sweep(const std::string& arguments) {
  return RunLine(std::string(KILL9_COMMAND) + " sweep " + arguments + " 2>&1 </dev/null");
}

constexpr char kCell[] = "--variant=global_mutex --operation=get --state=one_entry ";

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

}  // namespace
}  // namespace kill9

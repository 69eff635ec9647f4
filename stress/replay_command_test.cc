// kill9 replay from outside: result files of each tier, and files that are none.
#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result.h"
#include "stress/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

Ended RunCommand(const std::string& arguments, const std::string& input = "") {
  const std::string feed = input.empty() ? "</dev/null" : "<<'END'\n" + input + "\nEND";
  return RunLine(std::string(KILL9_COMMAND) + " " + arguments + " 2>&1 " + feed);
}

std::string Path(const std::string& name) { return testing::TempDir() + "/" + name; }

std::string WriteRuns(const std::string& name, const char* kind, const Json& runs) {
  std::ofstream(Path(name)) << Json{{"schema", "kill9/1"}, {"kind", kind}, {"runs", runs}}.dump();
  return Path(name);
}

Json SweepRun(uint32_t at) {
  return {{"variant", "global_mutex"},
          {"operation", "put_same"},
          {"state", "one_entry"},
          {"counterexample",
           {{"kind", "sweep"}, {"mode", "kill"}, {"plan", "work_first"}, {"at", {at}}}}};
}

TEST(ReplayCommand, RefusesWhatIsNoResultFile) {
  std::ofstream(Path("no_result.json")) << "[1, 2]";
  EXPECT_EQ(RunCommand("replay " + Path("no_result.json")).exit_code, 2);
  EXPECT_EQ(RunCommand("replay " + Path("no_such_file.json")).exit_code, 2);
}

TEST(ReplayCommand, ATortureResultWithoutAFailureHasNothingToRepeat) {
  const std::string path = Path("replay_torture.json");
  ASSERT_EQ(
      RunCommand("torture --variant=global_mutex --scenario=steady --seconds=1 --json=" + path)
          .exit_code,
      0);
  const Ended ended = RunCommand("replay " + path);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.output, HasSubstr("no run of"));
}

// The line of a torture failure is run as it stands, as often as asked; its exit code is passed on.
TEST(ReplayCommand, AFailureOfAnotherTierIsRepeatedByItsLine) {
  const std::string history = Path("replay_history.edn");
  std::ofstream(history) << "{:process 0, :type :invoke, :f :write, :value 1}\n"
                            "{:process 0, :type :ok, :f :write, :value 1}\n"
                            "{:process 0, :type :invoke, :f :read, :value nil}\n"
                            "{:process 0, :type :ok, :f :read, :value 2}\n";
  const std::string line = "kill9 check " + history + " --model=register";
  const std::string path = WriteRuns(
      "replay_line.json", "torture",
      Json::array(
          {{{"verdict", "violation"}, {"repeat", line + "  # best effort: the machine's"}}}));
  const Ended ended = RunCommand("replay --times=3 " + path);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(line));
  EXPECT_THAT(ended.output, HasSubstr("violation"));
  const std::string passing =
      WriteRuns("replay_passing.json", "torture", Json::array({{{"repeat", "kill9 list"}}}));
  EXPECT_EQ(RunCommand("replay " + passing).exit_code, 0);
}

TEST(ReplayCommand, APlaceOfASweepThatPassesIsSaidToPass) {
  const Ended ended = RunCommand(
      "replay --times=5 " + WriteRuns("replay_sweep.json", "sweep", Json::array({SweepRun(100)})));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("failed 0 times of 5"));
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
  const std::string said = Path("interrupted_sweep.txt");
  // Of its cells, the first one's end is waited for, a minute at most.
  const Ended ended =
      RunLine(std::string(KILL9_COMMAND) + " sweep --full --variant=all 2>" + said +
              " & sweep=$!; for look in $(seq 1200); do grep -q '^.1/' " + said +
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

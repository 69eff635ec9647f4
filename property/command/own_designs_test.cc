// A program outside the tree that is the command, with its own designs in the list
// (own_designs_command.cc).
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

Ended RunOwn(const std::string& arguments) {
  return RunLine(absl::StrCat(KILL9_OWN_DESIGNS_COMMAND " ", arguments, " 2>&1"));
}

TEST(OwnDesigns, StandInTheListBesideTheProjectsOwn) {
  const Ended ended = RunOwn("list");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("  own_guarded: "), HasSubstr("  own_unguarded: "),
                                  HasSubstr("  global_mutex: ")));
}

TEST(OwnDesigns, OneThatIsRightPassesTortureAndSweep) {
  const Ended torture =
      RunOwn("torture --variant=own_guarded --scenario=steady --kills=100 --seconds=600");
  EXPECT_EQ(torture.exit_code, 0) << torture.output;
  EXPECT_THAT(torture.output, HasSubstr("own_guarded"));
  const Ended sweep = RunOwn("sweep --variant=own_guarded --operation=get --state=one_entry");
  EXPECT_EQ(sweep.exit_code, 0) << sweep.output;
  EXPECT_THAT(sweep.output, HasSubstr("own_guarded"));
}

TEST(OwnDesigns, OneThatIsWrongFailsBoth) {
  const std::string counterexamples = testing::TempDir();
  const Ended torture = RunOwn(
      "torture --variant=own_unguarded --scenario=steady --kills=1000 --seconds=600 --seed=3 "
      "--counterexamples=" +
      counterexamples);
  EXPECT_EQ(torture.exit_code, 1) << torture.output;
  const Ended sweep =
      RunOwn("sweep --variant=own_unguarded --operation=put_same --state=one_entry");
  EXPECT_EQ(sweep.exit_code, 1) << sweep.output;
}

TEST(OwnDesigns, OnesOfANewKindPassTheGate) {
  const Ended gate =
      RunOwn("gate --variant=atomic_counter --tier=sweep,torture --kills=100 --cells=2 --output=" +
             testing::TempDir() + absl::StrCat("/gate_of_counters-", getpid()));
  EXPECT_EQ(gate.exit_code, 0) << gate.output;
  EXPECT_THAT(gate.output, ContainsRegex("sweep +atomic_counter +sweep:[a-z_:]+ +pass"));
  EXPECT_THAT(gate.output, ContainsRegex("torture +atomic_counter +steady +pass"));
  EXPECT_THAT(gate.output, Not(HasSubstr("hot_key")));  // a scenario of stores
}

TEST(OwnDesigns, OnesOfANewKindAreTorturedAndSwept) {
  const Ended torture =
      RunOwn("torture --variant=atomic_counter --scenario=steady --kills=100 --seconds=600");
  EXPECT_EQ(torture.exit_code, 0) << torture.output;
  const Ended sweep =
      RunOwn("sweep --variant=atomic_counter,own_guarded --operation=add,get --state=zero,empty");
  EXPECT_EQ(sweep.exit_code, 0) << sweep.output;
  EXPECT_THAT(sweep.output, AllOf(HasSubstr("atomic_counter add zero: pass"),
                                  HasSubstr("own_guarded get empty: pass"),
                                  HasSubstr("atomic_counter: kill coverage 100 %")));
  const std::string place = " --mode=two_victims --at=3,2";
  const Ended at = RunOwn("sweep --variant=atomic_counter --operation=add --state=zero" + place);
  EXPECT_EQ(at.exit_code, 0) << at.output;
  EXPECT_THAT(at.output, AllOf(HasSubstr("--second=add"), HasSubstr("failed 0 times of 1")));
}

TEST(OwnDesigns, OneOfANewKindThatIsWrongFailsAgainWhenItIsReplayed) {
  const std::string file = absl::StrCat(testing::TempDir(), "/own-", getpid(), ".json");
  const Ended sweep = RunOwn(
      "sweep --variant=redoing_counter --operation=add --state=zero --two-victims --json=" + file);
  EXPECT_EQ(sweep.exit_code, 1) << sweep.output;
  EXPECT_THAT(sweep.output, HasSubstr("model tally"));
  const Ended replay = RunOwn("replay --times=2 " + file);
  std::remove(file.c_str());
  EXPECT_EQ(replay.exit_code, 1) << replay.output;
  EXPECT_THAT(replay.output, HasSubstr("failed 2 times of 2"));
}

TEST(OwnDesigns, ANewKindIsNotSweptInWhatItDoesNotHave) {
  for (const auto& [arguments, message] : std::initializer_list<Refused>{
           {"sweep --variant=atomic_counter --operation=put_same",
            "there is nothing to sweep for 'atomic_counter'"},
           {"sweep --variant=atomic_counter --two-victims --second=erase",
            "objects of the kind 'counter' have no operation 'erase'"},
       }) {
    const Ended ended = RunOwn(arguments);
    EXPECT_EQ(ended.exit_code, 2) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(message)) << arguments;
  }
}

}  // namespace
}  // namespace kill9

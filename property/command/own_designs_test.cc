// A program outside the tree that is the command, with its own designs in the list
// (own_designs_command.cc).
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Ended RunOwn(const std::string& arguments) {
  return RunLine(std::string(KILL9_OWN_DESIGNS_COMMAND) + " " + arguments + " 2>&1");
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
      "torture --variant=own_unguarded --scenario=steady --kills=1000 --seconds=600 "
      "--counterexamples=" +
      counterexamples);
  EXPECT_EQ(torture.exit_code, 1) << torture.output;
  const Ended sweep =
      RunOwn("sweep --variant=own_unguarded --operation=put_same --state=one_entry");
  EXPECT_EQ(sweep.exit_code, 1) << sweep.output;
}

}  // namespace
}  // namespace kill9

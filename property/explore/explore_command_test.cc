// kill9 explore from outside.
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

Ended Kill9(const std::string& arguments) {
  return RunLine(std::string(KILL9_COMMAND) + " " + arguments + " 2>&1 </dev/null");
}

TEST(ExploreCommand, RefusesWhatItDoesNotHave) {
  ExpectUsageErrors(
      [](const char* arguments) { return Kill9(std::string("explore ") + arguments); },
      {
          {"--variant=bogus", "known are: all"},
          {"--scenario=bogus", "there is no operation 'bogus'"},
          {"--orderings --model=sc", "--model=c11"},
          {"--model=bogus", "known are: sc, tso, c11, compiler"},
          {"--strategy=bogus", "known are: auto, exhaustive, random"},
          {"--deaths=4", "4"},
          {"--token=bogus", "it is none of this program's"},
      });
}

TEST(ExploreCommand, ResultSaysWhatWasExploredAndReplayRepeatsIt) {
  const std::string file = testing::TempDir() + "explore_command_test.json";
  Ended ended = Kill9("explore --variant=cas_slots --scenario='get+erase put+get' --json=" + file);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  absl::StatusOr<Json> result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["kind"], "explore");
  ASSERT_EQ((*result)["runs"].size(), 2u);
  for (const Json& run : (*result)["runs"]) {
    EXPECT_EQ(run["verdict"], "pass");
    EXPECT_EQ(run["memory_model"], "sc");
    EXPECT_TRUE(run["exhaustive"].get<bool>());
    EXPECT_GT(run["schedules"].get<uint64_t>(), 0u);
    EXPECT_GT(run["deaths"].get<uint64_t>(), 0u);
    EXPECT_FALSE(run.contains("token"));
  }

  ended = Kill9("explore --variant=unsynchronised_hash --scenario=put+get --json=" + file);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("repeat (deterministic): kill9 explore --token="));
  // The source line of an access.
  EXPECT_THAT(ended.output, HasSubstr("table.cc:"));
  result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  const Json run = (*result)["runs"][0];
  EXPECT_EQ(run["verdict"], "violation");
  EXPECT_FALSE(run["exhaustive"].get<bool>());
  EXPECT_TRUE(run["confirmed"].is_null());
  const std::string token = run["token"];

  ended = Kill9("explore --times=100 --token='" + token + "'");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("failed 100 times of 100"));
  ended = Kill9("replay " + file);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("failed 1 times of 1"));
  std::filesystem::remove(file);
}

// Without the program that explores, nothing is said to pass.
TEST(ExploreCommand, IsSkippedWhereItWasNotBuilt) {
  const std::filesystem::path folder = testing::TempDir() + "explore_command_test";
  std::filesystem::create_directories(folder);
  const std::string command = folder / "kill9", file = folder / "result.json";
  std::filesystem::copy_file(KILL9_COMMAND, command,
                             std::filesystem::copy_options::overwrite_existing);
  const Ended ended = RunLine(command + " explore --variant=cas_slots --json=" + file + " 2>&1");
  EXPECT_THAT(ended.output, HasSubstr("skipped"));
  const absl::StatusOr<Json> result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["runs"][0]["verdict"], "skipped");
  EXPECT_FALSE((*result)["runs"][0]["reason"].get<std::string>().empty());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kill9

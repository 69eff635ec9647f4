// kill9 campaign: what was run is remembered, what was not is run next, and what fails is said.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CampaignCommand : public testing::Test {
 protected:
  CampaignCommand() : folder_(absl::StrCat(testing::TempDir(), "/campaign-command-", getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~CampaignCommand() override { std::filesystem::remove_all(folder_); }

  Ended Kill9(const std::string& arguments) const {
    return RunLine(absl::StrCat("cd ", folder_, " && " KILL9_COMMAND " ", arguments, " 2>&1"));
  }
  void WriteResult(const std::string& name, const std::string& verdict,
                   const std::string& commit) const {
    std::ofstream(absl::StrCat(folder_, "/", name))
        << Json{{"schema", "kill9/1"},
                {"kind", "torture"},
                {"started_at", "2026-11-29T00:00:0" + name.substr(0, 1)},
                {"build", {{"commit", commit}}},
                {"runs",
                 {{{"variant", "cas_slots"}, {"scenario", "steady"}, {"verdict", verdict}}}}}
               .dump();
  }

  std::string folder_;
};

TEST_F(CampaignCommand, RemembersWhatFailsAndSinceWhen) {
  WriteResult("1.json", "pass", "abc");
  WriteResult("2.json", "leak", "def");
  const Ended first = Kill9("campaign add all.db 1.json");
  EXPECT_EQ(first.exit_code, 0) << first.output;
  EXPECT_EQ(Kill9("campaign show all.db").exit_code, 0);
  EXPECT_EQ(Kill9("campaign add all.db 1.json 2.json").exit_code, 0);
  const Ended show = Kill9("campaign show all.db --html=all.html");
  EXPECT_EQ(show.exit_code, 1) << show.output;
  EXPECT_THAT(show.output, HasSubstr("2 runs"));
  EXPECT_THAT(show.output, HasSubstr("cas_slots steady: leak since def (passed with abc)"));
  std::ifstream page(folder_ + "/all.html");
  const std::string html((std::istreambuf_iterator<char>(page)), {});
  EXPECT_THAT(html, HasSubstr("leak since def"));
  // To standard output, alone.
  const Ended piped = Kill9("campaign show all.db --html=-");
  EXPECT_EQ(piped.exit_code, 1);
  EXPECT_EQ(piped.output, html);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/-"));
}

// The whole way: a plan that is run, by which the next one is another.
TEST_F(CampaignCommand, PlansWhatWasNeverTriedAndRunsIt) {
  const std::string plan = "campaign plan all.db --variant=global_mutex --seconds=7 --seed=3";
  const Ended before = Kill9(plan);
  ASSERT_EQ(before.exit_code, 0) << before.output;
  EXPECT_THAT(before.output, HasSubstr(" never tried, 0 not with this build"));
  EXPECT_THAT(before.output, HasSubstr("mkdir -p kill9-out/campaign\n"));
  EXPECT_EQ(Kill9(plan).output, before.output);  // planning runs nothing
  const Ended run = Kill9(plan + " --run --output=results");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/results/001.json"));
  const Ended after = Kill9(plan);
  EXPECT_NE(after.output, before.output);
  EXPECT_THAT(after.output, HasSubstr("never tried"));
  const Ended show = Kill9("campaign show all.db --variant=global_mutex");
  EXPECT_EQ(show.exit_code, 0) << show.output;
  EXPECT_THAT(show.output, HasSubstr("global_mutex"));
  EXPECT_THAT(show.output, HasSubstr("never tried: "));
}

TEST_F(CampaignCommand, CommandsOfAPlanAreLinesForAShell) {
  const Ended plan =
      Kill9("campaign plan all.db --variant=global_mutex --seconds=4 --seed=3 --output=\"a b\"");
  ASSERT_EQ(plan.exit_code, 0) << plan.output;
  EXPECT_THAT(plan.output, HasSubstr("mkdir -p 'a b'\n"));
  EXPECT_THAT(plan.output, HasSubstr(" campaign add all.db 'a b'/*.json\n"));
  EXPECT_THAT(plan.output, HasSubstr("--variant=global_mutex"));
}

TEST_F(CampaignCommand, WhatCannotBeDoneIsRefused) {
  WriteResult("1.json", "pass", "abc");
  std::ofstream(folder_ + "/other.json") << "{}";
  std::ofstream(folder_ + "/text.db") << "this is no campaign of anybody";
  for (const char* wrong :
       {"campaign", "campaign add", "campaign add all.db", "campaign forget all.db",
        "campaign add all.db absent.json", "campaign add all.db other.json",
        "campaign add text.db 1.json", "campaign show absent.db", "campaign plan all.db",
        "campaign plan all.db 1.json --seconds=5", "campaign show all.db --seconds=5",
        "campaign plan all.db --seconds=5 --html=x",
        "campaign plan all.db --seconds=5 --variant=x"}) {
    const Ended ended = Kill9(wrong);
    EXPECT_EQ(ended.exit_code, 2) << wrong << ": " << ended.output;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/absent.db"));
  EXPECT_THAT(Kill9("campaign add none/c.db 1.json").output,
              HasSubstr("unable to open database file: No such file or directory"));
}

}  // namespace
}  // namespace kill9

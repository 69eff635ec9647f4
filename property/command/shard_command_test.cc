// A run in shards, merged, says what the whole run says; what is missing is no pass.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

class Shards : public testing::Test {
 protected:
  Shards() : folder_(absl::StrCat(testing::TempDir(), "/shards-", getpid())) {
    std::filesystem::create_directories(folder_ + "/parts");
  }
  ~Shards() override { std::filesystem::remove_all(folder_); }

  static Ended Kill9(const std::string& arguments) {
    return RunLine(absl::StrCat(KILL9_COMMAND " ", arguments, " 2>&1"));
  }
  Json Read(const std::string& name) const {
    const absl::StatusOr<Json> json = ReadJsonFile(folder_ + "/" + name);
    EXPECT_TRUE(json.ok()) << json.status();
    return json.ok() ? *json : Json();
  }

  std::string folder_;
};

// What a cell's run says that does not depend on the machine's load.
std::map<std::string, Json> CellsOf(const Json& result) {
  std::map<std::string, Json> cells;
  for (const Json& run : result["runs"]) {
    Json& cell = cells[absl::StrCat(run["variant"].get<std::string>(), " ",
                                    run["scenario"].get<std::string>())];
    for (const char* field : {"variant", "operation", "state", "verdict", "instructions",
                              "kill_points", "distinct_segment_states", "outcomes"}) {
      cell[field] = run[field];
    }
  }
  return cells;
}

TEST_F(Shards, OfASweepMergedAreTheWholeSweep) {
  const std::string sweep =
      "sweep --variant=global_mutex,cas_slots --operation=get,erase --state=empty,one_entry "
      "--seed=3 --json=" +
      folder_;
  ASSERT_EQ(Kill9(sweep + "/whole.json").exit_code, 0);
  for (const int index : {1, 2, 3}) {
    const Ended part = Kill9(absl::StrCat(sweep, "/parts/", index, ".json --shard=", index, "/3"));
    ASSERT_EQ(part.exit_code, 0) << part.output;
  }
  // Into the folder itself, twice: what was merged before is no shard.
  for (int again = 0; again < 2; ++again) {
    const Ended merge =
        Kill9(absl::StrCat("merge ", folder_, "/parts --json=", folder_, "/parts/all.json"));
    EXPECT_EQ(merge.exit_code, 0) << merge.output;
    EXPECT_THAT(merge.output, HasSubstr("3 shards, 8 runs: 8 pass"));
  }
  const Json whole = Read("whole.json");
  const Json merged = Read("parts/all.json");
  ASSERT_EQ(whole["runs"].size(), 8u);
  EXPECT_EQ(CellsOf(merged), CellsOf(whole));
  ASSERT_EQ(merged["coverage"].size(), 2u);
  for (size_t n = 0; n < 2; ++n) {
    for (const char* field :
         {"variant", "instructions_executed", "lines_with_code", "lines_reached", "lines_killed_at",
          "lines_never_reached", "kill_coverage"}) {
      EXPECT_EQ(merged["coverage"][n][field], whole["coverage"][n][field]) << field;
    }
  }
}

TEST_F(Shards, OneThatIsMissingLeavesTheWholeUndecided) {
  const Ended part = Kill9(absl::StrCat(
      "sweep --variant=global_mutex --operation=get --state=empty,one_entry --shard=1/2 --json=",
      folder_, "/parts/1.json"));
  ASSERT_EQ(part.exit_code, 0) << part.output;
  const Ended merge =
      Kill9(absl::StrCat("merge ", folder_, "/parts --json=", folder_, "/all.json"));
  EXPECT_EQ(merge.exit_code, 3);
  EXPECT_THAT(merge.output, HasSubstr("undecided: shard 2/2 is missing"));
  EXPECT_EQ(Read("all.json")["runs"].size(), 2u);
  // What is not written is told anyway.
  const Ended full = Kill9(absl::StrCat("merge ", folder_, "/parts --json=/dev/full"));
  EXPECT_EQ(full.exit_code, 2);
  EXPECT_THAT(full.output, HasSubstr("undecided: shard 2/2 is missing"));
}

TEST_F(Shards, OfTortureMergedHaveEachRunOnce) {
  const std::string torture =
      "torture --variant=global_mutex,cas_slots --scenario=steady,hot_key --seed=7 --rounds=2 "
      "--kills=50 --seconds=600 ";
  for (const int index : {1, 2}) {
    const Ended part = Kill9(
        absl::StrCat(torture, "--json=", folder_, "/parts/", index, ".json --shard=", index, "/2"));
    ASSERT_EQ(part.exit_code, 0) << part.output;
    EXPECT_EQ(Read(absl::StrCat("parts/", index, ".json"))["runs"].size(), 4u);
  }
  const Ended merge =
      Kill9(absl::StrCat("merge ", folder_, "/parts --json=", folder_, "/all.json"));
  EXPECT_EQ(merge.exit_code, 0) << merge.output;
  std::set<std::string> seen;
  const Json merged = Read("all.json");
  for (const Json& run : merged["runs"]) {
    EXPECT_EQ(run["verdict"], "pass");
    EXPECT_THAT(run["repeat"].get<std::string>(),
                ::testing::AnyOf(HasSubstr("--seed=7"), HasSubstr("--seed=8")));
    seen.insert(run["repeat"]);
  }
  EXPECT_EQ(seen.size(), 8u);
  // Interrupted when all was done: no pass, as it is none of a whole run.
  Json part = Read("parts/1.json");
  part["interrupted"] = true;
  std::ofstream(folder_ + "/parts/1.json") << part.dump();
  const Ended interrupted =
      Kill9(absl::StrCat("merge ", folder_, "/parts --json=", folder_, "/all.json"));
  EXPECT_EQ(interrupted.exit_code, 3) << interrupted.output;
  EXPECT_THAT(interrupted.output, HasSubstr("interrupted"));
  EXPECT_EQ(Read("all.json")["interrupted"], true);
  const Ended without_seed = Kill9("torture --variant=global_mutex --shard=1/2");
  EXPECT_EQ(without_seed.exit_code, 2);
  EXPECT_THAT(without_seed.output, HasSubstr("--shard needs --seed"));
}

// Ctrl-C comes in the first of two runs that would last for ever. What it leaves is then made what
// it would have left in the second of two that end after 30 kills.
TEST_F(Shards, TortureGoesOnWithWhatItHasNotFinished) {
  const std::string torture =
      "torture --variant=global_mutex,cas_slots --scenario=steady --seed=7 --seconds=3600 ";
  const std::string to = absl::StrCat("--json=", folder_, "/");
  ASSERT_EQ(Kill9(torture + "--kills=30 " + to + "whole.json").exit_code, 0);
  const Json whole = Read("whole.json");
  EXPECT_FALSE(whole.contains("to_continue"));
  const Ended cut = RunLine(absl::StrCat(KILL9_COMMAND " ", torture, to, "cut.json >", folder_,
                                         "/log 2>&1 & until grep -q '^seed 7' ", folder_,
                                         "/log; do sleep 0.05; done; kill -TERM $!; wait $!"));
  EXPECT_EQ(cut.exit_code, 3) << cut.output;
  Json left = Read("cut.json");
  ASSERT_EQ(left["to_continue"]["finished"], 0);
  left["to_continue"]["asked"]["kills"] = 30;
  left["to_continue"]["finished"] = 1;
  left["runs"].insert(left["runs"].begin(), whole["runs"][0]);
  std::ofstream(folder_ + "/cut.json") << left.dump();

  const std::string go_on = absl::StrCat(torture, "--continue=", folder_, "/cut.json ");
  const Ended otherwise = Kill9(go_on + "--kills=31");
  EXPECT_EQ(otherwise.exit_code, 2);
  EXPECT_THAT(otherwise.output, HasSubstr("it was asked for otherwise (kills: 30, now 31)"));
  const Ended gone_on = Kill9(go_on + "--kills=30");
  EXPECT_EQ(gone_on.exit_code, 0) << gone_on.output;
  const Json all = Read("cut.json");
  EXPECT_EQ(all["interrupted"], false);
  ASSERT_EQ(all["runs"].size(), 2u);
  EXPECT_EQ(all["runs"][0], whole["runs"][0]);  // not run again
  EXPECT_EQ(all["runs"][1]["variant"], "cas_slots");
  EXPECT_EQ(all["runs"][1]["verdict"], "pass");
  const Ended again = Kill9(go_on + "--kills=30");
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.output, HasSubstr("it was not interrupted"));
}

// Two bugs that are not built: no tier answers, in a shard as in the whole.
TEST_F(Shards, OfThePlantedBugsAreMergedAsWell) {
  Json manifest = Json::array();
  for (const char* name : {"one", "other"}) {
    manifest.push_back({{"name", name},
                        {"variant", "cas_slots"},
                        {"tiers", {"sweep"}},
                        {"verdicts", {"leak"}},
                        {"patch", "none.patch"},
                        {"target", "planted_none"},
                        {"what", "a bug"},
                        {"budget_s", 1},
                        {"command", "/nonexistent/kill9"},
                        {"sweep", "--operation=get --state=empty"}});
  }
  std::ofstream(folder_ + "/manifest.json") << manifest.dump();
  const auto planted = [&](const std::string& more) {
    return Kill9(absl::StrCat("planted --manifest=", folder_, "/manifest.json ", more));
  };
  for (const int index : {1, 2}) {
    const Ended part =
        planted(absl::StrCat("--shard=", index, "/2 --json=", folder_, "/parts/", index, ".json"));
    EXPECT_EQ(part.exit_code, 3) << part.output;
    EXPECT_THAT(part.output, HasSubstr("0 of 1 as expected"));
  }
  const Ended merge =
      Kill9(absl::StrCat("merge ", folder_, "/parts --json=", folder_, "/all.json"));
  EXPECT_EQ(merge.exit_code, 3) << merge.output;
  const Json merged = Read("all.json");
  ASSERT_EQ(merged["runs"].size(), 2u);
  EXPECT_EQ(merged["runs"][0]["name"], "one");
  EXPECT_EQ(merged["runs"][1]["name"], "other");
  EXPECT_EQ(planted("--shard=1/3").exit_code, 2);
}

// What an answer of the gate says that does not depend on the machine's load, by its unit.
std::map<std::string, Json> AnswersOf(const Json& result) {
  std::map<std::string, Json> answers;
  for (const Json& run : result["runs"]) {
    Json answer = Json::object();
    for (const char* field : {"tier", "variant", "scenario", "operation", "state", "verdict",
                              "instructions", "kill_points", "outcomes"}) {
      if (run.contains(field)) answer[field] = run[field];
    }
    answers[absl::StrCat(TextField(run, "variant"), " ", TextField(run, "scenario"))] = answer;
  }
  return answers;
}

TEST_F(Shards, OfTheGateMergedAreTheWholeGate) {
  const auto gate = [this](const std::string& json, const std::string& more) {
    return Kill9(absl::StrCat("gate --tier=sweep --variant=global_mutex,cas_slots,slot_ring ",
                              "--kills=10 --cells=1 --seed=3 --output=", folder_,
                              "/gate --json=", folder_, "/", json, " ", more));
  };
  const Ended whole = gate("whole.json", "");
  ASSERT_EQ(whole.exit_code, 0) << whole.output;
  for (const int index : {1, 2}) {
    const Ended part =
        gate(absl::StrCat("parts/", index, ".json"), absl::StrCat("--shard=", index, "/2"));
    ASSERT_EQ(part.exit_code, 0) << part.output;
  }
  const std::string merge = absl::StrCat("merge ", folder_, "/parts --json=", folder_, "/all.json");
  const Ended merged = Kill9(merge);
  EXPECT_EQ(merged.exit_code, 0) << merged.output;
  EXPECT_EQ(AnswersOf(Read("all.json")).size(), 3u);
  EXPECT_EQ(AnswersOf(Read("all.json")), AnswersOf(Read("whole.json")));
  for (const char* field : {"exit_code", "conclusion", "interrupted", "seed"}) {
    EXPECT_EQ(Read("all.json")[field], Read("whole.json")[field]) << field;
  }

  // What the file says and what the process says is the same.
  const Json sound = Read("parts/1.json");
  Json part = sound;
  part["interrupted"] = true;
  std::ofstream(folder_ + "/parts/1.json") << part.dump();
  EXPECT_EQ(Kill9(merge).exit_code, 3);
  EXPECT_EQ(Read("all.json")["exit_code"], 3);
  part["interrupted"] = false;
  part["runs"][0]["verdict"] = "of another version";
  std::ofstream(folder_ + "/parts/1.json") << part.dump();
  EXPECT_EQ(Kill9(merge).exit_code, Read("all.json")["exit_code"]);
  std::ofstream(folder_ + "/parts/1.json") << sound.dump();

  std::filesystem::remove(folder_ + "/parts/2.json");
  const Ended without = Kill9(merge);
  EXPECT_EQ(without.exit_code, 3) << without.output;
  EXPECT_EQ(Read("all.json")["exit_code"], 3);
  EXPECT_THAT(TextField(Read("all.json"), "conclusion"), HasSubstr("0 wrong"));
  EXPECT_THAT(without.output, HasSubstr("shard 2/2 is missing"));
  for (const auto& [name, answer] : AnswersOf(Read("all.json"))) {
    EXPECT_EQ(answer["tier"], "sweep") << name;
  }
}

TEST_F(Shards, OfAGateThatTimeBoundsAreRefused) {
  for (const char* wrong :
       {"--shard=1/2 --seed=3", "--shard=1/2 --seed=3 --kills=10 --budget=60",
        "--shard=1/2 --kills=10", "--shard=1/200 --seed=3 --kills=10 --tier=sweep"}) {
    const Ended ended = Kill9(absl::StrCat("gate --output=", folder_, "/gate ", wrong));
    EXPECT_EQ(ended.exit_code, 2) << wrong << ": " << ended.output;
  }
}

TEST_F(Shards, ThatWouldHaveNothingToDoOrAreNoneAreRefused) {
  const std::string cells = "sweep --variant=global_mutex --operation=get --state=empty ";
  for (const char* wrong : {"--shard=2/2", "--shard=0/1", "--shard=3/2", "--shard=half",
                            "--shard=1/2 --seconds=5", "--shard=1/2 --at=5"}) {
    const Ended ended = Kill9(cells + wrong);
    EXPECT_EQ(ended.exit_code, 2) << wrong << ": " << ended.output;
  }
  EXPECT_EQ(Kill9("merge /nonexistent --json=-").exit_code, 2);
  const Ended nothing = Kill9(absl::StrCat("merge ", folder_, "/parts --json=-"));
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_THAT(nothing.output, HasSubstr("there is no *.json"));
}

}  // namespace
}  // namespace kill9

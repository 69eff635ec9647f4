// kill9 explore from outside.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/explore.h"
#include "harness/explore/search/shipped_program.h"
#include "harness/explore/search/swarm.h"
#include "harness/explore/shipped/steps.h"
#include "harness/result/result.h"
#include "harness/stepper/process/tracee.h"
#include "property/command/command_for_tests.h"
#include "variants/registry.h"

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
          {"--scenario=bogus",
           "there is no operation 'bogus' in the scenario 'bogus'; participants"},
          {"--scenario=put+gett", "in the scenario 'put+gett'; did you mean 'get'?"},
          {"--orderings --model=sc", "--model=c11"},
          {"--model=bogus", "known are: sc, tso, c11, compiler"},
          {"--strategy=bogus", "known are: auto, exhaustive, random"},
          {"--deaths=4", "4"},
          {"--token=bogus", "it is none of this program's"},
          {"--shard=3/2", "is no shard"},
          {"--scenario=put+get --variant=cas_slots --shard=2/2", "only 1 unit to divide"},
          {"--scenario='put+get get+get' --shard=1/2 --seconds=5", "what ends by time"},
      });
}

TEST(ExploreCommand, ResultSaysWhatWasExploredAndReplayRepeatsIt) {
  const std::string file = testing::TempDir() + "explore_command_test.json";
  // None of these ends by time.
  Ended ended = Kill9(
      "explore --variant=cas_slots --scenario='get+erase put+get' --budget=600 --json=" + file);
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

  ended =
      Kill9("explore --variant=unsynchronised_hash --scenario=put+get --budget=600 --json=" + file);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("repeat (deterministic): kill9 explore --token="));
  // The source line of an access.
  EXPECT_THAT(ended.output, HasSubstr("table.cc:"));
  result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  const Json run = (*result)["runs"][0];
  EXPECT_EQ(run["verdict"], "violation");
  EXPECT_FALSE(run["exhaustive"].get<bool>());
  const std::string token = run["token"];

  ended = Kill9("explore --times=100 --token='" + token + "'");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("failed 100 times of 100"));
  ended = Kill9("replay " + file);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("failed 1 time of 1"));
  std::filesystem::remove(file);
}

// Drawn scenes are one run; of one in which something is wrong the token repeats it.
TEST(ExploreCommand, DrawnScenesAreOneRunThatSaysHowManyTheyWere) {
  const std::string file =
      testing::TempDir() + "/explore_drawn_" + std::to_string(getpid()) + ".json";
  Ended ended = Kill9(
      "explore --variant=seqlock_ring --scenario=drawn --jobs=2 --schedules=3000 --budget=600 "
      "--json=" +
      file);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  absl::StatusOr<Json> result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ((*result)["runs"].size(), 1u);
  EXPECT_EQ((*result)["runs"][0]["scenario"], "drawn");
  EXPECT_EQ((*result)["runs"][0]["scenes"], 2);
  EXPECT_GT((*result)["runs"][0]["schedules"].get<uint64_t>(), 200u);
  EXPECT_FALSE((*result)["runs"][0]["exhaustive"].get<bool>());

  ended = Kill9(
      "explore --variant=unsynchronised_hash --scenario=drawn --schedules=150000 --budget=600 "
      "--json=" +
      file);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ((*result)["runs"].size(), 1u);
  const std::string token = (*result)["runs"][0]["token"];
  EXPECT_THAT(token, HasSubstr("@drawn"));
  ended = Kill9("explore --times=10 --token='" + token + "'");
  EXPECT_THAT(ended.output, HasSubstr("failed 10 times of 10"));
  std::filesystem::remove(file);
}

// What goes wrong in the explorer goes wrong in the program that is shipped, led through the same
// schedule; and one that the order of memory allows is not claimed.
TEST(ExploreCommand, FindingIsConfirmedInTheShippedProgramByExploreAndByReplay) {
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
  constexpr const char* kConfirmed = "    confirmed in the shipped program";
  const std::string file =
      testing::TempDir() + "/explore_confirmed_" + std::to_string(getpid()) + ".json";
  // A wrong answer of those that live; a death in the middle; one who waits for the dead.
  Ended ended = Kill9(
      "explore --variant=unsynchronised_hash,robust_unrepaired,one_semaphore --scenario=put+get "
      "--budget=600 --json=" +
      file);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  absl::StatusOr<Json> result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ((*result)["runs"].size(), 3u);
  for (const Json& run : (*result)["runs"]) {
    EXPECT_EQ(run["confirmed"], true) << run["variant"] << run["confirmation"];
  }
  EXPECT_EQ((*result)["runs"][1]["verdict"], "violation");
  EXPECT_EQ((*result)["runs"][2]["verdict"], "stuck");
  ended = Kill9("replay " + file);
  EXPECT_THAT(ended.output, HasSubstr(kConfirmed));

  ended = Kill9(
      "explore --variant=unsynchronised_hash --scenario=put+get --model=tso --budget=600 --json=" +
      file);
  result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE((*result)["runs"][0]["confirmed"].is_null());
  EXPECT_THAT(ended.output, HasSubstr("possible, not confirmed"));
  std::filesystem::remove(file);
}

// The watch-dog in a waiter helps the auditor, too, who is alone: nobody waits in vain.
TEST(ExploreCommand, AuditorWhoHelpsItselfAgainstTheDeadIsNotStuck) {
  const Ended ended = Kill9("explore --token='owner_pid_mutex:put+get:sc:1:a20.b6.!b'");
  EXPECT_THAT(ended.output, HasSubstr("dies"));
  EXPECT_THAT(ended.output, HasSubstr("failed 0 times of 1"));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
}

// It is compared: other answers are told, and accesses that the program does not make.
TEST(ExploreCommand, ShippedProgramThatDoesSomethingElseIsTold) {
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
  const std::string file =
      testing::TempDir() + "/explore_steps_" + std::to_string(getpid()) + ".txt";
  const absl::StatusOr<std::unique_ptr<explore::Scene>> scene =
      explore::NewScene(*FindVariant("cas_slots"), "put+get");
  ASSERT_TRUE(scene.ok());
  const explore::MachineLimits limits{.trace = true};
  explore::Machine::Get().Load(**scene, limits);
  const explore::Steps steps =
      explore::StepsOf("cas_slots", "put+get", **scene, explore::Replay({}, limits));
  explore::Steps other_answers = steps, other_accesses = steps, elsewhere = steps;
  elsewhere.steps.front().offset = uint64_t{1} << 40;  // in no segment
  other_answers.told += "0: nothing\n";
  for (explore::PlannedStep& step : other_accesses.steps) {
    if (step.kind == explore::AccessKind::kUpdate) step.kind = explore::AccessKind::kCall;
  }
  {
    std::ofstream to(file);
    for (const explore::Steps& one : {steps, other_answers, other_accesses, elsewhere})
      Write(one, to);
  }
  Kill9("explore --steps=" + file + " >" + file + ".answers");
  std::ifstream from(file + ".answers");
  for (const explore::ShippedAnswer::Kind kind :
       {explore::ShippedAnswer::kSame, explore::ShippedAnswer::kOther,
        explore::ShippedAnswer::kDiverged}) {
    const std::optional<explore::ShippedAnswer> answer = explore::ReadAnswer(from);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->kind, kind) << answer->how;
    EXPECT_GT(answer->instructions, 0u);
  }
  const std::optional<explore::ShippedAnswer> answer = explore::ReadAnswer(from);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->kind, explore::ShippedAnswer::kDiverged);
  EXPECT_THAT(answer->how, HasSubstr("none of this scene"));
  std::filesystem::remove(file);
  std::filesystem::remove(file + ".answers");
}

// None of these could once be led through: another one's look at the mutex came between plain
// stores that the shipped program makes in another order; it reads once more what it has read
// before; its victim stores two words at once; another call was taken for the question who lives;
// its kernel does all for the dead at once; or the answer was taken for another: its victim dies
// right before it writes down what a send to a closed channel has told it.
TEST(ExploreCommand, ShippedProgramIsLedThroughWhatItDoesInAnotherOrderOrAtOnce) {
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
  for (const std::string token :
       {"global_mutex:put+swap:sc:1:b40.a7.b50.a54", "global_mutex:put+draft:sc:1:b104.a4.b161.a50",
        "cas_slots:get+join:sc:1:b20.a18.b33.!b.~b.b34",
        "cas_slots:join+join:sc:1:b20.!b.a61.~b.a64", "mutex_vector:send+close:sc:1:b9.a7.!a.~a.a8",
        "global_mutex:recover+recover:sc:1:a13.b2.a14.b3.!a.b5.~a.b21.~a.b22"}) {
    const Ended ended = Kill9("explore --shipped=1 --token='" + token + "'");
    EXPECT_THAT(ended.output, HasSubstr("in the shipped program the same")) << token;
  }
}

struct ShippedCase {
  std::string variant, scenarios;
  uint64_t schedules;
};
void PrintTo(const ShippedCase& one, std::ostream* to) { *to << one.variant; }

class ShippedProgram : public testing::TestWithParam<ShippedCase> {};

// The explorer's model of the C library, of the kernel and of the compiler is what is shipped: the
// same schedules, the same answers, the same bytes.
TEST_P(ShippedProgram, AnswersAndLeavesBehindWhatTheExplorerSays) {
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
  const ShippedCase& one = GetParam();
  const std::string file =
      testing::TempDir() + "/explore_shipped_" + std::to_string(getpid()) + ".json";
  const Ended ended =
      Kill9("explore --variant=" + one.variant + " --scenario='" + one.scenarios +
            "' --deaths=1 --shipped=" + std::to_string(one.schedules) + " --json=" + file);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  const absl::StatusOr<Json> result = ReadJsonFile(file);
  ASSERT_TRUE(result.ok()) << result.status();
  uint64_t deaths = 0;
  for (const Json& run : (*result)["runs"]) {
    EXPECT_EQ(run["same"], one.schedules) << ended.output;
    EXPECT_EQ(run["other"], 0u) << ended.output;
    EXPECT_EQ(run["diverged"], 0u) << ended.output;
    EXPECT_LE(run["moved"], run["deaths"]);
    deaths += run["deaths"].get<uint64_t>();
  }
  EXPECT_GT(deaths, 0u);
  std::filesystem::remove(file);
}

INSTANTIATE_TEST_SUITE_P(Designs, ShippedProgram,
                         testing::Values(ShippedCase{"cas_slots", "put+put get+erase", 6},
                                         ShippedCase{"seqlock_ring", "put+get", 6},
                                         ShippedCase{"global_mutex", "get+erase", 8},
                                         ShippedCase{"striped_locks", "erase+draft pin+draft", 4},
                                         ShippedCase{"broadcast_ring", "send+receive", 6},
                                         ShippedCase{"coalescing_heap", "share+grab", 6}),
                         [](const testing::TestParamInfo<ShippedCase>& one) {
                           return one.param.variant;
                         });

class ExploreParts : public testing::Test {
 protected:
  ExploreParts() { std::filesystem::create_directories(folder_ + "/parts"); }
  ~ExploreParts() override { std::filesystem::remove_all(folder_); }

  Json Read(const std::string& name) const {
    const absl::StatusOr<Json> json = ReadJsonFile(folder_ + "/" + name);
    EXPECT_TRUE(json.ok()) << json.status();
    return json.value_or(Json::object());
  }
  void Part(int index, const std::string& arguments) const {
    const std::string number = std::to_string(index);
    const Ended ended = Kill9("explore " + arguments + " --shard=" + number +
                              "/3 --json=" + folder_ + "/parts/" + number + ".json");
    ASSERT_EQ(ended.exit_code, 0) << ended.output;
  }
  Ended Merge() const {
    return Kill9("merge " + folder_ + "/parts --json=" + folder_ + "/merged.json");
  }

  const std::string folder_ = testing::TempDir() + "/explore_parts_" + std::to_string(getpid());
  const std::string whole_ =
      "--variant=cas_slots,global_mutex --scenario='get+get get+erase put+get put+get' "
      "--budget=600";
};

// What does not depend on how long it took.
Json WithoutTimes(Json runs) {
  for (Json& run : runs) {
    run.erase("seconds");
    run.erase("schedules_per_second");
  }
  return runs;
}

TEST_F(ExploreParts, MergedSayWhatTheWholeSays) {
  ASSERT_EQ(Kill9("explore " + whole_ + " --json=" + folder_ + "/whole.json").exit_code, 0);
  for (const int index : {1, 2, 3}) {
    Part(index, whole_);
    EXPECT_EQ(Read("parts/" + std::to_string(index) + ".json")["runs"].size(), 2u);
  }
  const Ended merge = Merge();
  EXPECT_EQ(merge.exit_code, 0) << merge.output;
  EXPECT_THAT(merge.output, HasSubstr("3 shards, 6 runs: 6 pass"));
  const Json whole = Read("whole.json"), merged = Read("merged.json");
  ASSERT_EQ(whole["runs"].size(), 6u);
  EXPECT_EQ(WithoutTimes(merged["runs"]), WithoutTimes(whole["runs"]));
  EXPECT_EQ(merged["options"], whole["options"]);
}

TEST_F(ExploreParts, ThatAreMissingLeaveTheWholeUndecided) {
  Part(1, whole_);
  Part(3, whole_);
  const Ended merge = Merge();
  EXPECT_EQ(merge.exit_code, 3) << merge.output;
  EXPECT_THAT(merge.output, HasSubstr("undecided: shard 2/3 is missing"));
}

TEST_F(ExploreParts, OfOtherModelsAreRefused) {
  Part(1, whole_);
  Part(2, whole_ + " --model=tso");
  const Ended merge = Merge();
  EXPECT_EQ(merge.exit_code, 2) << merge.output;
  EXPECT_THAT(merge.output, HasSubstr("options"));
}

// A signal comes while the second scene, which has no end of its own, is explored.
TEST_F(ExploreParts, ThatWereCutOffAreNoPass) {
  const std::string out = folder_ + "/said";
  const Ended ended = RunLine(
      std::string(KILL9_COMMAND) +
      " explore --variant=cas_slots --scenario='get+get put+put+put+erase+recover' --deaths=3"
      " --budget=1000000 --json=" +
      folder_ + "/cut.json > " + out + " 2>&1 & child=$!; until grep -qs exhaustive " + out +
      "; do sleep 0.05; done; kill -TERM $child; wait $child");
  EXPECT_EQ(ended.exit_code, 3);
  const Json cut = Read("cut.json");
  EXPECT_EQ(cut["interrupted"], true);
  ASSERT_FALSE(cut["runs"].empty());
  for (const Json& run : cut["runs"]) {
    EXPECT_EQ(run["verdict"], run["exhaustive"].get<bool>() ? "pass" : "undecided");
  }
}

TEST_F(ExploreParts, BeginNoSceneAfterTheirTime) {
  const Ended ended =
      Kill9("explore --variant=cas_slots --scenario=pairs --seconds=0.000001 --json=" + folder_ +
            "/short.json");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(Read("short.json")["runs"].size(), 1u);
}

// Of any kind of design: those that have a name together, each for a moment.
TEST_F(ExploreParts, WhoNamesNoSceneHasAllOfTheKind) {
  const Ended ended =
      Kill9("explore --variant=slot_ring --seconds=0.000001 --json=" + folder_ + "/all.json");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  const Json result = Read("all.json");
  EXPECT_EQ(result["runs"].size(), 1u);
  EXPECT_EQ(result["options"]["budget_seconds"], 1);
}

class ExploreGate : public ExploreParts {
 protected:
  Ended Gate(const std::string& program, const std::string& arguments) const {
    return RunLine("GITHUB_ACTIONS= " + program + " gate --tier=explore --output=" + folder_ +
                   "/out --json=" + folder_ + "/gate.json " + arguments + " 2>&1");
  }
};

TEST_F(ExploreGate, OpensForASoundDesignByWorkAndByTime) {
  // Far more seconds than it needs: of its scenes all but one are exhausted in less. The drawn
  // ones, of which there is no end, take half of them.
  for (const char* bound : {"--kills=10", "--budget=20"}) {
    const Ended ended = Gate(KILL9_COMMAND, std::string("--variant=broadcast_ring ") + bound);
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    const Json result = Read("gate.json");
    EXPECT_GE(result["runs"].size(), 40u) << bound;
    EXPECT_TRUE(std::any_of(result["runs"].begin(), result["runs"].end(), [](const Json& run) {
      return run["scenario"] == "send+receive@closed";
    })) << bound;
    for (const Json& run : result["runs"]) {
      EXPECT_EQ(run["tier"], "explore");
      EXPECT_EQ(run["verdict"], "pass");
      EXPECT_EQ(run["memory_model"], "sc");
      // Drawn ones come in whole scenes, of which one may have no death.
      const bool is_drawn = run["scenario"] == "drawn";
      if (!is_drawn) {
        EXPECT_GT(run["deaths"], 0);
      }
      // By work: ten schedules for each kill.
      if (std::string(bound) == "--kills=10") {
        EXPECT_LE(run["schedules"], is_drawn ? explore::kSchedulesOfDrawnScene : 100);
      }
    }
  }
}

TEST_F(ExploreGate, IsClosedByAFindingAndSaysHowToRepeatIt) {
  const Ended ended = Gate(KILL9_COMMAND, "--variant=unsynchronised_hash --kills=100");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  bool found = false;
  const Json result = Read("gate.json");
  for (const Json& run : result["runs"]) {
    if (run["verdict"] != "violation") continue;
    found = true;
    EXPECT_THAT(run["repeat"].get<std::string>(), HasSubstr("kill9 explore --token="));
    EXPECT_FALSE(run["reason"].get<std::string>().empty());
  }
  EXPECT_TRUE(found);
}

TEST_F(ExploreGate, RefusesTheTierWhereItCannotRun) {
  const std::string command = folder_ + "/kill9";
  std::filesystem::copy_file(KILL9_COMMAND, command);
  Ended ended = Gate(command, "--variant=cas_slots --kills=10");
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("/kill9-explore: it is built where there is a clang"));
  if (FindDesign("lmdb") == nullptr) return;
  ended = Gate(KILL9_COMMAND, "--variant=lmdb --kills=10");
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("none of these designs is explored"));
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

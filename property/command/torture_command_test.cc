// kill9 torture from outside: exit codes, messages, Ctrl-C, result files.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"
#include "property/scaffold/eventually.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Ended Torture(const std::string& arguments, const std::string& errors = " 2>&1") {
  return RunLine(std::string(KILL9_COMMAND) + " torture " + arguments + errors);
}

TEST(TortureCommand, WritesAResultFileWithEveryFieldOfTheSchema) {
  const std::string path = testing::TempDir() + "/torture_result.json";
  const Ended ended = Torture(
      "--variant=global_mutex --scenario=steady --seconds=600 --kills=200 --seed=3 --json=" + path);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  std::ifstream file(path);
  const Json result = Json::parse(file);
  EXPECT_EQ(result["schema"], "kill9/1");
  EXPECT_EQ(result["kind"], "torture");
  EXPECT_EQ(result["seed"], 3);
  const Json& run = result["runs"][0];
  for (const char* field : {"variant",
                            "scenario",
                            "verdict",
                            "condition",
                            "seconds",
                            "processes",
                            "operations",
                            "operations_per_second",
                            "operations_checked",
                            "overlapping_operations",
                            "kills",
                            "stops",
                            "recoveries",
                            "recovery_us",
                            "death_noted_us",
                            "longest_wait_us",
                            "longest_wait_paused_us",
                            "longest_pause_us",
                            "leaked_blocks",
                            "doubly_owned_blocks",
                            "lost_writes",
                            "survivors_crashed",
                            "repeat"}) {
    EXPECT_TRUE(run.contains(field)) << field;
  }
  for (const char* field : {"total", "in_operation", "in_recovery"}) {
    EXPECT_TRUE(run["kills"].contains(field)) << field;
  }
  for (const char* field : {"p50", "p99", "max"}) EXPECT_TRUE(run["recovery_us"].contains(field));
  EXPECT_EQ(run["verdict"], "pass");
  EXPECT_EQ(run["condition"], "strict");
  EXPECT_EQ(run["operations_checked"], run["operations"]);
  std::filesystem::remove(path);
}

TEST(TortureCommand, PutsAResultOnStandardOutputAlone) {
  const Ended ended = Torture(
      "--variant=global_mutex --scenario=steady --seconds=600 --kills=50 --json=-", " 2>/dev/null");
  EXPECT_FALSE(Json::parse(ended.output, nullptr, false).is_discarded()) << ended.output;
}

TEST(TortureCommand, ExplainsWrongFlags) {
  ExpectUsageErrors([](const char* arguments) { return Torture(arguments); },
                    {{"--variant=nonsense", KnownVariants()},
                     {"--scenario=nonsense", "known are: all, steady"},
                     {"--workload=nonsense", "known are: mixed, ycsb-a"},
                     {"--seconds=-1", "--seconds"},
                     {"--processes=0", "--processes"},
                     {"--shape=nonsense", "--shape: 'nonsense' is no field=value"},
                     {"--shape=stripes=3", "--shape: stripes: 3 is no power of two"},
                     {"--nonsense", "--nonsense"}});
}

// A shape is drawn from the seed, told, and repeated by its text.
TEST(TortureCommand, RepeatsTheShapeThatItHasDrawn) {
  const std::string path = testing::TempDir() + "/torture_shape.json";
  const auto run = [&path](const std::string& arguments) {
    const Ended ended = Torture(
        "--variant=striped_locks --scenario=steady --seconds=600 --kills=30 --json=" + path + " " +
        arguments);
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    std::ifstream file(path);
    Json result = Json::parse(file);
    const std::string text = result["runs"][0]["shape"]["text"];
    EXPECT_THAT(ended.output, HasSubstr("shape " + text));
    EXPECT_THAT(ended.output, HasSubstr("classes were seen; by no run: "));
    EXPECT_THAT(result["runs"][0]["repeat"].get<std::string>(), HasSubstr(" --shape=" + text));
    EXPECT_EQ(result["runs"][0]["repeat_with"]["shape"], text);
    EXPECT_TRUE(result["shape_classes"]["store"]["family"].is_array());
    return result["runs"][0]["shape"];
  };
  const Json drawn = run("--seed=4"), other = run("--seed=5");
  EXPECT_EQ(run("--seed=4"), drawn);
  EXPECT_NE(drawn["text"], other["text"]);
  const Json given = run("--seed=6 --shape=" + drawn["text"].get<std::string>());
  EXPECT_EQ(given["text"], drawn["text"]);
  EXPECT_THAT(run("--seed=4 --shape=usual")["text"].get<std::string>(),
              HasSubstr("segment=4194304,entries=0,stripes=0,participants=8,keys=256,"));
  std::filesystem::remove(path);
}

TEST(TortureCommand, EndsAfterTheFirstRunThatFailsIfThatIsAsked) {
  const Ended ended =
      Torture("--variant=robust_unrepaired --scenario=steady,kill_storm --seconds=600 --fail-fast");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("robust_unrepaired steady"));
  EXPECT_THAT(ended.output, Not(HasSubstr("robust_unrepaired kill_storm")));
}

TEST(TortureCommand, KnowsEachPeerOrNamesThePackageThatItWasBuiltWithout) {
  const std::string list = RunLine(std::string(KILL9_COMMAND) + " list 2>&1").output;
  for (const auto& [peer, package] : PeerPackages()) {
    EXPECT_THAT(list, HasSubstr("  " + std::string(peer) + ": "));
    const Ended asked =
        Torture(("--variant=" + std::string(peer) + ",nonsense --scenario=steady").c_str());
    EXPECT_EQ(asked.exit_code, 2);
    EXPECT_THAT(asked.output, HasSubstr(FindDesign(peer) != nullptr
                                            ? "there is no 'nonsense'"
                                            : "for want of the package " + std::string(package)));
  }
}

TEST(TortureCommand, TellsThatItCannotWriteItsResult) {
  const Ended ended = Torture(
      "--variant=global_mutex --scenario=steady --seconds=0.2 --json=/nonexistent/result.json");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output, HasSubstr("cannot write the result file '/nonexistent/result.json'"));
}

TEST(TortureCommand, EndsCleanlyOnCtrlCAndPrintsWhatWasMeasured) {
  const std::string path = testing::TempDir() + "/interrupted.txt";
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    if (std::freopen(path.c_str(), "w", stdout) == nullptr) _exit(9);
    execl(KILL9_COMMAND, "kill9", "torture", "--variant=global_mutex", "--scenario=kill_all",
          "--seconds=600", nullptr);
    _exit(9);
  }
  const std::string prefix = "kill9-" + std::to_string(pid) + "-";
  const auto has_segment = [&prefix] {
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      if (entry.path().filename().string().rfind(prefix, 0) == 0) return true;
    }
    return false;
  };
  EXPECT_TRUE(Eventually(has_segment));
  SleepMicroseconds(300'000);
  kill(-pid, SIGINT);  // as a terminal does: to the whole group
  int status = 0;
  waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_FALSE(has_segment());
  std::ifstream file(path);
  const std::string output((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(output, HasSubstr("interrupted: the runs above are what was measured"));
  EXPECT_THAT(output, HasSubstr("kill_all"));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace kill9

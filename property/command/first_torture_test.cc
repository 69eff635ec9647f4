// What `./dev torture` runs where kill9 has not been built yet: it is torture as kill9 has it.
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// How many runs of what length a run of everything announces. It is interrupted then.
std::string AnnouncedRuns(const std::string& program) {
  FILE* pipe = popen(("echo $$; exec " + program + " torture 2>&1").c_str(), "r");
  if (pipe == nullptr) return "";
  std::array<char, 4096> line;
  if (fgets(line.data(), line.size(), pipe) == nullptr) return "";
  const pid_t pid = std::atoi(line.data());
  const char* first = fgets(line.data(), line.size(), pipe);
  const std::string beginning = first == nullptr ? "" : first;
  kill(pid, SIGINT);
  while (fgets(line.data(), line.size(), pipe) != nullptr) {
  }
  const int status = pclose(pipe);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 3) << program;
  const size_t runs = std::min(beginning.size(), beginning.find("; "));
  return beginning.substr(runs, beginning.find("; clock: ") - runs);
}

TEST(FirstTorture, RunsWhatTortureWithoutOptionsRuns) {
  const std::string whole = AnnouncedRuns(KILL9_COMMAND);
  EXPECT_THAT(whole, testing::ContainsRegex("^; [0-9]+ runs of [0-9.]+ s each$"));
  EXPECT_EQ(AnnouncedRuns(KILL9_FIRST_COMMAND), whole);
}

Ended RunFirst(const std::string& arguments, const std::string& variables = "") {
  return RunLine("env " + variables + " " KILL9_FIRST_COMMAND " " + arguments + " 2>&1");
}

TEST(FirstTorture, TakesWhatTortureOfTheDesignsTakes) {
  const OwnFolder folder;
  const std::string json = folder.path() + "/result.json";
  const Ended ended = RunFirst(
      "torture --variant=cas_slots --scenario=steady --shape=usual --seed=1 --kills=20 "
      "--seconds=600 --quiet --json=" +
      json);
  EXPECT_THAT(ended.exit_code, AnyOf(0, 3)) << ended.output;  // twenty kills may prove nothing
  const Json result = ReadJsonFile(json).value();
  ASSERT_EQ(result["runs"].size(), 1u);
  EXPECT_GE(result["runs"][0]["kills"]["total"], 20);
  const std::string help = RunFirst("torture --help").output;
  EXPECT_THAT(help, HasSubstr("--fork-server"));
  EXPECT_EQ(help, RunLine(KILL9_COMMAND " torture --help 2>&1").output);
  ExpectUsageErrors([](const char* arguments) { return RunFirst(arguments); },
                    {{"torture --seconds=x", "'x' is no number"},
                     {"torture --variant=cas_slotz", "did you mean 'cas_slots'?"},
                     {"torture --scenario=stedy", "did you mean 'steady'?"},
                     {"torture --model=mapp --worker=x", "did you mean 'map'?"},
                     {"torture --model=map", "is of programs of your own: --worker"},
                     {"torture now", "takes no argument 'now'"}});
}

// To ./dev, which builds the rest and says so.
TEST(FirstTorture, HandsOverWhatItDoesNotKnow) {
  std::vector<std::string> others = {"sweep --seed=3",
                                     "torture --worker='python3 worker.py'",
                                     "torture --fork-server=x --model=map",
                                     "",
                                     "torture --plugin=./mine.so",
                                     "torture --variant=peers",
                                     "torture --variant=cas_slots,baselines --seconds=1"};
  for (const Design* design : AllDesigns()) {
    if (design->role() == Design::Role::kDesign) continue;
    others.push_back("torture --variant=" + std::string(design->name()));
  }
  ASSERT_GT(others.size(), 12u);
  for (const std::string& arguments : others) {
    const Ended ended = RunFirst(arguments, "KILL9_DEV=/bin/echo");
    EXPECT_EQ(ended.exit_code, 0) << arguments;
    EXPECT_EQ(ended.output, RunLine("/bin/echo kill9 " + arguments).output);
  }
  ExpectUsageErrors([](const char* arguments) { return RunFirst(arguments); },
                    {{"sweep", "./dev kill9 is the whole command"},
                     {"torture --variant=lmdb", "./dev kill9 is the whole command"}});
}

}  // namespace
}  // namespace kill9

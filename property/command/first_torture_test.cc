// What `./dev torture` runs where kill9 has not been built yet: it is torture as kill9 has it.
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

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

TEST(FirstTorture, RefusesWhatItDoesNotKnow) {
  const auto run = [](const char* arguments) {
    return RunLine(KILL9_FIRST_COMMAND " " + std::string(arguments) + " 2>&1");
  };
  ExpectUsageErrors(run, {{"", "./dev kill9 is the whole command"},
                          {"sweep", "./dev kill9 is the whole command"},
                          {"torture --seconds=1", "./dev kill9 is the whole command"}});
}

}  // namespace
}  // namespace kill9

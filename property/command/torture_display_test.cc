// What torture shows on terminals of several widths, and from its failure to the guilty line.
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "harness/stepper/process/tracee.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Folder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/display_" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

Ended RunIn(const std::string& folder, const std::string& arguments) {
  return RunLine("cd " + folder + " && " + std::string(KILL9_COMMAND) + " " + arguments +
                 " 2>&1 </dev/null");
}

// What the command writes to a terminal of so many columns.
std::string OnTerminal(unsigned short columns, std::vector<std::string> words,
                       const char* no_colour = nullptr) {
  winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  if (pid == 0) {
    setenv("TERM", "xterm", 1);
    unsetenv("COLUMNS");
    unsetenv("NO_COLOR");
    if (no_colour != nullptr) setenv("NO_COLOR", no_colour, 1);
    words.insert(words.begin(), "kill9");
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(KILL9_COMMAND, arguments.data());
    _exit(9);
  }
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(terminal, buffer, sizeof buffer)) > 0 || errno == EINTR;) {
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
  }
  close(terminal);
  int status = 0;
  waitpid(pid, &status, 0);
  return text;
}

const std::vector<std::string> kShortRun = {"torture", "--variant=global_mutex",
                                            "--scenario=steady,kill_all", "--seconds=1"};

// The lines that are overwritten, and the table: what is wider than the terminal would be broken.
TEST(TortureDisplay, IsAsWideAsTheTerminal) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string narrow = OnTerminal(60, kShortRun);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const std::string wide = OnTerminal(200, kShortRun);
  EXPECT_THAT(wide, HasSubstr("wait us"));
  EXPECT_THAT(narrow, Not(HasSubstr("wait us")));
  EXPECT_THAT(narrow, HasSubstr("verdict"));
  EXPECT_THAT(wide, HasSubstr("[1/2, global_mutex steady]"));
  EXPECT_THAT(wide, ContainsRegex("\\[2/2, ~[0-9]+ s left, global_mutex kill_all\\]"));
  size_t overwritten = 0;
  const std::vector<std::string> lines = absl::StrSplit(narrow, absl::ByAnyChar("\r\n"));
  for (const std::string& line : lines) {
    if (!line.starts_with("\033[K[")) continue;
    ++overwritten;
    EXPECT_LE(line.size() - 3, 60u) << line;
  }
  EXPECT_GE(overwritten, 4u);
  EXPECT_LE(static_cast<double>(overwritten), 10 * seconds.count() + 1) << "ten times a second";
  // What is to be read, and not to be copied, is broken between words.
  EXPECT_THAT(narrow, HasSubstr("shapes: "));
  for (const std::string& text :
       {narrow.substr(narrow.find("shapes: ")), OnTerminal(60, {"list"})}) {
    for (const absl::string_view line : absl::StrSplit(text, absl::ByAnyChar("\r\n"))) {
      EXPECT_LE(line.size(), 60u) << line;
    }
  }
}

TEST(TortureDisplay, OfTheSweepTellsHowFarItIsAndWhatCameOfIt) {
  const std::string text =
      OnTerminal(60, {"sweep", "--variant=global_mutex", "--operation=get,put_same,erase",
                      "--state=one_entry", "--workers=1"});
  EXPECT_THAT(text, HasSubstr("\r\033[K[0/3] "));
  EXPECT_THAT(text, ContainsRegex("\r.\\[K\\[[12]/3, ~[0-9]+ s left\\] "));
  EXPECT_THAT(text, HasSubstr(" one_entry: \033[32mpass\033[0m, "));
  EXPECT_THAT(text, HasSubstr("\n3 cells: 3 \033[32mpass\033[0m\r\n"));
}

TEST(TortureDisplay, OfTheGateTellsWhatRuns) {
  const std::string output = "--output=" + Folder("gate");
  const std::string text =
      OnTerminal(60, {"gate", "--variant=global_mutex", "--tier=torture", "--kills=60", output});
  EXPECT_THAT(text, ContainsRegex("\r.\\[K\\[1/[0-9]+, torture global_mutex [a-z_]+\\] [0-9]+ s"));
}

TEST(TortureDisplay, OfTheExplorerTellsWhichSceneItIsAt) {
  const std::string text =
      OnTerminal(80, {"explore", "--variant=cas_slots,slot_ring", "--scenario=get receive recover",
                      "--schedules=1", "--seconds=600"});
  EXPECT_THAT(text, HasSubstr("\r\033[K[1/"));
  EXPECT_THAT(text, ContainsRegex(", ~[0-9]+ s left\\] [a-z_]+ [a-z]+\r.\\[K"));
  EXPECT_THAT(text, ContainsRegex("Kcas_slots get +.\\[32mpass.\\[0m  1 schedule, 1 state, "));
  for (const absl::string_view line : absl::StrSplit(text, absl::ByAnyChar("\r\n"))) {
    EXPECT_LE(line.size(), 80u + std::string_view("\033[32m\033[0m").size()) << line;
  }
}

TEST(TortureDisplay, HasColourOnlyWhereThatIsWanted) {
  EXPECT_THAT(OnTerminal(80, kShortRun), HasSubstr("\033[32mpass\033[0m"));
  EXPECT_THAT(OnTerminal(80, kShortRun, "1"), Not(HasSubstr("\033[32m")));
  const std::string folder = Folder("plain");
  const Ended plain =
      RunIn(folder, "torture --variant=global_mutex --scenario=steady --kills=20 --seconds=600");
  EXPECT_THAT(plain.output, Not(HasSubstr("\033[")));
  EXPECT_THAT(plain.output, HasSubstr("\n1 run: 1 pass\n"));
  EXPECT_TRUE(std::filesystem::is_empty(folder)) << "a pass leaves nothing in the folder";
}

TEST(TortureDisplay, OfScenariosOfOtherKindsTellsInOneLineUnlessTheyAreNamed) {
  const std::string pool = "torture --variant=buffer_pool --kills=100 --seed=3 --rounds=1 ";
  const Ended all = RunIn(Folder("kinds"), pool + "--shard=1/3");
  EXPECT_EQ(all.exit_code, 0) << all.output;
  EXPECT_THAT(all.output, ContainsRegex("\nskipped: [0-9]+ runs? of scenarios of other kinds"));
  EXPECT_THAT(all.output, ContainsRegex(" runs: [0-9]+ pass, [0-9]+ skipped\n"));
  EXPECT_THAT(all.output, Not(ContainsRegex("[a-z] +skipped *\n")));
  const Ended named = RunIn(Folder("kinds"), pool + "--scenario=hot_key");
  EXPECT_EQ(named.exit_code, 3) << named.output;
  EXPECT_THAT(named.output, HasSubstr("hot_key                skipped\n    a pool has no such"));
}

TEST(TortureDisplay, IsQuietIfThatIsAsked) {
  const Ended quiet =
      RunIn(Folder("quiet"),
            "torture --variant=global_mutex --scenario=steady --kills=20 --seconds=600 --quiet");
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_THAT(quiet.output, Not(HasSubstr("shape ")));
  EXPECT_THAT(quiet.output, Not(HasSubstr("kills/s")));
  EXPECT_THAT(quiet.output, HasSubstr("1 run: 1 pass\n"));
}

// From a red verdict to the source line of the object, without a debugger.
TEST(TortureDisplay, AFailureIsKeptAndLeadsToItsSourceLine) {
  const std::string folder = Folder("failure");
  const Ended failed = RunIn(folder,
                             "torture --variant=robust_unrepaired --scenario=hot_key "
                             "--seconds=600 --fail-fast");
  ASSERT_EQ(failed.exit_code, 1) << failed.output;
  EXPECT_THAT(failed.output, HasSubstr("1 run: 1 violation\n"));
  const size_t summary = failed.output.rfind("robust_unrepaired hot_key: violation: ");
  ASSERT_NE(summary, std::string::npos) << failed.output;
  EXPECT_GT(failed.output.find("kill9 replay kill9-out/2", summary), summary);
  std::ifstream file(folder + "/kill9-out/latest/result.json");
  const Json kept = Json::parse(file, nullptr, false);
  ASSERT_TRUE(kept.is_object());
  ASSERT_EQ(kept["runs"].size(), 1u);
  const Json& run = kept["runs"][0];
  EXPECT_EQ(run["verdict"], "violation");
  EXPECT_GT(run["history_operations"]["kept"].get<uint64_t>(), 0u);
  EXPECT_LE(run["history_operations"]["kept"], run["history_operations"]["of"]);
  ASSERT_FALSE(run["last_kills"].empty());

  // Wherever the folder is now.
  std::filesystem::rename(folder + "/kill9-out", folder + "/moved");
  const Ended replayed = RunIn(folder, "replay moved/latest");
  const size_t checked = replayed.output.find("the history that was kept, ");
  ASSERT_NE(checked, std::string::npos) << replayed.output;
  EXPECT_THAT(replayed.output, ContainsRegex("[(]moved/latest/robust_unrepaired-hot_key-[0-9]+"
                                             ".history.edn[)]: (pass|violation)\n"));
  EXPECT_LT(checked, replayed.output.find("looking for an instruction"));
  const Json& last = run["last_kills"].back();
  EXPECT_THAT(replayed.output,
              HasSubstr("  P" + last["process"].dump() + " " + last["where"].get<std::string>()));
  if (stepper::WhySteppingCannotRun() != nullptr) {
    EXPECT_THAT(replayed.output, HasSubstr("no cell of the sweep was looked for"));
    GTEST_SKIP() << stepper::WhySteppingCannotRun();
  }
  EXPECT_EQ(replayed.exit_code, 1) << replayed.output;
  EXPECT_THAT(replayed.output, HasSubstr("the same, each time:\nkill9 sweep "));
  EXPECT_THAT(replayed.output, HasSubstr("failed 1 time of 1\n"));
  EXPECT_THAT(replayed.output,
              ContainsRegex("where the victim stands:\n(    #.*\n)*    #[0-9]+ +[A-Za-z_:~]+ +"
                            "variants/[a-z_/]+[.](cc|h):[0-9]+\n"));
}

// Who waits, on what, and in which line of the object: without a debugger.
TEST(TortureDisplay, OfAStuckSurvivorItTellsWhereAndOnWhatItWaits) {
  if (stepper::WhySteppingCannotRun() != nullptr) GTEST_SKIP() << stepper::WhySteppingCannotRun();
  const std::string folder = Folder("stuck");
  const Ended failed =
      RunIn(folder,
            "torture --variant=one_semaphore --scenario=steady --seconds=600 --watchdog=1 "
            "--fail-fast");
  ASSERT_EQ(failed.exit_code, 1) << failed.output;
  ASSERT_THAT(failed.output, HasSubstr("1 run: 1 stuck\n"));
  const std::string line =
      "#[0-9]+ +baselines::[A-Za-z_:]+ +variants/baselines/one_semaphore.cc:[0-9]+\n";
  EXPECT_THAT(failed.output,
              ContainsRegex("the waiting process is asleep in futex, on the word at byte [0-9]+ of "
                            "[^\n]*: a semaphore at 0[^\n]*\n( +#.*\n)* +" +
                            line));
  std::ifstream file(folder + "/kill9-out/latest/result.json");
  const Json kept = Json::parse(file, nullptr, false);
  ASSERT_TRUE(kept.is_object());
  const Json& waiting = kept["runs"][0]["waiting"];
  EXPECT_THAT(kept["runs"][0]["reason"].get<std::string>(),
              HasSubstr("process " + waiting["process"].dump() + " has been"));
}

}  // namespace
}  // namespace kill9

// Signals: kill9 torture, started by parents that leave them and /proc in other states than a shell
// does; and Ctrl-C, which every command that runs for long takes in the same way.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"
#include "property/scaffold/namespaces.h"

namespace kill9 {
namespace {

// Far more than any run below needs; SIGALRM then ends what would never end.
constexpr unsigned kNeverEndsSeconds = 600;

// The command, started with `prepare` done in its process, and the reading end of its output.
struct Started {
  pid_t pid;
  int output;
};

Started Start(const std::function<void()>& prepare, const char* kills = "--kills=0") {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    prepare();
    alarm(kNeverEndsSeconds);
    execl(KILL9_COMMAND, "kill9", "torture", "--variant=global_mutex", "--scenario=steady",
          "--processes=2", "--seconds=600", kills, nullptr);
    _exit(9);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

// The first line is written when every handler is in place.
void AwaitFirstLine(const Started& started) {
  for (char letter = 0; letter != '\n';) ASSERT_EQ(read(started.output, &letter, 1), 1);
}

int ExitCodeOf(const Started& started) {
  char buffer[4096];
  while (read(started.output, buffer, sizeof buffer) > 0) {
  }
  close(started.output);
  int status = 0;
  waitpid(started.pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void Block(int signal) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  sigprocmask(SIG_BLOCK, &one, nullptr);
}

TEST(TortureSignals, RunEndsThoughItsParentIgnoredSigchld) {
  const Started started = Start([] { std::signal(SIGCHLD, SIG_IGN); }, "--kills=100");
  EXPECT_EQ(ExitCodeOf(started), 0);
}

class EndingSignal : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(TortureSignals, EndingSignal, testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const auto& one) {
                           return one.param == SIGINT    ? "Int"
                                  : one.param == SIGTERM ? "Term"
                                                         : "Hup";
                         });

TEST_P(EndingSignal, EndsTheRunAtOnceThoughItWasBlocked) {
  const Started started = Start([] { Block(GetParam()); });
  AwaitFirstLine(started);
  kill(started.pid, GetParam());
  EXPECT_EQ(ExitCodeOf(started), 3);
}

TEST(TortureSignals, HangUpStaysIgnoredAsNohupAsksFor) {
  const Started started = Start([] { std::signal(SIGHUP, SIG_IGN); });
  AwaitFirstLine(started);
  std::ifstream file("/proc/" + std::to_string(started.pid) + "/status");
  std::string line;
  while (std::getline(file, line) && line.rfind("SigIgn:", 0) != 0) {
  }
  ASSERT_EQ(line.rfind("SigIgn:", 0), 0u);
  EXPECT_TRUE((std::stoull(line.substr(7), nullptr, 16) >> (SIGHUP - 1)) & 1) << line;
  kill(started.pid, SIGTERM);
  EXPECT_EQ(ExitCodeOf(started), 3);
}

// Nobody reads the pipe that the result goes to: so the command has noted the first Ctrl-C, and has
// not ended, when the second comes. What a scheduler sends in between ends nothing.
class LongCommand : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    Interrupts, LongCommand,
    testing::Values("sweep --variant=global_mutex", "torture --variant=global_mutex --seconds=600",
                    "explore --variant=cas_slots --scenario=put+put+put+erase+recover --deaths=3 "
                    "--budget=1000000",
                    "try global_mutex --seconds=600"),
    [](const auto& one) {
      const std::string line = one.param;
      return line.substr(0, line.find(' '));
    });

TEST_P(LongCommand, IsEndedAtOnceByTheSecondCtrlC) {
  const std::string said = testing::TempDir() + "/interrupted_twice.txt";
  const std::string pipe = testing::TempDir() + "/interrupted_twice.json";
  Ended ended;
  // Again, later, where the first one came before the command had begun its work.
  for (int tenths = 0; tenths < 100; ++tenths) {
    ended =
        RunLine("rm -f " + said + " " + pipe + "; mkfifo " + pipe + "; " KILL9_COMMAND " " +
                GetParam() + " --json=" + pipe + " >" + said + " 2>&1 & command=$!; " +
                // Its handler is in place: it, no longer the shell, which catches Ctrl-C as well.
                "until grep -q '^Name:.kill9' /proc/$command/status && "
                "grep -q '^SigCgt:.*[2367abef]$' /proc/$command/status; do sleep 0.05; done; "
                "sleep " +
                absl::StrCat(tenths / 10, ".", tenths % 10) + "; kill -INT $command; " +
                "until grep -qs interrupted " + said +
                "; do sleep 0.05; done; "
                "kill -TERM $command; kill -HUP $command; "
                "while grep -q '^ShdPnd:.*[1-9a-f]' /proc/$command/status; do sleep 0.05; done; "
                "grep -q '^State:.[RSD]' /proc/$command/status && echo waits; kill -INT $command; "
                "wait $command; code=$?; cat " +
                said + "; exit $code");
    if (ended.exit_code != 3 || ended.output != "kill9: interrupted\n") break;
  }
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, ::testing::StartsWith("waits")) << "the premise";
}

// Each has nothing to show yet, and waits for what never comes.
struct Early {
  const char* name;
  const char* line;
  const char* begun;  // a line of the shell: it is there
};
void PrintTo(const Early& early, std::ostream* out) { *out << early.name; }
class EarlyCtrlC : public testing::TestWithParam<Early> {};
INSTANTIATE_TEST_SUITE_P(
    Interrupts, EarlyCtrlC,
    testing::Values(
        Early{"check", "check - <&3", "grep -q '^SigCgt:.*[2367abef]$' /proc/$command/status"},
        Early{"report",
              "report --output=page --input=" KILL9_SOURCE_DIR
              "/results/reference/store_benchmark.json",
              "[ -e drawing ]"},
        Early{"replay", "replay result.json", "grep -q . /proc/$command/task/$command/children"},
        // It has become another program, which handles nothing yet.
        Early{"explore",
              "explore --variant=cas_slots --scenario=put+put+put+erase+recover --deaths=3 "
              "--budget=1000000",
              "grep -q '^Name:.kill9-explore' /proc/$command/status"}),
    [](const auto& one) { return one.param.name; });

TEST_P(EarlyCtrlC, EndsACommandAsUndecided) {
  const OwnFolder folder;
  std::ofstream(folder.path() + "/gnuplot")
      << "#!/bin/sh\n: >drawing\nwhile [ -e drawing ]; do sleep 0.05; done\n";
  std::ofstream(folder.path() + "/result.json")
      << R"({"schema": "kill9/1", "kind": "torture", "runs": [{"variant": "global_mutex",
             "scenario": "steady", "verdict": "undecided", "repeat_with":
             {"seed": 7, "seconds": 600.0, "processes": 2}}]})";
  const Ended ended = RunLine(
      "cd " + folder.path() + "; chmod +x gnuplot; PATH=$PWD:$PATH; mkfifo never; exec 3<>never; " +
      KILL9_COMMAND + " " + GetParam().line + " >said 2>&1 & command=$!; n=0; until " +
      GetParam().begun +
      "; do sleep 0.05; [ $((n += 1)) -lt 2000 ] || break; done 2>/dev/null; "
      "children=$(cat /proc/$command/task/$command/children); kill -INT $command; "
      "wait $command; code=$?; cat said; rm -f drawing; for child in $children; do "
      // Who cleans up behind a command ends after it.
      "n=0; while grep -qs '^Name:.kill9' /proc/$child/status; do sleep 0.05; "
      "[ $((n += 1)) -lt 2000 ] || { echo $child is left; break; }; done; done; exit $code");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, ::testing::HasSubstr("interrupted"));
  EXPECT_THAT(ended.output, ::testing::Not(::testing::HasSubstr("is left")));
}

// Processes have other numbers there than /proc shows.
TEST(TortureSignals, ForkInheritEndsInAPidNamespaceWithTheOuterProc) {
  constexpr int kProcIsOurs = 78;
  const int exit_code = InNewPidNamespace([] {
    char self[32];
    const ssize_t size = readlink("/proc/self", self, sizeof self - 1);
    self[size > 0 ? size : 0] = '\0';
    if (std::atoi(self) == getpid()) return kProcIsOurs;
    return RunLine("timeout -s KILL " + std::to_string(kNeverEndsSeconds) +
                   " " KILL9_COMMAND
                   " torture --variant=global_mutex --scenario=fork_inherit --seconds=600 "
                   "--kills=50 2>&1")
        .exit_code;
  });
  if (exit_code == kNoNamespace) GTEST_SKIP() << "this machine lets us make no PID namespace";
  EXPECT_TRUE(exit_code == 0 || exit_code == 3) << exit_code;
}

TEST(TortureSignals, WithoutProcTheMachineIsNamedAndNoDesign) {
  const Ended ended = RunLine(
      "unshare --mount --map-root-user sh -c 'mount -t tmpfs none /proc && exec " KILL9_COMMAND
      " torture --variant=global_mutex --scenario=steady --seconds=600 --kills=50' 2>&1");
  if (ended.output.find("unshare:") != std::string::npos ||
      ended.output.find("mount:") != std::string::npos) {
    GTEST_SKIP() << "this machine lets us make no mount namespace: " << ended.output;
  }
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_THAT(ended.output, ::testing::HasSubstr("this machine refuses"));
}

TEST(TortureSignals, WithoutAPlaceForItsSegmentTheMachineIsNamedAndNoDesign) {
  const Ended ended = RunLine(
      "unshare --mount --map-root-user sh -c 'mount -t tmpfs -o ro none /dev/shm && "
      "exec " KILL9_COMMAND
      " torture --variant=global_mutex --scenario=kill_all --seconds=600 --kills=10' 2>&1");
  if (ended.output.find("unshare:") != std::string::npos ||
      ended.output.find("mount:") != std::string::npos) {
    GTEST_SKIP() << "this machine lets us make no mount namespace: " << ended.output;
  }
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_THAT(ended.output, ::testing::HasSubstr("/dev/shm/': Read-only file system"));
  EXPECT_THAT(ended.output, ::testing::HasSubstr("the segment: cannot create a segment in"))
      << "no code of an error stands between them";
}

}  // namespace
}  // namespace kill9

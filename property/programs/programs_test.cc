// kill9 torture --worker: programs in other languages, right and wrong, as a person runs them.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/programs/programs_fixture.h"
#include "property/scaffold/busy_children.h"
#include "property/scaffold/eventually.h"
#include "property/scaffold/on_one_core.h"

namespace kill9 {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

constexpr char kOddCondition[] = KILL9_SOURCE_DIR "/property/programs/odd_condition.py";
constexpr char kOddLock[] = KILL9_SOURCE_DIR "/property/programs/odd_lock.py";
constexpr char kOdd[] = KILL9_SOURCE_DIR "/property/programs/odd_counter.py";

class OddProgramsTest : public ProgramsTest {
 protected:
  Ended TortureOdd(const std::string& odd, const std::string& arguments = "", int kills = 30) {
    return Torture(
        absl::StrCat("--worker='", Python(), " ", kOdd, " ", odd, "' --model=counter ", arguments),
        kills);
  }
  void ExpectHistoryToBeConsistent(const std::string& model) const {
    const Ended checked =
        RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND, " check --model=", model, " ",
                             TextField(run_, "history"), " 2>&1"));
    EXPECT_EQ(checked.exit_code, 0) << checked.output;
  }
};

// ---- What programs do wrong --------------------------------------------------------------------

TEST_F(OddProgramsTest, RightCounterPasses) {
  const Ended ended = TortureOdd("");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(run_["model"], "counter");
}

TEST_F(OddProgramsTest, StrayLineIsQuoted) {
  const Ended ended = TortureOdd("stray");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output, HasSubstr("a line that is no object of JSON: 'hello, world'"));
}

TEST_F(OddProgramsTest, MisunderstandingsAreSaid) {
  EXPECT_EQ(TortureOdd("wrong_type").exit_code, 2);
  EXPECT_THAT(Reason(), HasSubstr("\"type\" is not ok, fail or info"));
  EXPECT_EQ(TortureOdd("no_number").exit_code, 2);
  EXPECT_THAT(Reason(), HasSubstr("an answer to \"read\" whose \"value\" is not a number"));
  EXPECT_EQ(TortureOdd("functions").exit_code, 2);
  EXPECT_THAT(Reason(), HasSubstr("name 'multiply'; the workload of the counter model has add"));
  EXPECT_EQ(TortureOdd("silent", "--watchdog=0.3").exit_code, 2);
  EXPECT_THAT(Reason(), HasSubstr("has not answered \"init\""));
}

TEST_F(OddProgramsTest, ProgramThatIsNotThereIsTheEnvironments) {
  const Ended ended = Torture("--worker=./no_such_program");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output, HasSubstr("cannot run './no_such_program': No such file"));
  // There is no finding, no verdict on what deaths do, and nothing to repeat.
  for (const char* none : {"before any kill", "repeat:", "undecided"}) {
    EXPECT_THAT(ended.output, Not(HasSubstr(none)));
  }
}

TEST_F(OddProgramsTest, UsageErrorsAreSaid) {
  const auto run = [this](const char* arguments) { return Torture(arguments); };
  ExpectUsageErrors(run, {{"--worker='a | b'", "is more than one command"},
                          {"--worker=' '", "a command line is empty"},
                          {"--worker=true --model=heap", "--model"},
                          {"--worker=true --variant=global_mutex", "--variant"},
                          {"--fork-server=true --scenario=steady", "--scenario"},
                          {"--worker=true --kill-at=noon", "--kill-at"}});
}

TEST_F(OddProgramsTest, WhoEndsByItselfHasLastWords) {
  const Ended ended = TortureOdd("dies", "", 20'000);
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(Verdict(), "survivor_crashed");
  EXPECT_THAT(Reason(), HasSubstr("ended with status 7"));
  EXPECT_THAT(Reason(), HasSubstr("out of cheese"));
  ASSERT_FALSE(run_["stderr_files"].empty());
}

// Somebody adds, another one reads that and a third ends by itself, while the first has not
// answered yet.
TEST_F(OddProgramsTest, CallsUnderWayAtTheEndOfARunMayHaveHappened) {
  const Ended ended = TortureOdd("leaves_behind", "--processes=3 --watchdog=60");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "survivor_crashed") << ended.output;
  EXPECT_THAT(Reason(), HasSubstr("ended with status 7"));
  ExpectHistoryToBeConsistent("counter");
}

// Whose lock it was ends by itself right after its answer, while the runner does not run: it then
// finds the next one's answer beside that, and only after both that somebody has ended.
TEST_F(OddProgramsTest, LockOfWhoEndedByItselfIsFree) {
  std::ofstream(folder_ + "/lock.py") << R"(import fcntl, json, os, signal, subprocess, sys, time
GO_ON = """while ! [ -e %s/answered ] || ! grep -q 'State:.Z' /proc/%d/status; do sleep 0.01; done
kill -CONT %d"""
for line in sys.stdin:
    call = json.loads(line)
    is_init = call["f"] == "init"
    if is_init:
        number, state = call["participant"], call["state"]
        lock = os.open(state + "/lock", os.O_RDWR | os.O_CREAT)
    elif number == 0:
        while not os.path.exists(state + "/taken"):
            time.sleep(0.001)
        fcntl.flock(lock, fcntl.LOCK_EX)
    else:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.kill(os.getppid(), signal.SIGSTOP)
        subprocess.Popen(["sh", "-c", GO_ON % (state, os.getpid(), os.getppid())])
        open(state + "/taken", "w").close()
    print(json.dumps({"id": call["id"], "type": "ok"}), flush=True)
    if not is_init and number == 0:
        open(state + "/answered", "w").close()
    elif not is_init:
        os._exit(7)
)";
  const Ended ended =
      Torture(absl::StrCat("--worker='", Python(), " ", folder_,
                           "/lock.py' --shared --model=mutex --processes=2 --watchdog=60"));
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "survivor_crashed") << ended.output;
  EXPECT_THAT(Reason(), HasSubstr("between two calls")) << "the premise";
  ExpectHistoryToBeConsistent("mutex");
}

TEST_F(OddProgramsTest, WhatFailsWithoutAnyDeathIsSaid) {
  const Ended ended = TortureOdd("unlocked");
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(Verdict(), "violation");
  EXPECT_THAT(Reason(), HasSubstr("(before any kill)"));
}

TEST_F(OddProgramsTest, AuditThatFails) {
  EXPECT_EQ(TortureOdd("audit").exit_code, 1);
  EXPECT_EQ(Verdict(), "audit_failed");
  EXPECT_THAT(Reason(), HasSubstr("the books do not balance"));
}

// It says what to do, and names no file that is not there.
TEST_F(OddProgramsTest, AFindingForWhichThereIsNoRoomIsAFindingAllTheSame) {
  const Ended ended = RunOnFullDisk(
      folder_, absl::StrCat(KILL9_COMMAND, " torture --worker=\"", Python(), " ", kOdd,
                            " audit\" --model=counter --kills=30; echo exit code $?; ls"));
  if (ended.exit_code == 77) GTEST_SKIP() << "no mount namespace can be made here";
  EXPECT_THAT(ended.output, HasSubstr("audit_failed"));
  EXPECT_THAT(ended.output, HasSubstr("No space left on device: nothing is kept; start kill9 in"));
  EXPECT_THAT(ended.output, Not(HasSubstr("the history: ")));
  EXPECT_THAT(ended.output, HasSubstr("exit code 1\nfull\n"));
}

TEST_F(OddProgramsTest, AnswersOfInfoMayHaveHappened) {
  const Ended ended = TortureOdd("info");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
}

// ---- What a pass needs -------------------------------------------------------------------------

TEST_F(OddProgramsTest, WhoNeverAnswersOkProvesNothing) {
  std::ofstream(folder_ + "/never.py") << R"(import json, sys
for line in sys.stdin:
    request = json.loads(line)
    told = "ok" if request["f"] == "init" else "info"
    print(json.dumps({"id": request["id"], "type": told}), flush=True)
)";
  const Ended ended =
      Torture(absl::StrCat("--worker='", Python(), " ", folder_, "/never.py' --model=map"));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(Verdict(), "vacuous") << ended.output;
}

// Nothing is stored by it: there is nothing that a death could spoil.
TEST_F(OddProgramsTest, WhoRefusesEveryWriteProvesNothing) {
  for (const char* to_writes : {"fail", "info"}) {
    std::ofstream(folder_ + "/nothing.py") << R"(import json, sys
for line in sys.stdin:
    request = json.loads(line)
    is_read = request["f"] in ("init", "get")
    print(json.dumps({"id": request["id"], "type": "ok" if is_read else sys.argv[1],
                      "value": None}), flush=True)
)";
    const Ended ended = Torture(absl::StrCat("--worker='", Python(), " ", folder_, "/nothing.py ",
                                             to_writes, "' --model=map"));
    EXPECT_EQ(ended.exit_code, 3) << ended.output;
    EXPECT_EQ(Verdict(), "vacuous") << ended.output;
    EXPECT_THAT(Reason(), HasSubstr("no operation that writes was answered with ok"));
  }
}

// Who has answered waits for the others, and is not accused of what they do.
TEST_F(OddProgramsTest, WhoStartsLateIsNamedAndNoOther) {
  std::ofstream(folder_ + "/late.py") << R"(import json, os, sys, time
try:
    os.mkdir(sys.argv[1])
except FileExistsError:
    time.sleep(600)
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "type": "ok", "value": None}), flush=True)
)";
  const Ended ended = Torture(absl::StrCat("--worker='", Python(), " ", folder_, "/late.py ",
                                           folder_, "/first' --shared --model=map --watchdog=0.5"));
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(Reason(), HasSubstr(", while it began")) << ended.output;
}

TEST_F(OddProgramsTest, NothingOverlapsIfOneIsAlone) {
  const Ended ended = TortureOdd("", "--processes=1");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(Verdict(), "vacuous");
}

TEST_F(OddProgramsTest, MarksTellWhoDiedInsideAnOperation) {
  Ended ended = TortureOdd("marks", "", 60);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["in_operation"].get<uint64_t>(), 0u);
  EXPECT_LT(run_["kills"]["in_operation"], run_["kills"]["in_call"]);
  ended = TortureOdd("never_marks");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(Reason(), HasSubstr("inside an operation, as they mark it"));
}

TEST_F(OddProgramsTest, VictimsDieAtSystemCalls) {
  Ended ended = TortureOdd("", "--kill-at=syscalls", 60);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["at_system_calls"].get<uint64_t>(), 20u);
  EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 10u);
  EXPECT_THAT(TextField(run_, "repeat"), HasSubstr("--kill-at=syscalls"));
  // Children of a fork server, too.
  ended = Torture(absl::StrCat("--fork-server='", Python(), " ", kExamples,
                               "lock_server.py' --model=mutex --watchdog=1 --kill-at=syscalls"),
                  20'000);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
}

// Of the least weight, on one core, beside many of the usual one: it does not come to its start.
TEST_F(OddProgramsTest, ForkServerWithoutACpuIsNotBlamed) {
  const OnOneCore pinned;
  const std::vector<Child> busy = BusyChildren(8);
  TortureOnce(absl::StrCat("--fork-server='nice -n 19 ", Python(), " ", kExamples,
                           "lock_server.py' --model=mutex --watchdog=0.2"),
              20'000);
  // Where the kernel gives it a share all the same, it starts, and the others hang.
  EXPECT_THAT(Reason(), AnyOf(HasSubstr("the machine is too busy"), HasSubstr("(asleep in futex")));
}

TEST_F(OddProgramsTest, ProgramsTakeTurnsOnOneState) {
  const std::string odd = absl::StrCat("--worker='", Python(), " ", kOdd);
  const Ended ended = Torture(absl::StrCat(odd, "' ", odd, " info' --model=counter"));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(TextField(run_, "variant"), HasSubstr(" + "));
}

// ---- What is left ------------------------------------------------------------------------------

TEST_F(OddProgramsTest, StateIsPrivateWhereTheMachineAllows) {
  const std::string name = absl::StrCat("kill9-odd-counter-", getpid());
  Ended ended = TortureOdd("shm " + name);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  if (TextField(run_, "shared_with_the_machine").find("/dev/shm") == std::string::npos) {
    EXPECT_FALSE(fs::exists("/dev/shm/" + name));
  }
  ended = TortureOdd("shm " + name, "--shared");
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("not private: /dev/shm, /tmp and PIDs"));
  EXPECT_TRUE(fs::remove("/dev/shm/" + name)) << "so it would have been seen";
}

// When everybody is to become idle, a broadcast may still be under way whose wake-ups are taken:
// who sleeps then is not stuck.
TEST_F(OddProgramsTest, WakeUpsOfABroadcastMayBeTakenBeforeItsAnswer) {
  const Ended ended = Torture(absl::StrCat("--worker='", Python(), " ", kOddCondition,
                                           "' --model=condition --processes=8 --watchdog=1"),
                              200);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GE(run_["audits"].get<uint64_t>(), 3u);
  EXPECT_GT(run_["overlapping_operations"].get<uint64_t>(), 0u) << "somebody slept meanwhile";
}

// A wait that was answered "info" takes its wake-up later: who sleeps for another one is not stuck.
TEST_F(OddProgramsTest, WaitOfWhichNothingIsKnownMayTakeAWakeUpLater) {
  const Ended ended = Torture(absl::StrCat("--worker='", Python(), " ", kOddCondition,
                                           " later' --model=condition --watchdog=1"),
                              20);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GE(run_["audits"].get<uint64_t>(), 1u);
}

// Who dies in an acquisition may have had the lock until then: it is no lie that others were
// refused. Nor is it where nobody knows who has it; and who fails to give it back has it still.
TEST_F(OddProgramsTest, LockThatIsHalfTakenOrNotGivenBackIsRefused) {
  const auto torture = [this](const std::string& odd, int kills) {
    return Torture(absl::StrCat("--worker='", Python(), " ", kOddLock, " ", odd, "' --model=mutex"),
                   kills);
  };
  const std::pair<const char*, int> runs[] = {{"", 60}, {"info", 10}, {"refuses", 10}};
  for (const auto& [odd, kills] : runs) {
    const Ended ended = torture(odd, kills);
    EXPECT_EQ(ended.exit_code, 0) << odd << ": " << ended.output;
    EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 0u);
  }
  EXPECT_EQ(torture("never", 10).exit_code, 2);
  EXPECT_THAT(Reason(), HasSubstr("its \"release\" failed 1000 times in turn"));
}

TEST_F(OddProgramsTest, InterruptedRunLeavesNobody) {
  const std::string mark = absl::StrCat("left-by-", getpid());
  const std::string line =
      absl::StrCat("cd ", folder_, " && exec ", KILL9_COMMAND, " torture --seconds=600 --worker='",
                   Python(), " ", kOdd, " ", mark, "' --model=counter >output 2>&1");
  for (const int signal : {SIGINT, SIGKILL}) {
    const pid_t pid = fork();
    if (pid == 0) {
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(9);
    }
    const std::string running = absl::StrCat("pgrep -f 'odd_counter.py ", mark, "$'");
    ASSERT_TRUE(Eventually([&] { return RunLine(running).exit_code == 0; }));
    kill(pid, signal);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    if (signal == SIGINT) {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    }
    EXPECT_TRUE(Eventually([&] { return RunLine(running).exit_code != 0; }));
  }
}

}  // namespace
}  // namespace kill9

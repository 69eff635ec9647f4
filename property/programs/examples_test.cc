// The programs in apps/examples/workers/: each right one passes, and each wrong one is found.
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "property/programs/programs_fixture.h"

namespace kill9 {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ExamplesTest : public ProgramsTest {};

TEST_F(ExamplesTest, MapInSqlitePasses) {
  const Ended ended = Torture(Worker("sqlite_map.py") + "--model=map");
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(Verdict(), "pass");
  EXPECT_EQ(run_["condition"], "strict");
  EXPECT_GE(run_["kills"]["total"].get<uint64_t>(), 30u);
  EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 0u);
  EXPECT_EQ(run_["kills"]["in_operation"].get<uint64_t>(), 0u) << "it marks nothing";
  EXPECT_GT(run_["overlapping_operations"].get<uint64_t>(), 0u);
  EXPECT_EQ(run_["operations_checked"], run_["operations"]);
  EXPECT_THAT(ended.output, HasSubstr("in calls)"));
  EXPECT_FALSE(fs::exists(folder_ + "/kill9-out")) << "nothing was found";
}

TEST_F(ExamplesTest, MapInAFileThatIsEmptiedFirstLosesWrites) {
  const Ended ended = Torture(Worker("file_map.py") + "--model=map", 20'000);
  ASSERT_EQ(ended.exit_code, 1) << ended.output;
  // A reader may find half of the text: then it dies of it before the checker has seen the loss.
  EXPECT_TRUE(Verdict() == "violation" || Verdict() == "survivor_crashed") << Verdict();
  EXPECT_GT(run_["kills"]["total"].get<uint64_t>(), 0u) << "it is right while nobody dies";
  EXPECT_THAT(TextField(run_, "repeat"), HasSubstr("kill9 torture --worker='"));
  const std::string history = folder_ + "/" + TextField(run_, "history");
  ASSERT_TRUE(fs::exists(history)) << ended.output;
  const Ended shown =
      RunLine(absl::StrCat(KILL9_COMMAND, " replay ", folder_, "/kill9-out/latest 2>&1"));
  EXPECT_EQ(shown.exit_code, 1);
  EXPECT_THAT(shown.output, HasSubstr("to repeat it: kill9 torture --worker='"));
  EXPECT_THAT(shown.output, HasSubstr("the history that was kept, all "));
  if (Verdict() != "violation") return;
  EXPECT_THAT(ended.output, HasSubstr("no place is left for"));
  const Ended checked =
      RunLine(absl::StrCat(KILL9_COMMAND, " check --model=map ", history, " 2>&1"));
  EXPECT_EQ(checked.exit_code, 1) << checked.output;
}

TEST_F(ExamplesTest, LockOfTheKernelPasses) {
  const Ended ended = Torture(Worker("flock_mutex.py") + "--model=mutex", 60);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["holding"].get<uint64_t>(), 0u);
}

TEST_F(ExamplesTest, QueueInSqlitePasses) {
  // So many calls overlap that no order is found along with the run: mostly.
  bool is_whole = false;
  for (int tries = 0; tries < 5 && !is_whole; ++tries) {
    const Ended ended = Torture(Worker("sqlite_queue.py") + "--model=queue --processes=24");
    ASSERT_EQ(ended.exit_code, 0) << ended.output;
    is_whole = run_["decided_as_a_whole"].get<bool>();
  }
  EXPECT_TRUE(is_whole) << "the premise";
  // Nobody need die for that, though in one run or another somebody has before it is seen.
  bool was_before_any_kill = false;
  for (int tries = 0; tries < 10 && !was_before_any_kill; ++tries) {
    const Ended ended = Torture(absl::StrCat("--worker='", Python(), " ", kExamples,
                                             "sqlite_queue.py two_steps' --model=queue"));
    ASSERT_EQ(ended.exit_code, 1) << ended.output;
    ASSERT_EQ(Verdict(), "violation");
    was_before_any_kill = absl::StrContains(Reason(), "(before any kill)");
  }
  EXPECT_TRUE(was_before_any_kill);
}

TEST_F(ExamplesTest, CounterInSharedMemoryPasses) {
  const Ended ended = Torture(absl::StrCat("--fork-server='", Python(), " ", kExamples,
                                           "mmap_counter_server.py' --model=counter"),
                              300);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 20u);
  EXPECT_GT(run_["kills"]["together"].get<uint64_t>(), 0u);
}

// Issue of Python's for long: a lock that is shared by fork, and whose holder dies.
TEST_F(ExamplesTest, MultiprocessingLockStaysHeld) {
  const Ended ended = Torture(absl::StrCat("--fork-server='", Python(), " ", kExamples,
                                           "lock_server.py' --model=mutex --watchdog=1"),
                              20'000);
  ASSERT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
  EXPECT_THAT(Reason(), HasSubstr("in \"acquire\" of k0"));
  EXPECT_THAT(Reason(), HasSubstr("the last to be killed was P"));
  EXPECT_THAT(TextField(run_, "repeat"), HasSubstr("--fork-server='"));
  EXPECT_THAT(ended.output, HasSubstr("a semaphore at 0, which somebody would have to post"));
  // Who waits for whom: a column for each process.
  const Ended shown =
      RunLine(absl::StrCat(KILL9_COMMAND, " replay ", folder_, "/kill9-out/latest 2>&1"));
  EXPECT_THAT(shown.output, ContainsRegex("how it ended .*\n\n +us +P[0-9]+"));
  EXPECT_THAT(shown.output, ContainsRegex("X (dies in|is killed)"));
}

TEST_F(ExamplesTest, SemaphoreOfTheKernelPasses) {
  const Ended ended = Torture(Worker("flock_semaphore.py") + "--model=semaphore", 60);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["holding"].get<uint64_t>(), 0u);
  EXPECT_GT(run_["overlapping_operations"].get<uint64_t>(), 0u);
}

// Two deaths take both permits along.
TEST_F(ExamplesTest, MultiprocessingSemaphoreLosesItsPermits) {
  const Ended ended = Torture(absl::StrCat("--fork-server='", Python(), " ", kExamples,
                                           "semaphore_server.py' --model=semaphore --watchdog=1"),
                              20'000);
  ASSERT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
  EXPECT_GE(run_["kills"]["total"].get<uint64_t>(), 2u) << "one lost permit leaves another";
  EXPECT_THAT(Reason(), HasSubstr("in \"acquire\" of k0"));
}

TEST_F(ExamplesTest, ConditionInAFilePasses) {
  const Ended ended = Torture(Worker("flock_condition.py") + "--model=condition", 60);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 0u);
  EXPECT_GT(run_["overlapping_operations"].get<uint64_t>(), 0u) << "somebody slept meanwhile";
}

// Who was chosen to wake up dies, and nobody else is told.
TEST_F(ExamplesTest, AChosenSleeperThatDiesSwallowsTheWakeUp) {
  const Ended ended = Torture(absl::StrCat("--worker='", Python(), " ", kExamples,
                                           "flock_condition.py chosen' --model=condition "
                                           "--watchdog=1"),
                              20'000);
  ASSERT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
  EXPECT_GT(run_["kills"]["total"].get<uint64_t>(), 0u) << "it is right while nobody dies";
  EXPECT_THAT(Reason(), HasSubstr("in which a wake-up was there for it, in \"wait\" of k0"));
}

// Python's own: who dies while it waits is waited for by who wakes it up, or keeps the lock.
TEST_F(ExamplesTest, MultiprocessingConditionStaysStuck) {
  const Ended ended = Torture(absl::StrCat("--fork-server='", Python(), " ", kExamples,
                                           "condition_server.py' --model=condition --watchdog=1"),
                              20'000);
  ASSERT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
  EXPECT_GT(run_["kills"]["total"].get<uint64_t>(), 0u);
}

TEST_F(ExamplesTest, ListInSqlitePasses) {
  Ended ended = Torture(Worker("sqlite_list.py") + "--model=list");
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  ended = Torture(absl::StrCat("--worker='", Python(), " ", kExamples,
                               "sqlite_list.py two_steps' --model=list"),
                  20'000);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "violation");
  ended = Torture(absl::StrCat("--worker='", Python(), " ", kExamples,
                               "sqlite_list.py all_equal' --model=list"));
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "violation") << "some items are equal";
}

TEST_F(ExamplesTest, LeaseInSqlitePasses) {
  const Ended ended = Torture(Worker("sqlite_lease.py") + "--model=lease", 60);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["holding"].get<uint64_t>(), 0u);
  EXPECT_GT(run_["overlapping_operations"].get<uint64_t>(), 0u);
}

// Its holder dies before the term is written down: nobody gets it any more.
TEST_F(ExamplesTest, LeaseOfADeadHolderWithoutATermIsFound) {
  // Somebody who lives may be refused while another one is between its two steps: then the run ends
  // before a death has to do with it.
  bool is_left_over = false;
  for (int tries = 0; tries < 20 && !is_left_over; ++tries) {
    const Ended ended = Torture(absl::StrCat("--worker='", Python(), " ", kExamples,
                                             "sqlite_lease.py two_steps' --model=lease"),
                                100'000);
    ASSERT_EQ(ended.exit_code, 1) << ended.output;
    ASSERT_EQ(Verdict(), "violation") << ended.output;
    is_left_over = run_["kills"]["total"].get<uint64_t>() > 0 &&
                   absl::StrContains(ended.output, "may be left over by P");
  }
  EXPECT_TRUE(is_left_over);
}

TEST_F(ExamplesTest, Ruby) {
  if (!Has("ruby")) GTEST_SKIP() << "no ruby";
  const std::string worker = absl::StrCat("--worker='ruby ", kExamples, "marshal_set.rb");
  Ended ended = Torture(worker + "' --model=set", 15);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  ended = Torture(worker + " in_place' --model=set --kill-at=syscalls", 100'000);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "violation");
}

// What is shared by fork: what the kernel gives back passes, and what it does not is lost.
TEST_F(ExamplesTest, ForkServersInRubyAndPerl) {
  const struct {
    const char *language, *right, *wrong;
  } servers[] = {{"ruby", "pipe_mutex_server.rb flock", "pipe_mutex_server.rb"},
                 {"perl", "semop_mutex_server.pl", "semop_mutex_server.pl plain"}};
  for (const auto& [language, right, wrong] : servers) {
    if (!Has(language)) continue;
    const std::string server = absl::StrCat("--fork-server='", language, " ", kExamples);
    Ended ended = Torture(absl::StrCat(server, right, "' --model=mutex"), 60);
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_GT(run_["kills"]["holding"].get<uint64_t>(), 0u) << right;
    ended = Torture(absl::StrCat(server, wrong, "' --model=mutex --watchdog=1"), 20'000);
    EXPECT_EQ(ended.exit_code, 1) << ended.output;
    EXPECT_EQ(Verdict(), "stuck");
  }
}

TEST_F(ExamplesTest, ForkServersInCAndRust) {
  const struct {
    const char *compiler, *source, *model, *wrong;
  } servers[] = {{"cc -pthread", "robust_mutex_server.c", "robust-mutex", "plain"},
                 {"rustc -O", "atomic_counter_server.rs", "counter", "locked"}};
  for (const auto& [compiler, source, model, wrong] : servers) {
    if (!Has(compiler)) continue;
    const std::string program = folder_ + "/server";
    const Ended built =
        RunLine(absl::StrCat(compiler, " -o ", program, " ", kExamples, source, " 2>&1"));
    ASSERT_EQ(built.exit_code, 0) << built.output;
    Ended ended = Torture(absl::StrCat("--fork-server=", program, " --model=", model), 100);
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 0u) << source;
    ended = Torture(
        absl::StrCat("--fork-server='", program, " ", wrong, "' --model=", model, " --watchdog=1"),
        1'000'000);
    EXPECT_EQ(ended.exit_code, 1) << ended.output;
    EXPECT_EQ(Verdict(), "stuck") << source;
  }
}

// Each participant is a fork of one interpreter, and runs the worker from its first line.
TEST_F(ExamplesTest, AnyWorkerInPythonIsServedByForksOfAWarmInterpreter) {
  const std::string line = absl::StrCat("--fork-server='", Python(), " ", kExamples, "warm.py ");
  Ended ended = Torture(absl::StrCat(line, kExamples, "sqlite_map.py' --model=map"), 100);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 0u);
  ended = Torture(absl::StrCat(line, kExamples, "flock_semaphore.py' --model=semaphore"), 60);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  ended = Torture(absl::StrCat(line, kExamples, "file_map.py' --model=map --kill-at=syscalls"),
                  100'000);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(TextField(run_, "repeat"), HasSubstr("warm.py"));
}

TEST_F(ExamplesTest, Node) {
  if (!Has("node")) GTEST_SKIP() << "no node";
  const std::string worker = absl::StrCat("--worker='node ", kExamples, "directory_map.js");
  Ended ended = Torture(worker + "' --model=map", 15);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  // What is written into a file that another one has just removed is lost, too: then nothing is
  // found that nobody wrote.
  bool is_foreign = false;
  for (int tries = 0; tries < 20 && !is_foreign; ++tries) {
    ended = Torture(worker + " in_place' --model=map --kill-at=syscalls", 100'000);
    ASSERT_EQ(ended.exit_code, 1) << ended.output;
    ASSERT_EQ(Verdict(), "violation");
    is_foreign = absl::StrContains(Reason(), "nobody wrote the value");
  }
  EXPECT_TRUE(is_foreign);
}

TEST_F(ExamplesTest, C) {
  if (!Has("cc")) GTEST_SKIP() << "no cc";
  const std::string program = folder_ + "/robust_mutex";
  const Ended built =
      RunLine(absl::StrCat("cc -g -o ", program, " ", kExamples, "robust_mutex.c -lpthread 2>&1"));
  ASSERT_EQ(built.exit_code, 0) << built.output;
  Ended ended = Torture(absl::StrCat("--worker=", program, " --model=robust-mutex"), 300);
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_GT(run_["kills"]["holding"].get<uint64_t>(), 0u);
  ended = Torture(absl::StrCat("--worker='", program, " plain' --model=robust-mutex --watchdog=1"),
                  100'000);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
  // Whom it waits for, and where in its own source.
  EXPECT_THAT(ended.output, ContainsRegex("a mutex whose owner is P[0-9]+, which is dead"));
  EXPECT_THAT(ended.output, ContainsRegex("#[0-9]+ +main .*robust_mutex.c:[0-9]+"));
}

// APCu (as of 5.1.22): who is killed while it reads, or writes, has the lock for ever.
TEST_F(ExamplesTest, PhpsSharedCacheStaysLocked) {
  if (RunLine("php -d apc.enable_cli=1 -r 'exit(apcu_enabled() && class_exists(\"FFI\") && "
              "function_exists(\"pcntl_fork\") ? 0 : 1);' 2>&1")
          .exit_code != 0) {
    GTEST_SKIP() << "no php with apcu, ffi and pcntl";
  }
  const Ended ended = Torture(absl::StrCat("--fork-server='php -d apc.enable_cli=1 ", kExamples,
                                           "apcu_server.php' --model=cache --watchdog=1"),
                              1'000'000);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
  EXPECT_GT(run_["kills"]["total"].get<uint64_t>(), 0u);
}

}  // namespace
}  // namespace kill9

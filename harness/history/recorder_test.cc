// The recorder and its clock, with real processes and real deaths.
#include "harness/history/recorder.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "harness/base/clock.h"
#include "property/scaffold/children.h"

namespace kill9 {
namespace {

std::unique_ptr<Recording> MakeRecording(uint32_t slots, uint32_t capacity) {
  auto recording = Recording::Create({.slots = slots, .capacity = capacity}, Clock::Checked());
  EXPECT_TRUE(recording.ok()) << recording.status();
  return *std::move(recording);
}

TEST(Clock, IsOrderedAcrossCoresAndSaysWhatItIs) {
  const Clock& clock = Clock::Checked();
  EXPECT_FALSE(clock.description().empty());
  RecordProperty("clock", clock.description());
  ClockOrder order = CheckClockOrder([&](int) { return clock.AfterOperation(); }, 1000);
  EXPECT_EQ(order.violations, 0u) << clock.description();
}

TEST(Clock, CheckFindsACoreThatLagsBehind) {
  const Clock& clock = Clock::Checked();
  int first_core = -1;
  std::atomic<int> first{-1};
  auto skewed = [&](int core) {
    int expected = -1;
    first.compare_exchange_strong(expected, core);
    // By more than a message is under way on any machine, however busy.
    constexpr uint64_t kLagNs = 60'000'000'000;
    return clock.AfterOperation() - (core == first.load() ? clock.ToTicks(kLagNs) : 0);
  };
  ClockOrder order = CheckClockOrder(skewed, 1000);
  first_core = first.load();
  if (order.cores < 2) GTEST_SKIP() << "one core: nothing to compare";
  EXPECT_GE(first_core, 0);
  EXPECT_GT(order.violations, 0u);
}

// Else whoever begins a run beside others waits for it until its time is up.
TEST(Clock, CheckIsWholeOnBusyCores) {
  const sched_param first{.sched_priority = 1}, usual{};
  if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) GTEST_SKIP() << "no priority is allowed here";
  sched_setscheduler(0, SCHED_OTHER, &usual);
  std::vector<Child> busy;
  for (long n = 0; n < 2 * sysconf(_SC_NPROCESSORS_ONLN); ++n) {
    busy.emplace_back([](Line&) {
      for (volatile bool spinning = true; spinning;) {
      }
      return 0;
    });
  }
  constexpr int kRounds = 2000;
  const Clock& clock = Clock::Checked();
  const ClockOrder order = CheckClockOrder([&](int) { return clock.AfterOperation(); }, kRounds);
  const uint64_t pairs = order.cores == 2 ? 1 : order.cores < 2 ? 0 : order.cores;
  EXPECT_EQ(order.messages, 2u * kRounds * pairs);
}

TEST(Clock, ConvertsTicksToNanosecondsAtTheRateOfTheWallClock) {
  const Clock& clock = Clock::Checked();
  Clock wall = Clock::Of(Clock::Source::kMonotonic);
  // Between two looks at the wall clock each, however long they are apart.
  const auto look = [&] { return std::array{wall.Now(), clock.Now(), wall.Now()}; };
  const auto first = look();
  usleep(50'000);
  const auto last = look();
  const double measured = static_cast<double>(clock.ToNanoseconds(last[1] - first[1]));
  EXPECT_GE(measured, 0.95 * static_cast<double>(last[0] - first[2]));
  EXPECT_LE(measured, 1.05 * static_cast<double>(last[2] - first[0]));
}

TEST(Recorder, DrainReturnsWhatAWorkerRecordedInOrder) {
  auto recording = MakeRecording(1, 64);
  recording->Open(0, 7);
  pid_t worker = fork();
  if (worker == 0) {
    Recorder recorder = recording->recorder(0);
    for (uint64_t i = 1; i <= 10; ++i) {
      recorder.Begin(Function::kPut, i % 3, i, 0);
      recorder.End(Outcome::kOk, kNothing, 100 + i);
    }
    _exit(0);
  }
  waitpid(worker, nullptr, 0);
  EXPECT_FALSE(recording->CloseCrashed(0, recording->clock().Now()));
  std::vector<Operation> operations;
  recording->Drain(&operations);
  ASSERT_EQ(operations.size(), 10u);
  for (uint64_t i = 1; i <= 10; ++i) {
    const Operation& operation = operations[i - 1];
    EXPECT_EQ(operation.process, 7u);
    EXPECT_EQ(operation.argument, i);
    EXPECT_EQ(operation.result_version, 100 + i);
    EXPECT_LE(operation.invoke, operation.finish);
    if (i > 1) {
      EXPECT_LE(operations[i - 2].finish, operation.invoke);
    }
  }
  EXPECT_TRUE(recording->empty());
}

TEST(Recorder, OperationCutOffByDeathIsClosedAtTheDeath) {
  auto recording = MakeRecording(1, 64);
  recording->Open(0, 1);
  pid_t worker = fork();
  if (worker == 0) {
    Recorder recorder = recording->recorder(0);
    recorder.Begin(Function::kGet, 5);
    recorder.End(Outcome::kOk, 3, 1);
    recorder.Begin(Function::kPut, 5, 42, 0);
    kill(getpid(), SIGKILL);
  }
  waitpid(worker, nullptr, 0);
  EXPECT_TRUE(recording->InOperation(0));
  uint64_t death = recording->clock().Now();
  EXPECT_TRUE(recording->CloseCrashed(0, death));
  EXPECT_FALSE(recording->InOperation(0));
  std::vector<Operation> operations;
  recording->Drain(&operations);
  ASSERT_EQ(operations.size(), 2u);
  EXPECT_EQ(operations[1].outcome, Outcome::kCrashed);
  EXPECT_EQ(operations[1].argument, 42u);
  EXPECT_EQ(operations[1].finish, death);
}

TEST(Recorder, DeathBetweenOperationsLeavesNothingOpen) {
  auto recording = MakeRecording(1, 64);
  recording->Open(0, 1);
  pid_t worker = fork();
  if (worker == 0) {
    Recorder recorder = recording->recorder(0);
    recorder.Begin(Function::kPut, 5, 42, 0);
    recorder.End(Outcome::kOk, kNothing, 1);
    kill(getpid(), SIGKILL);
  }
  waitpid(worker, nullptr, 0);
  EXPECT_FALSE(recording->InOperation(0));
  EXPECT_FALSE(recording->CloseCrashed(0, recording->clock().Now()));
}

// A tiny ring, so that the worker must wait for the supervisor all the time, and incarnations that
// die at arbitrary instructions: nothing may be lost, repeated or torn.
TEST(Recorder, NothingIsLostWhenTheRingIsFullAndWorkersAreKilled) {
  auto recording = MakeRecording(2, 8);
  const Clock& clock = recording->clock();
  std::vector<Operation> operations;
  uint64_t settled = 0;
  pid_t workers[2];
  uint32_t next_process = 0;
  auto start = [&](uint32_t slot) {
    recording->Open(slot, next_process++);
    workers[slot] = fork();
    if (workers[slot] == 0) {
      Recorder recorder = recording->recorder(slot);
      for (uint64_t i = 1;; ++i) {
        recorder.Begin(Function::kPut, slot, i, i);
        recorder.End(Outcome::kOk, i, i);
      }
    }
  };
  auto drain = [&] {
    size_t begin = operations.size();
    uint64_t now_settled = recording->Drain(&operations);
    for (size_t i = begin; i < operations.size(); ++i) EXPECT_GE(operations[i].invoke, settled);
    EXPECT_GE(now_settled, settled);
    settled = now_settled;
  };
  start(0);
  start(1);
  constexpr int kDeaths = 60;
  for (int death = 0; death < kDeaths; ++death) {
    uint32_t slot = static_cast<uint32_t>(death % 2);
    // So long that something was recorded, however busy the machine is.
    const uint64_t until = clock.Now() + clock.ToTicks(3'000'000);
    const size_t enough = operations.size() + 100;
    while (clock.Now() < until || operations.size() < enough) drain();
    kill(workers[slot], SIGKILL);
    waitpid(workers[slot], nullptr, 0);
    recording->CloseCrashed(slot, clock.Now());
    drain();
    if (death < kDeaths - 2) start(slot);
  }
  drain();
  EXPECT_TRUE(recording->empty());
  EXPECT_EQ(recording->drained(), operations.size());
  std::vector<uint64_t> last(next_process, 0);
  std::vector<bool> crashed(next_process, false);
  for (const Operation& operation : operations) {
    ASSERT_LT(operation.process, next_process);
    EXPECT_FALSE(crashed[operation.process]);
    EXPECT_EQ(operation.argument, ++last[operation.process]);
    EXPECT_EQ(operation.expected, operation.argument);
    if (operation.outcome == Outcome::kCrashed) {
      crashed[operation.process] = true;
    } else {
      EXPECT_EQ(operation.outcome, Outcome::kOk);
      EXPECT_EQ(operation.result, operation.argument);
      EXPECT_EQ(operation.result_version, operation.argument);
    }
  }
  EXPECT_GT(operations.size(), 1000u);
}

// ---- Calls that move several messages.

TEST(Recorder, ARowIsOpenAsAWholeAndEndsAsAWhole) {
  auto recording = MakeRecording(1, 64);
  recording->Open(0, 7);
  Recorder recorder = recording->recorder(0);
  const uint64_t arguments[] = {11, 12, 13};
  recorder.BeginRow(Function::kSend, 5, arguments);
  std::vector<Operation> drained;
  const uint64_t settled = recording->Drain(&drained);
  EXPECT_TRUE(drained.empty());
  EXPECT_TRUE(recording->InOperation(0));
  recorder.EndRow(3, [&](size_t i, Operation& operation) {
    operation.result_version = 20 + i;
    // Half of a row would be settled by the end of its first half.
    recording->Drain(&drained);
    EXPECT_TRUE(drained.empty());
    return i == 2 ? Outcome::kRefused : Outcome::kOk;
  });
  EXPECT_FALSE(recording->InOperation(0));
  recorder.Begin(Function::kReceive, 5);
  recorder.End(Outcome::kOk);
  recording->Drain(&drained);
  ASSERT_EQ(drained.size(), 4u);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(drained[i].process, CompanionOf(7, i));
    EXPECT_EQ(WhoseCompanion(drained[i].process), 7u);
    EXPECT_EQ(drained[i].argument, 11 + i);
    EXPECT_EQ(drained[i].outcome, i == 2 ? Outcome::kRefused : Outcome::kOk);
    EXPECT_EQ(drained[i].result_version, 20 + i);
    EXPECT_EQ(drained[i].invoke, drained[0].invoke);
    EXPECT_EQ(drained[i].finish, drained[0].finish);
    EXPECT_LE(settled, drained[i].invoke);
  }
  EXPECT_EQ(drained[3].process, 7u);
  EXPECT_LT(drained[2].finish, drained[3].invoke);
}

TEST(Recorder, ARowThatADeathCutsOffCrashesAsAWhole) {
  auto recording = MakeRecording(1, 64);
  recording->Open(0, 1);
  const pid_t pid = fork();
  if (pid == 0) {
    Recorder recorder = recording->recorder(0);
    recorder.Begin(Function::kReceive, 5);
    recorder.End(Outcome::kOk);
    const uint64_t arguments[] = {11, 12, 13};
    recorder.BeginRow(Function::kSend, 5, arguments);
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(recording->CloseCrashed(0, recording->clock().Now()));
  std::vector<Operation> drained;
  recording->Drain(&drained);
  ASSERT_EQ(drained.size(), 4u);
  EXPECT_EQ(drained[0].outcome, Outcome::kOk);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(drained[i].outcome, Outcome::kCrashed);
  EXPECT_TRUE(recording->empty());
}

TEST(Recorder, ARowWaitsUntilThereIsRoomForAllOfIt) {
  auto recording = MakeRecording(1, 4);
  recording->Open(0, 1);
  Recorder recorder = recording->recorder(0);
  for (int i = 0; i < 3; ++i) {
    recorder.Begin(Function::kReceive, 5);
    recorder.End(Outcome::kOk);
  }
  std::vector<Operation> drained;
  std::atomic<bool> begun{false};
  std::thread worker([&] {
    const uint64_t arguments[] = {11, 12};
    recorder.BeginRow(Function::kSend, 5, arguments);
    begun.store(true);
    recorder.EndRow(2, [](size_t, Operation&) { return Outcome::kOk; });
  });
  usleep(5'000);
  EXPECT_FALSE(begun.load());  // three of four are taken
  while (!begun.load()) recording->Drain(&drained);
  worker.join();
  recording->Drain(&drained);
  EXPECT_EQ(drained.size(), 5u);
}

}  // namespace
}  // namespace kill9

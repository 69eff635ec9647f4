// Whoever killed a process and reaped it may expect that others find it dead, also if somebody was
// looking into its memory then (ps, a monitor).
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "gtest/gtest.h"
#include "harness/stepper/process/process_wait.h"
#include "property/scaffold/children.h"
#include "property/torture/held_memory.h"

namespace kill9 {
namespace {

// Holds the memory of a living process until some time after its PID is gone.
class MemoryHeldBeyondTheEnd {
 public:
  // REQUIRES: usable().
  explicit MemoryHeldBeyondTheEnd(pid_t process) : held_(memory_.Hold(process)) {
    waiter_ = std::thread([this, process] {
      while (kill(process, 0) == 0) SleepMicroseconds(100);
      SleepMicroseconds(50'000);
      released_.store(true, std::memory_order_release);
      memory_.Release();
    });
  }
  ~MemoryHeldBeyondTheEnd() { waiter_.join(); }
  bool held() const { return held_; }
  bool released() const { return released_.load(std::memory_order_acquire); }
  static bool Usable() { return HeldMemory().usable(); }

 private:
  HeldMemory memory_;
  bool held_;
  std::atomic<bool> released_{false};
  std::thread waiter_;
};

Child Waiting() {
  Child child([](Line& parent) {
    parent.Tell();
    parent.Await();
    return 0;
  });
  EXPECT_TRUE(child.Await());
  return child;
}

TEST(MemoryOfTheDead, ChildOfATestIsReapedWhenItIsGone) {
  if (!MemoryHeldBeyondTheEnd::Usable()) GTEST_SKIP() << "no userfaultfd here";
  Child victim = Waiting();
  MemoryHeldBeyondTheEnd memory(victim.pid());
  ASSERT_TRUE(memory.held());
  victim.KillAndReap();
  EXPECT_TRUE(memory.released());
}

TEST(MemoryOfTheDead, ZombieOfATestIsAwaitedUntilItIsGone) {
  if (!MemoryHeldBeyondTheEnd::Usable()) GTEST_SKIP() << "no userfaultfd here";
  Child victim = Waiting();
  HeldMemory memory;
  ASSERT_TRUE(memory.Hold(victim.pid()));
  victim.Signal(SIGKILL);
  std::atomic<bool> released{false};
  std::thread waiter([&] {
    SleepMicroseconds(50'000);
    released.store(true, std::memory_order_release);
    memory.Release();
  });
  victim.AwaitZombie();
  EXPECT_TRUE(released.load(std::memory_order_acquire));
  waiter.join();
}

pid_t Sleeper() {
  Shared<std::atomic<bool>> ready;
  const pid_t child = stepper::ForkAs(0);
  if (child == 0) {
    ready->store(true, std::memory_order_release);
    for (;;) pause();
  }
  while (!ready->load(std::memory_order_acquire)) SleepMicroseconds(100);
  return child;
}

TEST(MemoryOfTheDead, VictimOfASweepIsReapedWhenItIsGone) {
  if (!MemoryHeldBeyondTheEnd::Usable()) GTEST_SKIP() << "no userfaultfd here";
  const pid_t killed = Sleeper();
  {
    MemoryHeldBeyondTheEnd memory(killed);
    ASSERT_TRUE(memory.held());
    stepper::KillAndReap(killed);
    EXPECT_TRUE(memory.released());
  }
  const pid_t ended = Sleeper();
  MemoryHeldBeyondTheEnd memory(ended);
  ASSERT_TRUE(memory.held());
  kill(ended, SIGTERM);
  int status = 0;
  EXPECT_TRUE(stepper::Reap(ended, 30, &status));
  EXPECT_TRUE(memory.released());
}

}  // namespace
}  // namespace kill9

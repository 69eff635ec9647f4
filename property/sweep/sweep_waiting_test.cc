// How a tracer tells who waits for others from who waits for a CPU.
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "harness/base/cpu_chance.h"
#include "harness/base/pin_to_core.h"
#include "harness/stepper/process/process_wait.h"
#include "property/scaffold/children.h"

namespace kill9::stepper {
namespace {

TEST(SweepWaiting, TimeThatAReadyProcessSpendsWithoutACpuIsKnown) {
  if (access("/proc/self/schedstat", R_OK) != 0) GTEST_SKIP() << "the kernel does not count it";
  const auto spin = [](Line&) {
    PinToCore(0);
    for (volatile bool spinning = true; spinning;) {
    }
    return 0;
  };
  Child one(spin);
  Child other(spin);
  // Both had their turns on the one CPU.
  while (CpuSeconds(one.pid()) < 0.2 || CpuSeconds(other.pid()) < 0.2) {
    ASSERT_NE(HowItWaits(one.pid()), Waiting::kGone);
    ASSERT_NE(HowItWaits(other.pid()), Waiting::kGone);
    SleepMicroseconds(1000);
  }
  EXPECT_GT(ReadProcessTimes(one.pid()).waited_ns, 20'000'000u);
  EXPECT_GT(ReadProcessTimes(other.pid()).waited_ns, 20'000'000u);
}

// The first thread sleeps until another one is through, which gets no CPU: as in a JVM that starts.
TEST(SweepWaiting, TimeOfAThreadWithoutACpuIsNotCharged) {
  if (access("/proc/self/schedstat", R_OK) != 0) GTEST_SKIP() << "the kernel does not count it";
  const auto spin = [] {
    for (volatile bool spinning = true; spinning;) {
    }
  };
  const auto busy = [&](Line&) {
    PinToCore(0);
    spin();
    return 0;
  };
  Child one(busy);
  Child other(busy);
  Child joins([&](Line&) {
    PinToCore(0);
    setpriority(PRIO_PROCESS, 0, 19);  // what the others leave is hardly anything
    std::thread(spin).join();
    return 0;
  });
  const auto now_ns = [] {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
  };
  while (ReadProcessTimes(joins.pid()).threads < 2 ||
         HowItWaits(joins.pid()) != Waiting::kForOthers) {
    SleepMicroseconds(1000);
  }
  uint64_t looked_at_ns = now_ns();
  CpuChance chance;
  chance.Begin(joins.pid(), looked_at_ns);
  chance.Look(looked_at_ns, 0);
  uint64_t charged_ns = 0;
  uint64_t elapsed_ns = 0;
  for (int look = 0; look < 50; ++look) {
    SleepMicroseconds(10'000);
    const uint64_t now = now_ns();
    charged_ns += chance.Look(now, now - looked_at_ns);
    elapsed_ns += now - std::exchange(looked_at_ns, now);
  }
  EXPECT_EQ(ReadProcessTimes(joins.pid()).state, 'S') << "the premise: it waits for its thread";
  EXPECT_LT(charged_ns, elapsed_ns / 2);
}

TEST(SweepWaiting, ProcessThatIsNoMoreHasWaitedForNothing) {
  Child child([](Line&) { return 0; });
  const pid_t pid = child.pid();
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_FALSE(ReadProcessTimes(pid).known);
  EXPECT_EQ(HowItWaits(pid), Waiting::kGone);
}

}  // namespace
}  // namespace kill9::stepper

// How a tracer tells who waits for others from who waits for a CPU.
#include <unistd.h>

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

TEST(SweepWaiting, ProcessThatIsNoMoreHasWaitedForNothing) {
  Child child([](Line&) { return 0; });
  const pid_t pid = child.pid();
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_FALSE(ReadProcessTimes(pid).known);
  EXPECT_EQ(HowItWaits(pid), Waiting::kGone);
}

}  // namespace
}  // namespace kill9::stepper

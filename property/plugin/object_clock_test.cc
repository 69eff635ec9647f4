// The time that an object is told in the sweep is the cell's, by whatever it asks for it.
#include "harness/plugin/object_clock.h"

#include <sys/time.h>

#include <chrono>
#include <ctime>

#include "gtest/gtest.h"

namespace kill9 {
namespace {

constexpr uint64_t kHour = 3'600'000'000'000;

// By every clock, in hours since the first second.
void ExpectHoursTold(int64_t hours) {
  using std::chrono::duration_cast;
  for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
                                CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW}) {
    timespec now{};
    ASSERT_EQ(clock_gettime(clock, &now), 0);
    EXPECT_EQ(now.tv_sec / 3600, hours) << "clock " << clock;
  }
  timeval now{};
  ASSERT_EQ(gettimeofday(&now, nullptr), 0);
  EXPECT_EQ(now.tv_sec / 3600, hours);
  time_t seconds = 0;
  EXPECT_EQ(time(&seconds) / 3600, hours);
  EXPECT_EQ(seconds / 3600, hours);
  // Which the C++ library asks the C library for.
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  EXPECT_EQ(duration_cast<std::chrono::hours>(since).count(), hours);
}

TEST(ObjectClock, TellsAnObjectTheCellsTimeAndNobodyElse) {
  std::atomic<uint64_t> counter = 2 * kHour;
  const time_t before = time(nullptr);
  ASSERT_GT(before / 3600, 400'000) << "the machine's clock is not set";
  ObjectClock::Set(&counter);
  EXPECT_GE(time(nullptr), before);
  {
    const ObjectClock::InObject in_object;
    ExpectHoursTold(2);
    counter += 5 * kHour;
    ExpectHoursTold(7);
    timespec used{};
    ASSERT_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    EXPECT_LT(used.tv_sec, 3600) << "what a process has used is its own";
  }
  EXPECT_GE(time(nullptr), before);
  ObjectClock::Set(nullptr);
  const ObjectClock::InObject in_object;
  EXPECT_GE(time(nullptr), before);
}

// So that who waits for a time by looking at the clock sees it come.
TEST(ObjectClock, GoesOnWithEachReading) {
  std::atomic<uint64_t> counter = 0;
  ObjectClock::Set(&counter);
  {
    const ObjectClock::InObject in_object;
    timespec first{}, second{};
    clock_gettime(CLOCK_MONOTONIC, &first);
    clock_gettime(CLOCK_MONOTONIC, &second);
    EXPECT_LT(first.tv_nsec, second.tv_nsec);
  }
  ObjectClock::Set(nullptr);
}

}  // namespace
}  // namespace kill9

// The robust mutex, with real processes that really die.
#include "variants/segment/robust_mutex.h"

#include <linux/futex.h>

#include <atomic>

#include "gtest/gtest.h"
#include "property/scaffold/children.h"

namespace kill9 {
namespace {

// Begins to wait for the mutex, takes it, and says how it found it.
int TakeIt(RobustMutex& mutex) {
  const RobustMutex::Acquired found = mutex.Lock();
  if (found == RobustMutex::Acquired::kOwnerDied) mutex.Consistent();
  mutex.Unlock();
  return static_cast<int>(found);
}

TEST(RobustMutexTest, NextOwnerIsToldOfADeadOneOnceItIsRepaired) {
  Shared<RobustMutex> mutex;
  mutex->Format();
  Child victim([&](Line& parent) {
    if (mutex->Lock() != RobustMutex::Acquired::kClean) return 1;
    parent.Tell();
    for (;;) SleepMicroseconds(1'000'000);
  });
  ASSERT_TRUE(victim.Await());
  EXPECT_EQ(mutex->TryLock(), RobustMutex::Acquired::kBusy);
  victim.KillAndReap();
  Child repairs_half([&](Line&) {
    return mutex->Lock() == RobustMutex::Acquired::kOwnerDied ? 0 : 1;  // ends without Consistent()
  });
  EXPECT_EQ(repairs_half.ExitStatus(), 0);
  EXPECT_EQ(TakeIt(*mutex), static_cast<int>(RobustMutex::Acquired::kOwnerDied));
  EXPECT_EQ(TakeIt(*mutex), static_cast<int>(RobustMutex::Acquired::kClean));
}

// What is left when the waiter that an unlock has woken is killed before it takes the mutex, and
// somebody else has taken it by the fast path in between: others sleep, and the word does not say
// so. (glibc keeps the futex in the mutex's first word.)
TEST(RobustMutexTest, WaiterWhomNobodyWillWakeGetsTheMutexAllTheSame) {
  Shared<RobustMutex> mutex;
  mutex->Format();
  std::atomic_ref<uint32_t> word(*reinterpret_cast<uint32_t*>(&*mutex));
  ASSERT_EQ(mutex->Lock(), RobustMutex::Acquired::kClean);
  Child waiter([&](Line& parent) {
    parent.Tell();
    return TakeIt(*mutex);
  });
  ASSERT_TRUE(waiter.Await());
  while ((word.load() & FUTEX_WAITERS) == 0) SleepMicroseconds(100);
  SleepMicroseconds(1'000);  // it sleeps by now, or will find the word changed and ask again
  word.fetch_and(~FUTEX_WAITERS);
  mutex->Unlock();
  EXPECT_EQ(waiter.ExitStatus(), static_cast<int>(RobustMutex::Acquired::kClean));
}

}  // namespace
}  // namespace kill9

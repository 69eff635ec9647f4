#include "harness/stepper/trace/waiting.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/shared_mapping.h"
#include "harness/stepper/process/process_wait.h"
#include "harness/stepper/process/tracee.h"
#include "property/scaffold/eventually.h"

namespace kill9::stepper {
namespace {

using ::testing::HasSubstr;

struct Words {
  pthread_mutex_t mutex;
  pthread_mutex_t robust;
  sem_t semaphore;
};

class WaitingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* why = WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
    words_ = reinterpret_cast<Words*>(MapShared(sizeof(Words), 0));
    ASSERT_NE(words_, nullptr);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&words_->mutex, &attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&words_->robust, &attributes);
    sem_init(&words_->semaphore, 1, 0);
  }

  // Of a child that does this, once it sleeps, or (`runs`) as soon as it is there.
  template <typename Work>
  WaitingFor LookAtChild(Work work, bool runs = false) {
    const pid_t child = fork();
    if (child == 0) {
      work();
      _exit(0);
    }
    EXPECT_TRUE(runs || Eventually([child] { return HowItWaits(child) == Waiting::kForOthers; }));
    const WaitingFor waiting = LookAtWaiting(child, [](pid_t thread) {
      return thread == getpid() ? std::string("this test") : "somebody else";
    });
    kill9::KillAndReap(child, nullptr);
    return waiting;
  }

  Words* words_ = nullptr;
};

TEST_F(WaitingTest, TellsWhoOwnsTheMutexThatIsWaitedFor) {
  pthread_mutex_lock(&words_->mutex);
  const WaitingFor plain = LookAtChild([this] { pthread_mutex_lock(&words_->mutex); });
  EXPECT_THAT(plain.what, HasSubstr("asleep in futex, on the word at byte 0 of "));
  EXPECT_THAT(plain.what, HasSubstr(": a mutex whose owner is this test"));
  EXPECT_THAT(plain.stack, HasSubstr("pthread_mutex_lock"));

  pthread_mutex_lock(&words_->robust);
  const WaitingFor robust = LookAtChild([this] { pthread_mutex_lock(&words_->robust); });
  EXPECT_THAT(robust.what, HasSubstr(": a mutex whose owner is this test"));
}

TEST_F(WaitingTest, TellsOfASemaphoreThatNobodyPosts) {
  const WaitingFor waiting = LookAtChild([this] { sem_wait(&words_->semaphore); });
  EXPECT_THAT(waiting.what, HasSubstr(": a semaphore at 0"));
  EXPECT_THAT(waiting.stack, HasSubstr("sem_wait"));
}

TEST_F(WaitingTest, TellsOfOneThatOnlyLooksAgain) {
  const WaitingFor waiting = LookAtChild(
      [] {
        for (;;) asm volatile("pause");
      },
      /*runs=*/true);
  EXPECT_THAT(waiting.what, HasSubstr("running"));
  EXPECT_THAT(waiting.stack, HasSubstr("#0 "));
}

TEST_F(WaitingTest, OfAProcessThatIsGoneNothingIsKnown) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  const WaitingFor waiting = LookAtWaiting(child, [](pid_t) { return std::string(); });
  EXPECT_EQ(waiting.what, "");
  EXPECT_EQ(waiting.stack, "");
}

}  // namespace
}  // namespace kill9::stepper

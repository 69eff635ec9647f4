// Of a victim that its own timer has ended the supervisor knows so, whenever that was.
#include "harness/torture/kill_timer.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <new>

#include "gtest/gtest.h"
#include "harness/base/random.h"
#include "harness/base/shared_mapping.h"

namespace kill9 {
namespace {

constexpr uint64_t kFarNs = 3'600'000'000'000;

class DeathTimers : public testing::Test {
 protected:
  // How a child ends that does `work` with its timer.
  int End(const std::function<void(DeathTimer&)>& work) {
    new (board_.get()) WorkerBoard();
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      DeathTimer timer(board());
      if (!timer.ok()) _exit(1);
      work(timer);
      _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    noted_ns_ = MonotonicNs();
    return status;
  }

  WorkerBoard& board() { return *board_; }
  uint64_t told_ns() { return board().timer_at_ns.load(std::memory_order_relaxed); }
  bool may_be_own() { return MayBeOwnTimer(board(), noted_ns_); }

  const SharedMapping<WorkerBoard> board_ = MapShared<WorkerBoard>();
  uint64_t noted_ns_ = 0;
};

// T1: it dies of a timer that it is about to set anew. By hand: with the new time told before the
// old one was over, one in some thirty of these deaths had come before the time that was told.
TEST_F(DeathTimers, WhoSetsItAnewDiesAtATimeThatWasTold) {
  constexpr int kVictims = 400;
  constexpr uint64_t kSoonNs = 4'000;
  for (int i = 0; i < kVictims; ++i) {
    const int status = End([i](DeathTimer& timer) {
      Random random(1, i);
      for (;;) timer.Set(MonotonicNs() + (random.Chance(900) ? kFarNs : random.Below(kSoonNs)));
    });
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_TRUE(WTERMSIG(status) == OrderedSignal() || may_be_own()) << status;
    ASSERT_NE(told_ns(), 0u);
    ASSERT_LE(told_ns(), noted_ns_) << "victim " << i;
  }
}

TEST_F(DeathTimers, WhoHasClearedItLives) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(End([](DeathTimer& timer) {
                timer.Set(MonotonicNs() + kFarNs);
                timer.Clear();
              }),
              0);
    EXPECT_EQ(told_ns(), 0u);
  }
}

// T2: only while it is being set, and due, a death of SIGKILL alone may be the timer's.
TEST_F(DeathTimers, SigkillAloneIsItsOwnOnlyWhileItIsSet) {
  const auto dies = [] { kill(getpid(), SIGKILL); };
  EXPECT_EQ(End([&](DeathTimer&) { dies(); }), SIGKILL);
  EXPECT_FALSE(may_be_own()) << "it was never set";
  EXPECT_EQ(End([&](DeathTimer& timer) {
              timer.Set(MonotonicNs() + kFarNs);
              dies();
            }),
            SIGKILL);
  EXPECT_FALSE(may_be_own()) << "it is set, and not due";
  noted_ns_ = told_ns() + kFarNs;
  EXPECT_FALSE(may_be_own()) << "it is set, and was due when the death was noted";
  board().timer_is_unsure.store(1, std::memory_order_relaxed);
  EXPECT_TRUE(may_be_own()) << "it is being set, and due";
  noted_ns_ = told_ns() - 1;
  EXPECT_FALSE(may_be_own()) << "it is being set, and not due";
}

}  // namespace
}  // namespace kill9

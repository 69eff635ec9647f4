// The steps themselves: who leaps to a breakpoint stands where who steps all the way stands.
#if defined(__x86_64__)

#include "property/scaffold/trap_steps.h"

#include <sys/syscall.h>

#include <cstdint>
#include <cstring>

#include "gtest/gtest.h"
#include "property/scaffold/children.h"

namespace kill9 {
namespace {

// What can be seen of how far an operation came.
struct State {
  uint64_t rounds = 0;
  uint64_t calls = 0;
  char copy[32] = {};
};

[[gnu::noinline]] void CountRound(volatile uint64_t& rounds) { rounds = rounds + 1; }
[[gnu::noinline]] void CopyByString(char* to, const char* from, size_t size) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

// A loop, a string instruction that comes more than once, and system calls.
bool Operate(State& state) {
  for (int part = 1; part < 4; ++part) {
    for (int round = 0; round < 6; ++round) CountRound(state.rounds);
    const char from[] = "copied byte by byte";
    CopyByString(state.copy + part, from, sizeof from);
    syscall(SYS_getppid);
    ++state.calls;
  }
  return true;
}

class Leaps : public ::testing::Test {
 protected:
  // The child's exit status; 1000 and the signal, if it was sent that.
  int RunUntil(uint64_t step, const TrapPath::Leap& leap) {
    *state_ = State();
    Child child([&](Line&) {
      return RunWithSteps(
                 step, SIGKILL, [this] { return Operate(*state_); }, leap)
                 ? 0
                 : 1;
    });
    return child.ExitStatus();
  }

  Shared<State> state_;
  TrapPath path_;
};

TEST_F(Leaps, StandWhereStepsDo) {
  uint64_t leapt = 0, step = 1, saved = 0;
  for (;; ++step) {
    const int stepped = RunUntil(step, {});
    const State there = *state_;
    const TrapPath::Leap leap = path_.LeapTo(step);
    ASSERT_EQ(RunUntil(step, leap), stepped) << step;
    EXPECT_EQ(std::memcmp(&*state_, &there, sizeof there), 0) << "otherwise at step " << step;
    if (stepped == 0) break;
    ASSERT_EQ(stepped, 1000 + SIGKILL);
    leapt += leap.at != nullptr ? 1 : 0;
    if (leap.at != nullptr) saved += leap.steps - (2 * leap.passes - 1);
  }
  EXPECT_EQ(state_->calls, 3u);
  EXPECT_GT(step, 150u) << "the premise: many steps";
  EXPECT_GT(leapt, step / 2);
  EXPECT_GT(saved, leapt * 20) << "it costs less";
}

TEST_F(Leaps, WhoGoesAnotherWayIsFoundOut) {
  const auto run = [this](bool calls, uint64_t step) {
    const TrapPath::Leap leap = path_.LeapTo(step);
    Child child([&](Line&) {
      const auto operate = [&] {
        if (calls) Operate(*state_);
        return true;
      };
      return RunWithSteps(step, SIGKILL, operate, leap) ? 0 : 1;
    });
    return child.ExitStatus();
  };
  constexpr uint64_t kFar = 100;
  ASSERT_EQ(run(true, kFar), 1000 + SIGKILL);
  ASSERT_NE(path_.LeapTo(kFar).at, nullptr) << "the premise";
  EXPECT_EQ(run(false, kFar), TrapPath::kStrayed);
  EXPECT_FALSE(path_.Strayed(0));
  EXPECT_TRUE(path_.Strayed(TrapPath::kStrayed));
  EXPECT_EQ(path_.LeapTo(kFar).at, nullptr) << "the next one steps";
  EXPECT_EQ(run(false, kFar), 0);
}

}  // namespace
}  // namespace kill9

#endif  // __x86_64__

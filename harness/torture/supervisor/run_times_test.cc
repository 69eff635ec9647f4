// What a run measures in time, on made-up operations and deaths. Ticks are nanoseconds here.
#include "harness/torture/supervisor/run_times.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace kill9 {
namespace {

constexpr uint64_t kUs = 1000;
constexpr uint64_t kEnd = ~uint64_t{0} - 1;

Operation Done(uint32_t process, uint64_t invoke, uint64_t finish, Outcome outcome = Outcome::kOk) {
  Operation operation{};
  operation.process = process;
  operation.invoke = invoke;
  operation.finish = finish;
  operation.function = Function::kPut;
  operation.outcome = outcome;
  return operation;
}

class RunTimesTest : public testing::Test {
 protected:
  void Take(std::vector<Operation> operations, uint64_t settled = kEnd) {
    times_.Take(operations, settled);
  }

  std::unique_ptr<Histogram> recovery_ = std::make_unique<Histogram>();
  std::unique_ptr<Histogram> noted_ = std::make_unique<Histogram>();
  RunTimes times_{Clock::Of(Clock::Source::kMonotonic), *recovery_, *noted_};
};

TEST_F(RunTimesTest, WithoutADeathNothingIsSampled) {
  Take({Done(1, 10 * kUs, 20 * kUs), Done(2, 15 * kUs, 900 * kUs)});
  times_.Finish();
  EXPECT_EQ(recovery_->count(), 0u);
  EXPECT_EQ(noted_->count(), 0u);
}

TEST_F(RunTimesTest, RecoveryEndsWithTheFirstCompletionOfAnotherProcess) {
  times_.NoteDeath(1, 100 * kUs, 150 * kUs);
  Take({Done(1, 90 * kUs, 101 * kUs),                     // the victim's own
        Done(3, 90 * kUs, 102 * kUs, Outcome::kCrashed),  // another victim's
        Done(2, 80 * kUs, 99 * kUs),                      // before the death
        Done(2, 100 * kUs, 107 * kUs), Done(3, 100 * kUs, 105 * kUs)});
  EXPECT_EQ(recovery_->count(), 1u);
  EXPECT_EQ(recovery_->largest(), 5u);
  EXPECT_EQ(noted_->largest(), 50u);
}

TEST_F(RunTimesTest, CompletionsThatWereDrainedBeforeTheDeathWasNotedCount) {
  Take({Done(2, 100 * kUs, 103 * kUs), Done(2, 104 * kUs, 120 * kUs)});
  times_.NoteDeath(1, 102 * kUs, 150 * kUs);
  Take({Done(2, 151 * kUs, 152 * kUs)});
  EXPECT_EQ(recovery_->count(), 1u);
  EXPECT_EQ(recovery_->largest(), 1u);
}

TEST_F(RunTimesTest, SampleWaitsUntilNothingEarlierCanCome) {
  times_.NoteDeath(1, 100 * kUs, 101 * kUs);
  Take({Done(2, 100 * kUs, 140 * kUs)}, 120 * kUs);
  EXPECT_EQ(recovery_->count(), 0u);
  Take({Done(3, 121 * kUs, 125 * kUs)}, 150 * kUs);
  EXPECT_EQ(recovery_->count(), 1u);
  EXPECT_EQ(recovery_->largest(), 25u);
}

TEST_F(RunTimesTest, EachDeathIsSampledOnceAtMost) {
  for (uint64_t death = 1; death <= 600; ++death) {
    times_.NoteDeath(static_cast<uint32_t>(death), death * kUs, death * kUs);
  }
  Take({Done(1000, 1, 700 * kUs), Done(1001, 1, 800 * kUs)});
  Take({Done(1000, 701 * kUs, 702 * kUs)});
  times_.Finish();
  EXPECT_GT(recovery_->count(), 0u);
  EXPECT_LE(recovery_->count(), 600u);
  EXPECT_EQ(noted_->count(), 600u);
}

TEST_F(RunTimesTest, DeathNotedAfterItsTimeWasForgottenGivesNoSample) {
  for (uint64_t at = 1000; at < 41'000; ++at) Take({Done(2, at * kUs, at * kUs + 1)});
  times_.NoteDeath(1, 999 * kUs, 41'000 * kUs);
  Take({Done(2, 41'001 * kUs, 41'002 * kUs)});
  EXPECT_EQ(recovery_->count(), 0u);
}

TEST_F(RunTimesTest, LongestWaitIsOfAProcessThatWasNotStopped) {
  times_.NoteStop(2, 50 * kUs);
  times_.NoteResume(2, 90 * kUs);
  Take({Done(1, 10 * kUs, 30 * kUs), Done(2, 40 * kUs, 95 * kUs)});
  EXPECT_EQ(times_.report().longest_wait, 20 * kUs);
  Take({Done(2, 100 * kUs, 125 * kUs)});
  EXPECT_EQ(times_.report().longest_wait, 25 * kUs);
}

TEST_F(RunTimesTest, LongestWaitTellsHowMuchOfItNothingRan) {
  times_.NotePause(200 * kUs, 900 * kUs);
  Take({Done(1, 150 * kUs, 920 * kUs)});
  EXPECT_EQ(times_.report().longest_wait, 770 * kUs);
  EXPECT_EQ(times_.report().longest_wait_paused, 700 * kUs);
  EXPECT_EQ(times_.report().longest_pause, 700 * kUs);
}

}  // namespace
}  // namespace kill9

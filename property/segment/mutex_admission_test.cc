// Who may lock the mutexes of a segment: nobody else while somebody resets them, whoever dies
// meanwhile and wherever the others stand (M1, M2 in mutex_admission.h).
#include "variants/segment/admission/mutex_admission.h"

#include <sched.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/counted_steps.h"
#include "property/scaffold/eventually.h"
#include "property/segment/participants_fixture.h"

namespace kill9 {
namespace {

class MutexAdmissionTest : public Participants {
 protected:
  struct Board {
    std::atomic<bool> asker_is_admitted;
    std::atomic<bool> is_resetting;
    std::atomic<bool> reset_may_end;
    std::atomic<bool> resetter_is_admitted;
  };

  absl::Status Admit(const Participant& owner, absl::FunctionRef<void()> reset) {
    return AdmitToMutexes(table_, owner, segment_->fd(), reset);
  }
  // Until one of both is so; or until the process, which goes round in circles and sleeps in each,
  // has come by several times and nothing has changed.
  static void AwaitOrSeeRetries(const std::atomic<bool>& is_so, const std::atomic<bool>& or_so,
                                const Child& child) {
    constexpr uint64_t kRetries = 3;
    const uint64_t first = SleepsOf(child.pid());
    while (!is_so && !or_so && SleepsOf(child.pid()) < first + kRetries) sched_yield();
  }
  static uint64_t SleepsOf(pid_t pid) {
    std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
    for (std::string line; std::getline(status, line);) {
      uint64_t sleeps = 0;
      if (std::sscanf(line.c_str(), "voluntary_ctxt_switches: %lu", &sleeps) == 1) return sleeps;
    }
    ADD_FAILURE() << "no /proc/" << pid << "/status";
    return ~uint64_t{0} / 2;
  }
  // The one who is admitted, and waits to be killed.
  Child Admitted() {
    Child child([&](Line& parent) {
      absl::StatusOr<Participant> participant = table_.Claim();
      CHILD_REQUIRE(participant.ok() && Admit(*participant, [] {}).ok());
      parent.Tell();
      parent.Await();
      return 1;
    });
    EXPECT_TRUE(child.Await());
    return child;
  }
  // Tells 1 where it stops, unless it never does; then waits to go on; tells how many instructions
  // its admission had.
  Child Asker(Shared<Board>& board, uint64_t stop_at) {
    return Child([&, stop_at](Line& parent) {
      absl::StatusOr<Participant> participant = table_.Claim();
      CHILD_REQUIRE(participant.ok());
      absl::Status status;
      const uint64_t steps = StepsOf(parent, stop_at, [&] { status = Admit(*participant, [] {}); });
      board->asker_is_admitted = true;
      CHILD_REQUIRE(status.ok());
      parent.Tell(steps);
      parent.Await();
      return 0;
    });
  }
  Child Resetter(Shared<Board>& board) {
    Child child([&](Line& parent) {
      absl::StatusOr<Participant> participant = table_.Claim();
      CHILD_REQUIRE(participant.ok());
      parent.Tell();
      const absl::Status status = Admit(*participant, [&] {
        board->is_resetting = true;
        while (!board->reset_may_end) sched_yield();
        board->is_resetting = false;
      });
      board->resetter_is_admitted = true;
      CHILD_REQUIRE(status.ok());
      parent.Await();
      return 0;
    });
    EXPECT_TRUE(child.Await());
    return child;
  }
};

// One asks while the only one who is admitted lives, and is stopped at an instruction; that one is
// killed; a third comes, and finds nobody. Found by torture beside much other work: the one who had
// asked was admitted while the third reset the mutexes, and unlocked what was no longer its own.
TEST_F(MutexAdmissionTest, WhoHasSeenTheLastOneIsNotAdmittedDuringAReset) {
  constexpr uint64_t kStride = 7;
  constexpr int kResets = 8;
  uint64_t whole = 0;
  {
    Make(8);
    Shared<Board> board;
    Child admitted = Admitted();
    Child asker = Asker(board, kStopNowhere);
    ASSERT_TRUE(asker.Await(&whole));
    ASSERT_TRUE(board->asker_is_admitted);
  }
  ASSERT_GT(whole, kStride * kResets);
  // From the end backwards, over the moment at which it is admitted and its look at the other
  // before that, until the third finds nobody, again and again.
  int resets = 0, finished_first = 0;
  for (uint64_t back = TestSeed() % kStride; back < whole && resets < kResets; back += kStride) {
    SCOPED_TRACE(absl::StrCat("stopped ", back, " instructions before the end of ", whole));
    Make(8);
    Shared<Board> board;
    Child admitted = Admitted();
    Child asker = Asker(board, whole - back);
    uint64_t steps = 0;
    ASSERT_TRUE(asker.Await(&steps));
    const bool is_stopped = steps == 1;
    admitted.KillAndReap();
    Child resetter = Resetter(board);
    AwaitOrSeeRetries(board->is_resetting, board->resetter_is_admitted, resetter);
    if (is_stopped) {
      asker.Tell();
      AwaitOrSeeRetries(board->asker_is_admitted, board->resetter_is_admitted, asker);
    }
    ASSERT_FALSE(board->is_resetting && board->asker_is_admitted)
        << "both may believe that a mutex is theirs";
    resets += board->is_resetting;
    finished_first += board->asker_is_admitted;
    board->reset_may_end = true;
    ASSERT_TRUE(Eventually(
        [&] { return board->asker_is_admitted.load() && board->resetter_is_admitted.load(); }));
  }
  // The premise: the third came while the asker was on both sides of what decides.
  EXPECT_EQ(resets, kResets);
  EXPECT_GT(finished_first, 0);
}

TEST_F(MutexAdmissionTest, TheFirstResetsAndTheOthersDoNot) {
  Make(4);
  absl::StatusOr<Participant> first = table_.Claim(), second = table_.Claim();
  ASSERT_TRUE(first.ok() && second.ok());
  int resets = 0;
  ASSERT_TRUE(Admit(*first, [&] { ++resets; }).ok());
  EXPECT_EQ(resets, 1);
  ASSERT_TRUE(Admit(*second, [&] { ++resets; }).ok());
  EXPECT_EQ(resets, 1);
  first->Release();
  second->Release();
  absl::StatusOr<Participant> third = table_.Claim();
  ASSERT_TRUE(third.ok());
  ASSERT_TRUE(Admit(*third, [&] { ++resets; }).ok());
  EXPECT_EQ(resets, 2) << "of those who have left nobody is admitted";
}

}  // namespace
}  // namespace kill9

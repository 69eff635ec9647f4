// What proves that a participant lives, and what programs do to it: they close descriptors, clone
// themselves, stop anywhere, run out of descriptors, and keep segments on odd file systems.
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "property/scaffold/overlay.h"
#include "property/scaffold/places.h"
#include "property/scaffold/stepped_child.h"
#include "property/segment/participants_fixture.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

// As daemons do.
void CloseAllDescriptors() { close_range(3, ~0u, 0); }

TEST_F(Participants, ProcessThatClosesAllItsDescriptorsLives) {
  Make(2);
  Shared<std::atomic<int>> step;
  Child child([&](Line&) {
    absl::StatusOr<Participant> mine = table_.Claim();
    CHILD_REQUIRE(mine.ok());
    CloseAllDescriptors();
    step->store(1, std::memory_order_release);
    while (step->load(std::memory_order_acquire) == 1) SleepMicroseconds(100);
    CHILD_REQUIRE(mine->guard().owns());
    // Without the segment's descriptor it cannot tell who is dead, and says so.
    CHILD_REQUIRE(table_.CanTellTheDead().code() == absl::StatusCode::kFailedPrecondition);
    const absl::Status another = table_.Claim().status();
    CHILD_REQUIRE(another.code() == absl::StatusCode::kFailedPrecondition &&
                  another.message().find("descriptor") != absl::string_view::npos);
    return 0;
  });
  while (step->load(std::memory_order_acquire) == 0) SleepMicroseconds(100);
  ASSERT_EQ(table_.state(0), ParticipantState::kInUse);
  EXPECT_FALSE(Dead(0));
  step->store(2, std::memory_order_release);
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_EQ(table_.state(0), ParticipantState::kFree);
}

// The numbers are other files' by the time of the release, of the segment's own file too.
TEST_F(Participants, WhatIsNotOursIsNeverClosed) {
  for (const bool same_file : {false, true}) {
    Make(2);
    Child child([&](Line&) {
      absl::StatusOr<Participant> mine = table_.Claim();
      CHILD_REQUIRE(mine.ok());
      const std::string path = absl::StrCat("/proc/self/fd/", segment_->fd());
      int inherited = open(path.c_str(), O_RDWR);
      CHILD_REQUIRE(fcntl(inherited, F_DUPFD, 100) == 100);
      close_range(3, 99, 0);
      std::vector<int> others;
      std::unique_ptr<Descriptor> opened_anew;
      for (int number = 3; number < 100; ++number) {
        const int fd = same_file ? dup(100) : open("/dev/null", O_RDONLY);
        CHILD_REQUIRE(fd == number);
        others.push_back(fd);
        if (same_file && fd == segment_->fd()) opened_anew = std::make_unique<Descriptor>(fd);
      }
      uint32_t generation = 0;
      CHILD_REQUIRE(!table_.MarkIfDead(mine->slot(), &generation));
      mine->Release();
      segment_.reset();
      for (int fd : others) CHILD_REQUIRE(fcntl(fd, F_GETFD) >= 0);
      return 0;
    });
    EXPECT_EQ(child.ExitStatus(), 0) << same_file;
  }
}

// The wrong file would say of every lock that it is free.
TEST_F(Participants, NobodyIsDeclaredDeadByTheLocksOfAnotherFile) {
  Make(2);
  absl::StatusOr<Participant> living = table_.Claim();
  ASSERT_TRUE(living.ok());
  Child child([&](Line&) {
    const int other = open("/dev/null", O_RDWR);
    CHILD_REQUIRE(dup2(other, segment_->fd()) == segment_->fd());
    uint32_t generation = 0;
    CHILD_REQUIRE(!table_.MarkIfDead(living->slot(), &generation));
    CHILD_REQUIRE(!table_.CanTellTheDead().ok());
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_EQ(table_.state(living->slot()), ParticipantState::kInUse);
}

TEST_F(Participants, OrderlyLeaveReturnsTheSlotThoughARawCloneLivesOn) {
  Make(1);
  absl::StatusOr<Participant> mine = table_.Claim();
  ASSERT_TRUE(mine.ok());
  const pid_t clone =
      static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  ASSERT_GE(clone, 0);
  if (clone == 0) {
    alarm(kWatchdogSeconds);
    for (;;) pause();
  }
  mine->Release();
  EXPECT_TRUE(table_.Claim().ok()) << "the clone holds the lock of a slot that was left";
  kill(clone, SIGKILL);
  waitpid(clone, nullptr, 0);
}

int ClaimAndRelease(const ParticipantTable& table) {
  absl::StatusOr<Participant> mine = table.Claim();
  CHILD_REQUIRE(mine.ok());
  mine->Release();
  return 0;
}

// At each instruction of Release: the slot is in use by a living participant, or it can be claimed.
TEST_F(Participants, StoppedAnywhereInReleaseWithholdsNoFreeSlot) {
  Make(1);
  SteppedChild child([&] { return ClaimAndRelease(table_); });
  ASSERT_TRUE(child.stands()) << "ptrace is forbidden here";
  ASSERT_TRUE(child.StepUntil([&] { return table_.state(0) == ParticipantState::kInUse; }));
  int free_steps = 0;
  int leaving_steps = 0;
  child.StepUntil([&] {
    const ParticipantState state = table_.state(0);
    leaving_steps += state == ParticipantState::kLeaving ? 1 : 0;
    if (state != ParticipantState::kFree) return false;
    EXPECT_TRUE(table_.Claim().ok()) << "Free, and nobody can have it";
    return ++free_steps >= 20 || ::testing::Test::HasFailure();
  });
  EXPECT_GT(free_steps, 0);
  EXPECT_GT(leaving_steps, 0) << "it was never seen between the two: the test was vacuous";
  child.Kill();
}

// Whoever was killed there has left, too: no recovery is needed.
TEST_F(Participants, KilledInReleaseLeavesASlotThatCanBeClaimed) {
  Make(1);
  SteppedChild child([&] { return ClaimAndRelease(table_); });
  ASSERT_TRUE(child.StepUntil([&] { return table_.state(0) == ParticipantState::kLeaving; }));
  child.Kill();
  {
    absl::StatusOr<Participant> next = table_.Claim();
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(table_.state(0), ParticipantState::kInUse);
  }
  SteppedChild another([&] {
    absl::StatusOr<Participant> mine = table_.Claim();
    CHILD_REQUIRE(mine.ok());
    mine->Release();
    return 0;
  });
  ASSERT_TRUE(another.StepUntil([&] { return table_.state(0) == ParticipantState::kLeaving; }));
  EXPECT_FALSE(Dead(0)) << "it lives, and stands in Release";
  EXPECT_EQ(table_.state(0), ParticipantState::kLeaving);
  another.Kill();
  EXPECT_FALSE(Dead(0)) << "it has left before it died";
  EXPECT_EQ(table_.state(0), ParticipantState::kFree);
}

// Between its look at the slot and its lock another claims the slot, and dies.
TEST_F(Participants, AClaimThatLostItsRaceKeepsNoLockOfTheOthersSlot) {
  Make(2);
  ASSERT_TRUE(table_.Claim().ok());  // so that the trial lock (MappingsKeepLocks) is behind us
  Shared<std::atomic<bool>> claimed;
  SteppedChild late([&] {
    absl::StatusOr<Participant> mine = table_.Claim();
    CHILD_REQUIRE(mine.ok() && mine->slot() == 1);
    claimed->store(true, std::memory_order_release);
    for (;;) pause();
    return 0;
  });
  ASSERT_TRUE(late.stands()) << "ptrace is forbidden here";
  ASSERT_TRUE(late.StepUntil([&] { return late.AboutToCall(SYS_fcntl, F_OFD_SETLK); }));
  uint32_t slot = 7;
  Victim(&slot).KillAndReap();
  ASSERT_EQ(slot, 0u) << "the premise: it was the same slot";
  ASSERT_TRUE(late.StepUntil([&] { return claimed->load(std::memory_order_acquire); }));
  EXPECT_EQ(table_.state(1), ParticipantState::kInUse);
  EXPECT_TRUE(RecoverSlot(0)) << "the dead one's lock is held by the living one";
  EXPECT_TRUE(table_.Claim().ok());
  late.Kill();
}

TEST_F(Participants, SlotThatHasUsedUpItsGenerationsIsClaimedNoMore) {
  Make(2);
  auto& word = reinterpret_cast<ParticipantSlot*>(table_.ledger(0).data())[-1].word;
  word.store(uint64_t{0xfffffffe} << 32, std::memory_order_relaxed);
  absl::StatusOr<Participant> last = table_.Claim();
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->slot(), 0u);
  EXPECT_EQ(last->generation(), 0xffffffffu);
  last->Release();
  absl::StatusOr<Participant> next = table_.Claim();
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->slot(), 1u);
}

TEST_F(Participants, RunningOutOfDescriptorsIsNotBlamedOnProc) {
  Make(1);
  Child child([&](Line&) {
    const rlimit none{3, 3};
    CHILD_REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    const absl::Status status = table_.Claim().status();
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    CHILD_REQUIRE(status.code() == absl::StatusCode::kResourceExhausted);
    CHILD_REQUIRE(status.message().find("Too many open files") != absl::string_view::npos);
    CHILD_REQUIRE(status.message().find("/proc") == absl::string_view::npos);
    CHILD_REQUIRE(status.message().find("slots") == absl::string_view::npos);
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

TEST(ParticipantsWithoutProc, ErrorsNameIt) {
  constexpr int kNotPossible = 79;
  const std::shared_ptr<Segment> segment = MakeSegment(1);
  Place place;
  Child child([&](Line&) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kNotPossible;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/proc", "tmpfs", 0, "size=1m") != 0) {
      return kNotPossible;
    }
    SegmentOptions options;
    options.location = place.Location(SegmentKind::kFile);
    const auto blames_proc = [](const absl::Status& status) {
      std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
      return status.code() == absl::StatusCode::kFailedPrecondition &&
             status.message().find("is /proc mounted?") != absl::string_view::npos &&
             status.message().find("exists") == absl::string_view::npos;
    };
    CHILD_REQUIRE(blames_proc(
        Segment::Create(options, {.design = "participants-test"}, [](Segment&, SegmentHeader&) {
          return absl::OkStatus();
        }).status()));
    CHILD_REQUIRE(blames_proc(segment->participants().Claim().status()));
    return 0;
  });
  const int status = child.ExitStatus();
  if (status == kNotPossible) GTEST_SKIP() << "this machine lets us mount no file system";
  EXPECT_EQ(status, 0);
}

// ---- Recoverers' slots (P4).

TEST_F(Participants, DeadRecoverersMakeRoomForTheNextWithoutBeingRecovered) {
  Make(1);
  uint32_t last_generation = 0;
  for (uint32_t death = 0; death < 3 * ParticipantTable::kRecovererSlots; ++death) {
    Child child([&](Line& parent) {
      absl::StatusOr<Participant> mine = table_.ClaimToRecover();
      CHILD_REQUIRE(mine.ok() && mine->slot() == 1);
      parent.Tell(mine->generation());
      for (;;) pause();
    });
    uint64_t generation = 0;
    ASSERT_TRUE(child.Await(&generation));
    EXPECT_GT(generation, last_generation);
    last_generation = static_cast<uint32_t>(generation);
    child.KillAndReap();
  }
  EXPECT_TRUE(Dead(1));  // and everyone who goes over the table sees it
}

TEST_F(Participants, StoppedRecoverersMakeAttachingFailInTheEndAndNotWaitForEver) {
  Make(1);
  std::vector<Participant> stopped;
  for (uint32_t i = 0; i < ParticipantTable::kRecovererSlots; ++i) {
    absl::StatusOr<Participant> recoverer = table_.ClaimToRecover();
    ASSERT_TRUE(recoverer.ok()) << recoverer.status();
    EXPECT_EQ(recoverer->slot(), 1 + i);
    stopped.push_back(*std::move(recoverer));
  }
  uint32_t slot = 0;
  Child victim = Victim(&slot);
  victim.KillAndReap();
  bool called = false;
  const auto recover = [&](const Participant&) {
    called = true;
    EXPECT_TRUE(RecoverSlot(slot));
    return absl::OkStatus();
  };
  const absl::Status status = table_.ClaimOrRecover(recover).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("stopped"));
  EXPECT_FALSE(called);
  stopped.pop_back();
  EXPECT_TRUE(table_.ClaimOrRecover(recover).ok());
  EXPECT_TRUE(called);
}

// ---- Where a mapping does not keep the lock.

// Runs `body` with a segment whose file lies on an overlayfs.
int WithTableOnOverlay(absl::FunctionRef<int(ParticipantTable table)> body) {
  return OnOverlay([body](const std::string& folder) {
    SegmentOptions options;
    options.location = {SegmentKind::kFile, folder + "/segment"};
    options.size_bytes = 1 << 20;
    options.max_participants = 2;
    auto segment = Segment::Create(options, {.design = "participants-test"},
                                   [](Segment&, SegmentHeader&) { return absl::OkStatus(); });
    CHILD_REQUIRE(segment.ok());
    return body((*segment)->participants());
  });
}

TEST(ParticipantsOnOverlay, DescriptorProvesLifeAndItsLossIsNoticed) {
  const int status = WithTableOnOverlay([](ParticipantTable table) {
    absl::StatusOr<Participant> mine = table.Claim();
    CHILD_REQUIRE(mine.ok() && mine->guard().can_be_lost() && mine->guard().owns());
    uint32_t generation = 0;
    CHILD_REQUIRE(!table.MarkIfDead(mine->slot(), &generation));
    // A forked child does not keep it, a raw clone does not keep a slot that was left.
    Child forked([&](Line&) {
      CHILD_REQUIRE(!mine->guard().owns());
      mine->Release();
      return table.state(mine->slot()) == ParticipantState::kInUse ? 0 : 1;
    });
    CHILD_REQUIRE(forked.ExitStatus() == 0);
    const pid_t clone =
        static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (clone == 0) {
      alarm(kWatchdogSeconds);
      for (;;) pause();
    }
    const uint32_t slot = mine->slot();
    mine->Release();
    absl::StatusOr<Participant> again = table.Claim();
    kill(clone, SIGKILL);
    waitpid(clone, nullptr, 0);
    CHILD_REQUIRE(again.ok() && again->slot() == slot);
    // A child that dies with its proof in place is dead.
    Child victim([&](Line& parent) {
      absl::StatusOr<Participant> its = table.Claim();
      CHILD_REQUIRE(its.ok());
      parent.Tell(its->slot());
      for (;;) pause();
    });
    uint64_t victim_slot = 99;
    CHILD_REQUIRE(victim.Await(&victim_slot) && victim_slot == 1);
    CHILD_REQUIRE(!table.MarkIfDead(1, &generation));
    victim.KillAndReap();
    CHILD_REQUIRE(table.MarkIfDead(1, &generation) && table.MarkRecovered(1, generation));
    // The loss.
    const ForkGuard guard = again->guard();
    CHILD_REQUIRE(guard.owns());
    CloseAllDescriptors();
    CHILD_REQUIRE(!guard.owns() && guard.mine());
    std::vector<int> others;
    for (int i = 0; i < 20; ++i) others.push_back(open("/dev/null", O_RDONLY));
    CHILD_REQUIRE(!guard.owns());
    again->Release();
    for (int fd : others) CHILD_REQUIRE(fcntl(fd, F_GETFD) >= 0);
    return 0;
  });
  if (status == kNoOverlay) GTEST_SKIP() << "this machine lets us mount no overlayfs";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace kill9

// Owners that are killed, and those who wait for what they held.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <csignal>
#include <cstddef>

#include "property/heaps/heap_fixture.h"
#include "property/scaffold/eventually.h"

namespace kill9 {
namespace {

class HeapDeath : public HeapFixture {
 protected:
  // One that has all there is, in blocks of 1,000 bytes, and waits to be killed.
  Child HolderOfAll() const {
    Child child([this](Line& parent) {
      const std::unique_ptr<Heap> heap = Attach();
      CHILD_REQUIRE(heap != nullptr);
      while (heap->Allocate(1000, Deadline::None()).ok()) {
      }
      parent.Tell();
      parent.Await();
      return 1;
    });
    EXPECT_TRUE(child.Await());
    return child;
  }
};
INSTANTIATE_FOR_ALL_HEAPS(HeapDeath);

TEST_P(HeapDeath, WhatTheDeadOwnedIsFreeAndWhatOthersOwnAsWellStaysTheirs) {
  Make();
  const std::unique_ptr<Heap> other = Attach();
  struct Handles {
    BlockHandle of[3];
  };
  Shared<Handles> handles;
  Child child([&](Line& parent) {
    const std::unique_ptr<Heap> heap = Attach();
    CHILD_REQUIRE(heap != nullptr);
    BlockHandle* const shown = handles->of;
    for (int i = 0; i < 3; ++i) {
      shown[i] = Allocate(*heap, 100);
      Fill(*heap->Data(shown[i]), static_cast<uint64_t>(i));
    }
    CHILD_REQUIRE(heap->Share(shown[1], heap_->id()).ok());
    CHILD_REQUIRE(heap->Share(shown[1], other->id()).ok());
    CHILD_REQUIRE(heap->Transfer(shown[2], other->id()).ok());
    const absl::StatusOr<HeapReserve> reserve = heap->Reserve(7, 40, Deadline::None());
    CHILD_REQUIRE(reserve.ok());
    parent.Tell();
    parent.Await();
    return 1;
  });
  ASSERT_TRUE(child.Await());
  const BlockHandle* const shown = handles->of;
  EXPECT_EQ(Account().report.held.blocks, 7u);
  EXPECT_EQ(Account().holds, 5u);
  child.KillAndReap();
  EXPECT_EQ(Account().holds, 5u) << "nobody has recovered it";
  const absl::StatusOr<RecoveryReport> report = heap_->Recover();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->participants, 1u);
  EXPECT_EQ(report->blocks, 8u) << "its own, and seven that were reserved";
  EXPECT_EQ(heap_->Owners(shown[0]).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(heap_->Owners(shown[1]).value(), ::testing::ElementsAre(heap_->id(), other->id()));
  EXPECT_THAT(heap_->Owners(shown[2]).value(), ::testing::ElementsAre(other->id()));
  EXPECT_TRUE(IsFilled(*heap_->Data(shown[1]), 1));
  EXPECT_TRUE(IsFilled(*other->Data(shown[2]), 2));
  EXPECT_EQ(Account().holds, 3u);
  EXPECT_EQ(heap_->Recover()->blocks, 0u);
  EXPECT_TRUE(heap_->Free(shown[1]).ok());
  EXPECT_TRUE(other->Free(shown[1]).ok());
  EXPECT_TRUE(other->Free(shown[2]).ok());
  ExpectEmpty();
}

TEST_P(HeapDeath, AFullHeapRecoversTheDeadBeforeItRefuses) {
  Make();
  Child child = HolderOfAll();
  EXPECT_EQ(heap_->Allocate(1000, Deadline::None()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  child.KillAndReap();
  EXPECT_TRUE(heap_->Allocate(heap_->max_block_bytes() / 2, Deadline::None()).ok());
  EXPECT_EQ(Account().report.live.blocks, 1u);
}

// However little each of the dead had, and however many died.
TEST_P(HeapDeath, AFullHeapIsOnlyFullWithoutTheOneBlockThatADeadOneHad) {
  for (const int deaths : {1, 2}) {
    Make();
    const size_t bytes = heap_->max_block_bytes() / 8;
    std::vector<Child> children = ReadyChildren(deaths, [&](Line& parent) {
      const std::unique_ptr<Heap> heap = Attach();
      CHILD_REQUIRE(heap != nullptr && heap->Allocate(bytes, Deadline::None()).ok());
      parent.Tell();
      parent.Await();
      return 1;
    });
    FillUp(bytes);
    for (Child& child : children) child.KillAndReap();
    EXPECT_TRUE(heap_->Allocate(bytes, Deadline::None()).ok()) << deaths << " died";
  }
}

// As where the user has as many instances of inotify as are allowed.
bool HaveNoInotify() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_inotify_init1, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EMFILE),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {std::size(rules), rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 && inotify_init1(0) < 0;
}

// A child that waits for room without a deadline.
class Waiter {
 public:
  Waiter(const HeapDesign& design, std::shared_ptr<Segment> segment, size_t bytes,
         bool has_inotify = true)
      : sleeps_in_(has_inotify ? "poll" : "nanosleep"), child_([&](Line& parent) {
          CHILD_REQUIRE(has_inotify || HaveNoInotify());
          const absl::StatusOr<std::unique_ptr<Heap>> heap = design.Attach(segment);
          CHILD_REQUIRE(heap.ok());
          parent.Tell();
          const absl::StatusOr<BlockHandle> block = (*heap)->Allocate(bytes, Deadline::Never());
          CHILD_REQUIRE(block.ok());
          parent.Tell();
          parent.Await();
          return 0;
        }) {}
  // It is asleep, not on its way.
  void AwaitAsleep() {
    ASSERT_TRUE(child_.Await());
    ASSERT_TRUE(Eventually([this] { return IsAsleepIn(child_.pid(), sleeps_in_); }));
  }
  bool AwaitServed() { return child_.Await(); }

 private:
  static bool IsAsleepIn(pid_t pid, const std::string& call) {
    std::FILE* file = std::fopen(absl::StrCat("/proc/", pid, "/wchan").c_str(), "r");
    if (file == nullptr) return true;
    char name[128] = {};
    const size_t got = std::fread(name, 1, sizeof name - 1, file);
    std::fclose(file);
    // Where the kernel does not tell, its state does.
    if (got == 0 || std::string(name) == "0") return StateOf(pid) == 'S';
    return std::string(name).find(call) != std::string::npos;
  }
  static char StateOf(pid_t pid) {
    std::FILE* file = std::fopen(absl::StrCat("/proc/", pid, "/stat").c_str(), "r");
    if (file == nullptr) return '?';
    char state = '?';
    if (std::fscanf(file, "%*d %*s %c", &state) != 1) state = '?';
    std::fclose(file);
    return state;
  }
  const std::string sleeps_in_;
  Child child_;
};

TEST_P(HeapDeath, WhoWaitsForRoomIsServedWhenSomebodyFrees) {
  Make();
  const std::vector<BlockHandle> blocks = FillUp(1000);
  Waiter small(design(), segment_, 900), large(design(), segment_, 200'000);
  small.AwaitAsleep();
  large.AwaitAsleep();
  ASSERT_TRUE(heap_->Free(blocks[3]).ok());
  EXPECT_TRUE(small.AwaitServed());
  // Freed one by one: the one that needs much is woken by each, until there is enough.
  for (size_t i = 4; i < blocks.size(); ++i) ASSERT_TRUE(heap_->Free(blocks[i]).ok());
  EXPECT_TRUE(large.AwaitServed());
  EXPECT_EQ(Account().report.live.blocks, 3u + 2);
}

TEST_P(HeapDeath, WhoWaitsForRoomIsServedWhenItsHolderDies) {
  Make();
  Child holder = HolderOfAll();
  Waiter first(design(), segment_, 900), second(design(), segment_, 100'000);
  first.AwaitAsleep();
  second.AwaitAsleep();
  holder.KillAndReap();
  EXPECT_TRUE(first.AwaitServed());
  EXPECT_TRUE(second.AwaitServed());
}

TEST_P(HeapDeath, WhoWaitsWithoutInotifyIsServedWhenTheHolderDies) {
  Make();
  Child holder = HolderOfAll();
  Waiter waiter(design(), segment_, 900, /*has_inotify=*/false);
  waiter.AwaitAsleep();
  holder.KillAndReap();
  EXPECT_TRUE(waiter.AwaitServed());
}

TEST_P(HeapDeath, WhoWaitsForRoomIsServedWhenAReserveIsReleasedOrItsOwnerLeaves) {
  Make();
  std::unique_ptr<Heap> other = Attach();
  absl::StatusOr<HeapReserve> reserve = heap_->Reserve(20, 1000, Deadline::None());
  ASSERT_TRUE(reserve.ok());
  while (other->Allocate(1000, Deadline::None()).ok()) {
  }
  Waiter first(design(), segment_, 1000), second(design(), segment_, 100'000);
  first.AwaitAsleep();
  second.AwaitAsleep();
  ASSERT_TRUE(heap_->Release(*std::move(reserve)).ok());
  EXPECT_TRUE(first.AwaitServed());
  other = nullptr;
  EXPECT_TRUE(second.AwaitServed());
}

TEST_P(HeapDeath, AWaitEndsAtItsDeadlineAndTookNothing) {
  Make();
  const std::vector<BlockHandle> blocks = FillUp(1000);
  const Deadline deadline = Deadline::After(std::chrono::milliseconds(30));
  EXPECT_EQ(heap_->Allocate(1000, deadline).status().code(), absl::StatusCode::kDeadlineExceeded);
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  EXPECT_GE(now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec, deadline.monotonic_ns());
  EXPECT_EQ(Account().report.live.blocks, blocks.size());
  ASSERT_TRUE(heap_->Free(blocks[0]).ok());
  EXPECT_TRUE(heap_->Allocate(1000, Deadline::After(std::chrono::hours(1))).ok());
}

// Processes that share, give and free each other's blocks until they are killed.
class HeapKills : public HeapFixture {
 protected:
  static constexpr size_t kChildren = 3;
  struct Board {
    std::atomic<uint64_t> ids[kChildren];
    std::atomic<uint64_t> joined;
    std::atomic<uint64_t> operations;
  };

  // One of them, or the test, which keeps what it is given.
  ParticipantId DrawOther(std::mt19937_64& random) const {
    const uint64_t other = board_->ids[random() % kChildren].load(std::memory_order_acquire);
    if (random() % 4 == 0 || other == 0) return heap_->id();
    return {static_cast<uint32_t>(other), static_cast<uint32_t>(other >> 32)};
  }
  static absl::Status Change(Heap& heap, BlockHandle block, ParticipantId to, uint64_t what) {
    if (what == 0) return heap.Share(block, to);
    if (what == 1) return heap.Transfer(block, to);
    return heap.Free(block);
  }
  int Work(Line& parent, uint64_t seed) const {
    const std::unique_ptr<Heap> heap = Attach();
    CHILD_REQUIRE(heap != nullptr);
    const uint64_t me = board_->joined.fetch_add(1, std::memory_order_relaxed);
    board_->ids[me].store(uint64_t{heap->id().generation} << 32 | heap->id().slot,
                          std::memory_order_release);
    parent.Tell();
    std::mt19937_64 random(seed * kChildren + me);
    std::vector<BlockHandle> mine;
    for (;; board_->operations.fetch_add(1, std::memory_order_relaxed)) {
      const absl::StatusOr<BlockHandle> block = heap->Allocate(random() % 3000, Deadline::None());
      if (block.ok()) {
        mine.push_back(*block);
        Fill(*heap->Data(*block), block->generation);
      }
      if (random() % 16 == 0) {
        absl::StatusOr<HeapReserve> reserve = heap->Reserve(3, 200, Deadline::None());
        CHILD_REQUIRE(!reserve.ok() || heap->Allocate(*reserve, 100).ok());
      }
      if (mine.empty()) continue;
      const size_t at = random() % mine.size();
      const absl::Status done = Change(*heap, mine[at], DrawOther(random), random() % 4);
      CHILD_REQUIRE(done.ok() || absl::IsAlreadyExists(done) || absl::IsUnavailable(done));
      if (!heap->Data(mine[at]).ok()) {
        mine[at] = mine.back();
        mine.pop_back();
      }
    }
  }
  // All that is left; it belongs to the test, and is whole. How many blocks.
  size_t FreeWhatIsLeft() const {
    std::vector<BlockHandle> mine;
    const absl::Status visited = heap_->ForEach([&](const HeapBlock& block) {
      EXPECT_FALSE(block.reserved);
      EXPECT_THAT(block.owners, ::testing::ElementsAre(heap_->id()));
      mine.push_back(block.handle);
      return true;
    });
    EXPECT_TRUE(visited.ok()) << visited;
    for (const BlockHandle block : mine) {
      EXPECT_TRUE(IsFilled(*heap_->Data(block), block.generation));
    }
    FreeAll(mine);
    return mine.size();
  }

  Shared<Board> board_;
};
INSTANTIATE_FOR_ALL_HEAPS(HeapKills);

TEST_P(HeapKills, AfterEachOfManyKillsEveryBlockIsAccountedFor) {
  constexpr uint64_t kRounds = 60;
  Make(256 << 10);
  uint64_t given = 0, recovered = 0;
  for (uint64_t round = 0; round < kRounds; ++round) {
    for (std::atomic<uint64_t>& id : board_->ids) id.store(0, std::memory_order_relaxed);
    board_->joined.store(0, std::memory_order_relaxed);
    std::vector<Child> children =
        ReadyChildren(kChildren, [&](Line& parent) { return Work(parent, TestSeed() + round); });
    // Killed after another amount of work each time, one after another.
    const uint64_t until =
        board_->operations.load(std::memory_order_relaxed) + 50 + round * 37 % 500;
    ASSERT_TRUE(
        Eventually([&] { return board_->operations.load(std::memory_order_relaxed) >= until; }));
    for (Child& child : children) {
      child.Signal(SIGKILL);
      ASSERT_EQ(child.ExitStatus(), 1000 + SIGKILL);
      const absl::StatusOr<RecoveryReport> report = heap_->Recover();
      ASSERT_TRUE(report.ok()) << report.status();
      recovered += report->participants;
    }
    given += FreeWhatIsLeft();
    ASSERT_NO_FATAL_FAILURE(ExpectEmpty()) << "round " << round;
    if (HasFailure()) return;
  }
  EXPECT_GE(recovered, kRounds) << "the last of each round, and those who met no other";
  EXPECT_GT(given, 10u) << "the premise";
  EXPECT_GT(board_->operations.load(std::memory_order_relaxed), 1000u);
}

}  // namespace
}  // namespace kill9

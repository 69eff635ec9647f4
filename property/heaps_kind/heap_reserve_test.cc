// A reserve that is used up is nobody's any more: what becomes of its handle concerns no other one.
// Several who wait for one do not all sleep while there is room.
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "property/scaffold/asleep.h"
#include "property/scaffold/trap_steps.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

class HeapReserves : public ::testing::TestWithParam<const HeapDesign*> {
 protected:
  void SetUp() override {
    if (!GetParam()->traits().has_reserve) GTEST_SKIP() << "it has no reserves";
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    absl::StatusOr<std::shared_ptr<Segment>> segment = GetParam()->Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    heap_ = Attach();
    ASSERT_NE(heap_, nullptr);
  }

  std::unique_ptr<Heap> Attach() const {
    absl::StatusOr<std::unique_ptr<Heap>> heap = GetParam()->Attach(segment_);
    EXPECT_TRUE(heap.ok()) << heap.status();
    return heap.ok() ? *std::move(heap) : nullptr;
  }

  HeapReserve Reserve(uint64_t blocks) {
    absl::StatusOr<HeapReserve> reserve = heap_->Reserve(blocks, 100, Deadline::None());
    EXPECT_TRUE(reserve.ok()) << reserve.status();
    return reserve.ok() ? *std::move(reserve) : HeapReserve();
  }
  void UseUp(HeapReserve& reserve) {
    while (reserve.blocks_left() != 0) ASSERT_TRUE(heap_->Allocate(reserve, 100).ok());
  }
  void ExpectAllOfItsBlocks(HeapReserve& reserve, uint64_t blocks) {
    const absl::StatusOr<HeapAccount> account = heap_->Account();
    ASSERT_TRUE(account.ok()) << account.status();
    ASSERT_EQ(account->holdings.size(), 1u);
    EXPECT_EQ(account->holdings[0].reserved_blocks, blocks);
    for (uint64_t i = 0; i < blocks; ++i) {
      const absl::Status status = heap_->Allocate(reserve, 100).status();
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Heap> heap_;
};

TEST_P(HeapReserves, OneThatIsUsedUpIsDestroyedAndTheNextOneStays) {
  HeapReserve next;
  {
    HeapReserve used = Reserve(1);
    UseUp(used);
    next = Reserve(4);
  }
  ExpectAllOfItsBlocks(next, 4);
}

TEST_P(HeapReserves, OneThatIsUsedUpMakesPlaceForTheNextOneInItsVariable) {
  HeapReserve reserve = Reserve(1);
  UseUp(reserve);
  reserve = Reserve(4);
  ExpectAllOfItsBlocks(reserve, 4);
}

TEST_P(HeapReserves, OneThatIsUsedUpIsReleasedAndTheNextOneStays) {
  HeapReserve used = Reserve(1);
  UseUp(used);
  HeapReserve next = Reserve(4);
  const absl::Status released = heap_->Release(std::move(used));
  EXPECT_TRUE(released.ok()) << released;
  ExpectAllOfItsBlocks(next, 4);
}

// There is room for four such blocks, and each takes three: who has two finds no third while
// another has two, gives them back, and sleeps. Nobody but they themselves could wake them then.
TEST_P(HeapReserves, WhoAreInEachOthersWayDoNotAllSleep) {
  constexpr int kWaiters = 4, kRounds = 400;
  const uint64_t bytes = heap_->max_block_bytes() * 24 / 100;
  std::vector<absl::Status> ended(kWaiters);
  std::vector<std::thread> waiters;
  for (absl::Status& end : ended) {
    waiters.emplace_back([this, bytes, &end] {
      const std::unique_ptr<Heap> mine = Attach();
      for (int round = 0; round < kRounds && end.ok(); ++round) {
        absl::StatusOr<HeapReserve> reserve =
            mine->Reserve(3, bytes, Deadline::After(std::chrono::seconds(20)));
        end = reserve.ok() ? mine->Release(*std::move(reserve)) : reserve.status();
      }
    });
  }
  for (std::thread& waiter : waiters) waiter.join();
  for (const absl::Status& end : ended) EXPECT_TRUE(end.ok()) << end;
}

// There is room for four such blocks, and two are kept. Who wants three has taken one or two when
// it is stopped, finds no third later, and gives them back: two are there, which another waits for.
TEST_P(HeapReserves, WhatAnAttemptInVainGivesBackIsNoticed) {
  if (GetParam()->traits().allocate == Progress::kBlocking) {
    GTEST_SKIP() << "nobody looks while another is stopped in the middle";
  }
  constexpr uint64_t kStride = 8000;
  const uint64_t bytes = heap_->max_block_bytes() * 24 / 100;
  // Of `minutes` the waiter's are fewer: who gives up wakes the others.
  const auto wait_for = [this, bytes](uint64_t blocks, int minutes, uint64_t steps) {
    return Child([&](Line&) {
      const std::unique_ptr<Heap> mine = Attach();
      // Who is not woken sleeps until then, and finds the room at its last look.
      const Deadline hang = Deadline::After(std::chrono::minutes(minutes));
      const auto reserve = [&] {
        return mine->Reserve(blocks, bytes, hang).ok() &&
               Deadline::After(std::chrono::milliseconds(1)).monotonic_ns() < hang.monotonic_ns();
      };
      return (steps == 0 ? reserve() : RunWithSteps(steps, SIGSTOP, reserve)) ? 0 : 1;
    });
  };
  const absl::StatusOr<HeapReserve> kept = heap_->Reserve(2, bytes, Deadline::None());
  ASSERT_TRUE(kept.ok()) << kept.status();
  int slept = 0;
  for (uint64_t steps = kStride; steps <= 5 * kStride; steps += kStride) {
    Child in_vain = wait_for(3, 60, steps);
    in_vain.AwaitStopped();
    Child waiter = wait_for(2, 1, 0);
    EXPECT_TRUE(IsAtRest(waiter.pid()));
    slept += Sleeps(waiter.pid());
    in_vain.Signal(SIGCONT);
    ASSERT_EQ(waiter.ExitStatus(), 0)
        << "after " << steps << " instructions of the other's attempt";
  }
  EXPECT_GT(slept, 0) << "the attempt had never taken anything";
}

INSTANTIATE_TEST_SUITE_P(Heaps, HeapReserves,
                         ::testing::ValuesIn(AllHeaps().begin(), AllHeaps().end()),
                         [](const auto& heap) { return std::string(heap.param->name()); });

}  // namespace
}  // namespace kill9

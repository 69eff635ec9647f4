// The room that a heap has is really there: full is full, and who was refused is served as soon as
// there is room, however little a refusal costs.
#include <functional>

#include "property/heaps/heap_fixture.h"
#include "property/scaffold/counted_steps.h"
#include "variants/heaps/size_class_heap/classes.h"
#include "variants/heaps/size_class_heap/layout.h"
#include "variants/segment/thread_sanitizer.h"

namespace kill9 {
namespace {

class HeapRoom : public HeapFixture {
 protected:
  // Takes all, in blocks of falling sizes; the last ones that were got, of these sizes each.
  std::vector<BlockHandle> TakeAll() const {
    std::vector<BlockHandle> all;
    for (const size_t bytes : {4000, 1000, 100, 1}) {
      for (const BlockHandle block : FillUp(bytes)) all.push_back(block);
    }
    return all;
  }
#if defined(__x86_64__)
  // The instructions of a pair of Allocate and Free that finds its block where the last one was;
  // and those of them that are locked.
  void CountPair(uint64_t* steps, uint64_t* locked) {
    Make(1 << 20);
    Child child([&](Line& parent) {
      const std::unique_ptr<Heap> mine = Attach();
      CHILD_REQUIRE(mine != nullptr);
      bool done = false;
      const auto pair = [&] {
        const absl::StatusOr<BlockHandle> block = mine->Allocate(64, Deadline::None());
        done = block.ok() && mine->Free(*block).ok();
      };
      pair();  // makes the span, and takes generations
      parent.Tell(StepsOf(parent, kStopNowhere, pair));
      parent.Tell(LockedSteps());
      return done ? 0 : 1;
    });
    ASSERT_TRUE(child.Await(steps) && child.Await(locked));
    ASSERT_EQ(child.ExitStatus(), 0);
  }
#endif
};
INSTANTIATE_FOR_ALL_HEAPS(HeapRoom);

TEST_P(HeapRoom, BlocksOfAnyOneSizeTakeNineTenthsOfIt) {
  for (const size_t bytes : {160, 1000, 2048, 5000, 9000, 16'384, 20'000, 30'000, 65'536}) {
    Make(32 << 20);
    const size_t blocks = FillUp(bytes).size();
    const HeapAccount account = Account();
    const double room = static_cast<double>(account.room_bytes - account.header_bytes);
    EXPECT_GE(static_cast<double>(blocks * bytes), 0.9 * room) << bytes << " bytes";
  }
}

// Of the classes themselves, for every size: also those just above one.
TEST(SizeClasses, SpanOfAnySizeIsNineTenthsBlocks) {
  constexpr uint64_t kUnit = size_class_heap::kSmallestUnitBytes;
  const size_class_heap::Classes classes(64 << 20, kUnit);
  constexpr uint64_t kSmallest = 160;  // below it, that data lie at a multiple of 16 costs more
  int in_classes = 0;
  for (uint64_t bytes = kSmallest; bytes <= 65'536; ++bytes) {
    const uint32_t size_class = classes.ClassOf(bytes);
    const bool large = size_class == size_class_heap::Classes::kLarge;
    const uint64_t units =
        large ? (bytes + classes.LargeOverhead() + kUnit - 1) / kUnit : classes.usual_units();
    const size_class_heap::Classes::Shape shape = classes.ShapeOf(size_class, units);
    ASSERT_GE(shape.slot_bytes, bytes);
    const uint64_t headers = shape.blocks * sizeof(size_class_heap::BlockWords);
    ASSERT_GE(static_cast<double>(shape.blocks * bytes),
              0.9 * static_cast<double>(units * kUnit - headers))
        << bytes << " bytes";
    in_classes += large ? 0 : 1;
  }
  EXPECT_GT(in_classes, 10'000);  // the premise: most sizes have a class
}

// Where a block lies tells its number, whatever the size, and nothing else does.
TEST(SizeClasses, EachBlockIsFoundAtItsOwnPlaceOnly) {
  for (const uint64_t unit : {uint64_t{2048}, uint64_t{1} << 20, uint64_t{8} << 20}) {
    const size_class_heap::Classes classes(unit << 15, unit);
    for (uint32_t size_class = 0; size_class < classes.count(); ++size_class) {
      const auto shape = classes.ShapeOf(size_class, classes.usual_units());
      const uint64_t stride = 1 + shape.blocks / 300;
      for (uint64_t index = 0; index < shape.blocks; index += stride) {
        const uint64_t distance = index * shape.slot_bytes;
        ASSERT_EQ(shape.IndexAt(distance), index) << shape.slot_bytes;
        ASSERT_EQ(shape.IndexAt(distance + 1), shape.blocks);
        ASSERT_EQ(shape.IndexAt(distance + shape.slot_bytes - 1), shape.blocks);
      }
      ASSERT_EQ(shape.IndexAt(shape.blocks * shape.slot_bytes), shape.blocks);
    }
  }
}

TEST_P(HeapRoom, WhoWasRefusedIsServedOnceThereIsRoomWhoeverMadeIt) {
  using Way = std::function<void(std::unique_ptr<Heap> & other, BlockHandle its, HeapReserve&)>;
  const std::vector<std::pair<const char*, Way>> ways = {
      {"freed by itself",
       [](auto& other, BlockHandle its, auto&) { ASSERT_TRUE(other->Free(its).ok()); }},
      {"given and freed",
       [this](auto& other, BlockHandle its, auto&) {
         ASSERT_TRUE(other->Transfer(its, heap_->id()).ok());
         ASSERT_TRUE(heap_->Free(its).ok());
       }},
      {"released",
       [](auto& other, auto, HeapReserve& reserve) {
         ASSERT_TRUE(other->Release(std::move(reserve)).ok());
       }},
      {"left", [](auto& other, auto, auto&) { other.reset(); }},
  };
  // Of a size that has a class in so small a room, and of one that has none.
  for (const size_t size : {100, 9000}) {
    for (const auto& [name, way] : ways) {
      SCOPED_TRACE(absl::StrCat(name, ", ", size, " bytes"));
      Make(256 << 10);
      std::unique_ptr<Heap> other = Attach();
      const std::unique_ptr<Heap> third = Attach();
      Allocate(*heap_, 600);  // so that what is looked for does not lie where the room begins
      const BlockHandle its = Allocate(*other, size);
      absl::StatusOr<HeapReserve> reserve = other->Reserve(2, size, Deadline::None());
      ASSERT_TRUE(reserve.ok());
      TakeAll();
      for (int again = 0; again < 3; ++again) {
        for (const size_t bytes : {size, size / 2}) {
          ASSERT_FALSE(heap_->Allocate(bytes, Deadline::None()).ok());
          ASSERT_FALSE(third->Allocate(bytes, Deadline::None()).ok());
        }
      }
      way(other, its, *reserve);
      EXPECT_TRUE(third->Allocate(size, Deadline::None()).ok());
    }
  }
}

// What was refused of a large size says nothing of a smaller one.
TEST_P(HeapRoom, WhoWasRefusedMuchIsServedLess) {
  Make(256 << 10);
  const std::vector<BlockHandle> all = TakeAll();
  ASSERT_TRUE(heap_->Free(all.back()).ok());  // one of the smallest
  for (int again = 0; again < 2; ++again) {
    EXPECT_FALSE(heap_->Allocate(8000, Deadline::None()).ok());
  }
  EXPECT_TRUE(heap_->Allocate(1, Deadline::None()).ok());
}

#if defined(__x86_64__)

TEST_P(HeapRoom, RefusalCostsTheSameHoweverMuchRoomThereIs) {
  uint64_t steps[2] = {};
  for (int n = 0; n < 2; ++n) {
    Make(n == 0 ? 1 << 20 : 16 << 20);
    Child child([&](Line& parent) {
      const std::unique_ptr<Heap> mine = Attach();
      CHILD_REQUIRE(mine != nullptr);
      for (const size_t bytes : {60'000, 1000, 64}) {
        while (mine->Allocate(bytes, Deadline::None()).ok()) {
        }
      }
      CHILD_REQUIRE(!mine->Allocate(1000, Deadline::None()).ok());
      bool refused = false;
      parent.Tell(StepsOf(parent, kStopNowhere,
                          [&] { refused = !mine->Allocate(1000, Deadline::None()).ok(); }));
      return refused ? 0 : 1;
    });
    ASSERT_TRUE(child.Await(&steps[n]));
    ASSERT_EQ(child.ExitStatus(), 0);
    EXPECT_GT(steps[n], 100u);  // the premise: they were counted
  }
  EXPECT_LT(steps[1], steps[0] + steps[0] / 4) << "in a room of 16 times the size";
}

// Each waits until all stores before it are done. What is left: who allocates names the span and
// takes the block; who frees tells of it.
TEST_P(HeapRoom, PairOfAllocateAndFreeHasThreeLockedInstructionsWithoutALock) {
  if (traits().allocate == Progress::kBlocking) GTEST_SKIP() << "it takes a lock";
  uint64_t steps = 0, locked = 0;
  CountPair(&steps, &locked);
  EXPECT_GE(locked, 2u) << "the premise: they were counted";
  EXPECT_LE(locked, 3u);
}

#if defined(NDEBUG) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
// Of blocks that are found where the last one was: what both calls have to do, and no copies of
// what they tell each other (docs/decisions/2026-11-30-cheap-pair.md).
TEST_P(HeapRoom, PairOfAllocateAndFreeHasFewInstructions) {
  if (kThreadSanitizer) GTEST_SKIP() << "the instrumentation would be counted";
  const uint64_t most = traits().allocate == Progress::kBlocking ? 960 : 380;
  uint64_t steps = 0, locked = 0;
  CountPair(&steps, &locked);
  EXPECT_GT(steps, 100u) << "the premise: they were counted";
  EXPECT_LT(steps, most);
}
#endif

// A block becomes free at any instruction of a call that is refused, or is not: the next call has
// it.
TEST_P(HeapRoom, WhatBecomesFreeDuringARefusalIsFoundByTheNextCall) {
  if (traits().free == Progress::kBlocking) GTEST_SKIP() << "who frees would wait for who stands";
  constexpr uint64_t kRounds = 25;
  Make(192 << 10, 4);
  BlockHandle freed = TakeAll().front();  // of 4,000 bytes
  Child child([&](Line& parent) {
    const std::unique_ptr<Heap> mine = Attach();
    CHILD_REQUIRE(mine != nullptr);
    // Of a first call, which searches everything; what is remembered of it is forgotten each round.
    uint64_t stride = 0, at = 1;
    for (uint64_t round = 0; round <= kRounds; ++round, at += stride) {
      const uint64_t stop_at = stride == 0 ? kStopNowhere : at;
      absl::StatusOr<BlockHandle> block;
      const uint64_t steps =
          StepsOf(parent, stop_at, [&] { block = mine->Allocate(1000, Deadline::None()); });
      if (stride == 0) {
        CHILD_REQUIRE(!block.ok());
        stride = 1 + steps / kRounds;
        parent.Tell(1);
        parent.Await();
      } else if (steps < at) {
        break;  // it was shorter this time
      }
      if (!block.ok()) block = mine->Allocate(1000, Deadline::None());
      CHILD_REQUIRE(block.ok());
      CHILD_REQUIRE(mine->Free(*block).ok());
      parent.Tell(2);
      parent.Await();
    }
    parent.Tell(3);
    return 0;
  });
  uint64_t word = 0;
  int count = 0;
  for (; child.Await(&word) && word != 3; child.Tell()) {
    if (word == 1) {
      ASSERT_TRUE(heap_->Free(freed).ok());
      ++count;
    } else {
      freed = Allocate(*heap_, 4000);
    }
  }
  EXPECT_EQ(child.ExitStatus(), 0) << "after " << count << " blocks";
  EXPECT_GT(count, 10);
}

// Somebody is refused at any instruction of a Free: the next call, after it, has the block.
TEST_P(HeapRoom, WhoIsRefusedDuringAFreeIsServedAfterIt) {
  if (traits().free == Progress::kBlocking) GTEST_SKIP() << "who looks would wait for who stands";
  for (const size_t bytes : {100, 9000}) {
    Make(192 << 10, 4);
    Child child([&](Line& parent) {
      const std::unique_ptr<Heap> mine = Attach();
      CHILD_REQUIRE(mine != nullptr);
      CHILD_REQUIRE(mine->Allocate(600, Deadline::None()).ok());  // where the room begins
      absl::StatusOr<BlockHandle> block = mine->Allocate(bytes, Deadline::None());
      parent.Tell(2);
      parent.Await();  // until all else is taken
      uint64_t steps = 0, at = 0;
      do {
        CHILD_REQUIRE(block.ok());
        at += 3;
        absl::Status freed;
        steps = StepsOf(parent, at, [&] { freed = mine->Free(*block); });
        CHILD_REQUIRE(freed.ok());
        parent.Tell(2);
        parent.Await();
        block = mine->Allocate(bytes, Deadline::None());
      } while (steps == at);
      parent.Tell(3);
      return 0;
    });
    uint64_t word = 0;
    ASSERT_TRUE(child.Await(&word));
    TakeAll();
    int refused = 0, served = 0;
    absl::StatusOr<BlockHandle> block = absl::DeadlineExceededError("");
    for (child.Tell(); child.Await(&word) && word != 3; child.Tell()) {
      if (word == 1) {
        block = heap_->Allocate(bytes, Deadline::None());
        (block.ok() ? served : refused) += 1;
        continue;
      }
      if (!block.ok()) block = heap_->Allocate(bytes, Deadline::None());
      ASSERT_TRUE(block.ok()) << bytes << " bytes, after " << refused << " refusals";
      ASSERT_TRUE(heap_->Free(*block).ok());
      block = absl::DeadlineExceededError("");
    }
    EXPECT_EQ(child.ExitStatus(), 0);
    EXPECT_GT(refused, 10) << bytes;
    EXPECT_GT(served, 5) << bytes;
  }
}

#endif

}  // namespace
}  // namespace kill9

// Who is told as an owner has owned the block, whatever becomes of it while somebody asks.
#include <algorithm>
#include <span>
#include <vector>

#include "property/heaps/heap_fixture.h"
#include "property/scaffold/counted_steps.h"
#include "variants/heaps/size_class_heap/layout.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

class HeapOwners : public HeapFixture {
 protected:
  using Ask = std::vector<ParticipantId> (*)(Heap& heap, BlockHandle block);
  // Somebody asks. At each instruction of that an owner dies, and its slot goes to a newcomer.
  void DiesWhileSomebodyAsks(Ask ask);
  // A child to which blocks are given, and which is killed.
  int TellsItsIdAndWaits(Line& parent);

  struct Answer {
    BlockHandle block;
    ParticipantId co_owner;
    ParticipantId owners[8];
    size_t count = 0;
  };
  Shared<Answer> answer_;
};
INSTANTIATE_FOR_ALL_HEAPS(HeapOwners);

int HeapOwners::TellsItsIdAndWaits(Line& parent) {
  const std::unique_ptr<Heap> mine = Attach();
  CHILD_REQUIRE(mine != nullptr);
  answer_->co_owner = mine->id();
  parent.Tell();
  parent.Await();
  return 0;
}

void HeapOwners::DiesWhileSomebodyAsks(Ask ask) {
  if (traits().share == Progress::kBlocking) GTEST_SKIP() << "recovery would wait for who stands";
  Make(128 << 10, 8);
  constexpr uint64_t kStride = 7;
  Child asker([&](Line& parent) {
    const std::unique_ptr<Heap> mine = Attach();
    CHILD_REQUIRE(mine != nullptr);
    uint64_t at = 0, steps = 0;
    do {
      at += kStride;
      parent.Tell(2);
      parent.Await();
      std::vector<ParticipantId> owners;
      steps = StepsOf(parent, at, [&] { owners = ask(*mine, answer_->block); });
      answer_->count = std::min(owners.size(), std::size(answer_->owners));
      std::copy_n(owners.begin(), answer_->count, answer_->owners);
    } while (steps == at);
    parent.Tell(3);
    return 0;
  });
  uint64_t word = 0;
  ASSERT_TRUE(asker.Await(&word));
  int deaths = 0, told_dead = 0, told_without = 0;
  while (word == 2) {
    Child victim([&](Line& parent) { return TellsItsIdAndWaits(parent); });
    ASSERT_TRUE(victim.Await());
    // Alone in its span, so that a visit is short.
    const BlockHandle block = answer_->block = Allocate(*heap_, 9000);
    ASSERT_TRUE(heap_->Share(block, answer_->co_owner).ok());
    asker.Tell();
    ASSERT_TRUE(asker.Await(&word));
    if (word != 1) break;
    victim.KillAndReap();
    ASSERT_TRUE(heap_->Recover().ok());
    const std::unique_ptr<Heap> newcomer = Attach();
    ASSERT_EQ(newcomer->id().slot, answer_->co_owner.slot);  // the premise
    asker.Tell();
    ASSERT_TRUE(asker.Await(&word));
    ++deaths;
    const std::vector<ParticipantId> told(answer_->owners, answer_->owners + answer_->count);
    const std::vector<ParticipantId> both = {heap_->id(), answer_->co_owner};
    const std::vector<ParticipantId> alone = {heap_->id()};
    EXPECT_TRUE(told == both || told == alone)
        << "death " << deaths << ": " << told.size() << " owners, the last in slot "
        << (told.empty() ? 0 : told.back().slot) << " with generation "
        << (told.empty() ? 0 : told.back().generation) << ", but it was "
        << answer_->co_owner.generation;
    (told == both ? told_dead : told_without) += 1;
    ASSERT_TRUE(heap_->Free(block).ok());
  }
  EXPECT_EQ(asker.ExitStatus(), 0);
  EXPECT_GT(told_dead, 0);
  EXPECT_GT(told_without, 0);
}

TEST_P(HeapOwners, NewcomerInTheSlotOfADeadOwnerIsNotToldAsOne) {
  DiesWhileSomebodyAsks([](Heap& heap, BlockHandle block) {
    absl::StatusOr<std::vector<ParticipantId>> owners = heap.Owners(block);
    return owners.ok() ? *std::move(owners) : std::vector<ParticipantId>();
  });
}

TEST_P(HeapOwners, NewcomerInTheSlotOfADeadOwnerIsNotVisitedAsOne) {
  DiesWhileSomebodyAsks([](Heap& heap, BlockHandle) {
    std::vector<ParticipantId> owners;
    heap.ForEach([&](const HeapBlock& block) {
          owners.assign(block.owners.begin(), block.owners.end());
          return true;
        })
        .IgnoreError();
    return owners;
  });
}

// At each instruction of who passes a block on the receiver dies, the block becomes free, and its
// room becomes part of another: of which not one bit changes.
TEST_P(HeapOwners, WhoPassesABlockOnTouchesNothingOfWhoHasItsRoomNext) {
  if (traits().share == Progress::kBlocking) GTEST_SKIP() << "recovery would wait for who stands";
  Make(128 << 10, 8);
  constexpr uint64_t kStride = 3;
  Child giver([&](Line& parent) {
    const std::unique_ptr<Heap> mine = Attach();
    CHILD_REQUIRE(mine != nullptr);
    uint64_t at = 0, steps = 0;
    do {
      at += kStride;
      parent.Tell(2);
      parent.Await();
      const absl::StatusOr<BlockHandle> block = mine->Allocate(9000, Deadline::None());
      CHILD_REQUIRE(block.ok());
      absl::Status passed;
      steps = StepsOf(parent, at, [&] { passed = mine->Transfer(*block, answer_->co_owner); });
      if (!passed.ok()) CHILD_REQUIRE(mine->Free(*block).ok());
    } while (steps == at);
    parent.Tell(3);
    return 0;
  });
  const uint64_t whole = heap_->Look()->largest_block_bytes;
  uint64_t word = 0;
  ASSERT_TRUE(giver.Await(&word));
  int freed = 0, kept = 0;
  while (word == 2) {
    Child receiver([&](Line& parent) { return TellsItsIdAndWaits(parent); });
    ASSERT_TRUE(receiver.Await());
    // What is passed on is not where the room begins, where the next one's words will be.
    const BlockHandle before = Allocate(*heap_, 9000);
    giver.Tell();
    ASSERT_TRUE(giver.Await(&word));
    ASSERT_TRUE(heap_->Free(before).ok());
    if (word != 1) break;
    receiver.KillAndReap();
    ASSERT_TRUE(heap_->Recover().ok());
    // All of the room, if the block is free by now. All bits are set.
    const uint64_t largest = heap_->Look()->largest_block_bytes;
    const bool is_free = largest == whole;
    const BlockHandle next = Allocate(*heap_, largest);
    const std::span<char> data = *heap_->Data(next);
    std::fill(data.begin(), data.end(), static_cast<char>(0xff));
    giver.Tell();
    ASSERT_TRUE(giver.Await(&word));
    (is_free ? freed : kept) += 1;
    EXPECT_EQ(std::count(data.begin(), data.end(), static_cast<char>(0xff)),
              static_cast<ptrdiff_t>(data.size()))
        << "after " << freed << " at which it was free";
    ASSERT_TRUE(heap_->Free(next).ok());
    ASSERT_TRUE(heap_->Recover().ok());
  }
  EXPECT_EQ(giver.ExitStatus(), 0);
  EXPECT_GT(freed, 0);
  EXPECT_GT(kept, 0);
}

// Somebody found the span empty and closes it, finds the block that was taken meanwhile, and opens
// it again: at each instruction of who leaves.
TEST(SizeClassHeapOwners, WhoLeavesLetsGoOfABlockInASpanThatIsOpenedAgain) {
  using size_class_heap::UnitKind;
  using size_class_heap::UnitWord;
  const HeapDesign& design = static_cast<const HeapDesign&>(*FindDesign("size_class_heap"));
  SegmentOptions options;
  options.size_bytes = 128 << 10;
  options.max_participants = 4;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  ASSERT_TRUE(segment.ok()) << segment.status();
  const absl::StatusOr<std::unique_ptr<Heap>> heap = design.Attach(*segment);
  ASSERT_TRUE(heap.ok()) << heap.status();
  const auto units = [&] {
    auto* header = reinterpret_cast<size_class_heap::HeapHeader*>((*segment)->body().data());
    return std::span(reinterpret_cast<size_class_heap::Unit*>(header + 1),
                     (*segment)->header().parameters[size_class_heap::kUnits]);
  }();
  // All spans that are one kind become the other; how many.
  const auto turn = [&](UnitKind from, UnitKind to) {
    int turned = 0;
    for (size_class_heap::Unit& unit : units) {
      const UnitWord word{unit.word.load()};
      if (word.kind() != from) continue;
      unit.word.store(word.Next(to, 0, word.size_class()).bits);
      ++turned;
    }
    return turned;
  };
  constexpr uint64_t kStride = 5;
  Child leaver([&](Line& parent) {
    uint64_t at = 0, steps = 0;
    do {
      at += kStride;
      absl::StatusOr<std::unique_ptr<Heap>> mine = design.Attach(*segment);
      CHILD_REQUIRE(mine.ok() && (*mine)->Allocate(9000, Deadline::None()).ok());
      parent.Tell(2);
      parent.Await();
      steps = StepsOf(parent, at, [&] { mine->reset(); });
    } while (steps == at);
    parent.Tell(3);
    return 0;
  });
  int opened = 0;
  for (uint64_t word = 0; leaver.Await(&word) && word != 3;) {
    // 2: it is about to leave; 1: it stands.
    if (word == 2) {
      const absl::StatusOr<HeapAccount> account = (*heap)->Account();
      ASSERT_TRUE(account.ok()) << account.status();
      ASSERT_EQ(account->report.live.blocks, 1u) << "after " << opened << " times";
      ASSERT_GT(turn(UnitKind::kSpan, UnitKind::kClosing), 0);
    } else {
      opened += turn(UnitKind::kClosing, UnitKind::kSpan) > 0 ? 1 : 0;
    }
    leaver.Tell();
  }
  EXPECT_EQ(leaver.ExitStatus(), 0);
  EXPECT_GT(opened, 25);
}

#endif

}  // namespace
}  // namespace kill9

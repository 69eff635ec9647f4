// Who is told as an owner has owned the block, whatever becomes of it while somebody asks.
#include <vector>

#include "property/heaps/heap_fixture.h"
#include "property/scaffold/counted_steps.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

class HeapOwners : public HeapFixture {
 protected:
  using Ask = std::vector<ParticipantId> (*)(Heap& heap, BlockHandle block);
  // Somebody asks. At each instruction of that an owner dies, and its slot goes to a newcomer.
  void DiesWhileSomebodyAsks(Ask ask);

  struct Answer {
    BlockHandle block;
    ParticipantId co_owner;
    ParticipantId owners[8];
    size_t count = 0;
  };
  Shared<Answer> answer_;
};
INSTANTIATE_FOR_ALL_HEAPS(HeapOwners);

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
    Child victim([&](Line& parent) {
      const std::unique_ptr<Heap> mine = Attach();
      CHILD_REQUIRE(mine != nullptr);
      answer_->co_owner = mine->id();
      parent.Tell();
      parent.Await();
      return 0;
    });
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

#endif

}  // namespace
}  // namespace kill9

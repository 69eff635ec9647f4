// Who attaches while the table is full of the dead recovers them before it is a participant itself.
// Here it stands at the worst instruction meanwhile, and the others go on.
#include <sys/wait.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/stepped_child.h"
#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9::cas_slots {
namespace {

using ::testing::IsEmpty;

constexpr auto kOrder = std::memory_order_acquire;

class CasSlotsAttach : public ::testing::Test {
 protected:
  // Two participants: `store_`, which lives, and a victim.
  void Make() {
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    options.max_participants = 2;
    options.expected_entries = 64;
    options.hash_seed = 7;
    segment_ = CreateSegment(options).value();
    observer_ = segment_->participants().ClaimToRecover().value();
    context_ = std::make_unique<Context>(segment_, observer_);
    store_ = AttachStore(segment_).value();
  }
  void ExpectSound() {
    const AuditReport audit = store_->Audit().value();
    EXPECT_THAT(audit.violations, IsEmpty());
    EXPECT_EQ(audit.leaked.blocks, 0u);
    EXPECT_EQ(audit.doubly_owned, 0u);
    EXPECT_EQ(audit.held.blocks, 0u);
  }
  uint64_t SlotOf(const std::string& key) { return context_->SlotOf(segment_->Hash(key)); }
  SlotWord WordOf(uint64_t slot) { return SlotWord{context_->slot(slot).load(kOrder)}; }
  BlockState StateOf(Ref ref) { return BlockState{context_->block(ref)->state.load(kOrder)}; }
  // Three keys of one slot.
  std::vector<std::string> KeysOfOneSlot() {
    std::vector<std::string> keys;
    for (int i = 0; keys.size() < 3; ++i) {
      std::string key = absl::StrCat("key", i);
      if (keys.empty() || SlotOf(key) == SlotOf(keys[0])) keys.push_back(std::move(key));
    }
    return keys;
  }

  std::shared_ptr<Segment> segment_;
  Participant observer_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<Store> store_;
};

// The victim's entry is reachable through one node and, later, through another. Who looks for it in
// the first, while that is used for something else, would take a live entry for lost and free it.
TEST_F(CasSlotsAttach, NodeInWhichARecovererLooksIsNotUsedForSomethingElse) {
  Make();
  const std::vector<std::string> keys = KeysOfOneSlot();
  const uint64_t slot = SlotOf(keys[0]);
  const std::string value(30, 'v');
  ASSERT_TRUE(store_->Put(keys[0], value).ok());
  ASSERT_TRUE(store_->Put(keys[1], value).ok());
  SteppedChild victim([&] {
    auto store = AttachStore(segment_).value();
    return store->Put(keys[2], "of the victim").ok() ? 0 : 1;
  });
  const SlotWord before = WordOf(slot);
  ASSERT_TRUE(victim.StepUntil([&] { return WordOf(slot) != before; }));
  victim.Kill();
  ASSERT_TRUE(store_->Put(keys[0], value).ok());  // now another node lists the victim's entry
  ASSERT_EQ(WordOf(slot).kind(), SlotKind::kNode);
  BlockHeader* node = context_->block(WordOf(slot).ref());

  SteppedChild attacher([&] {
    auto store = AttachStore(segment_);
    if (!store.ok()) return 1;
    for (int i = 0; i < 40; ++i) {
      (void)(*store)->Put(absl::StrCat("another", i), std::string(30, 'a'));
    }
    return 0;
  });
  ASSERT_TRUE(attacher.StepUntil([&] { return attacher.AboutToTouch(&node->items); }))
      << "it never looked into the node: the test would be vacuous";
  ASSERT_TRUE(store_->Put(keys[0], value).ok());  // the node is dropped
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(store_->Put("filler", value).ok());
  EXPECT_EQ(node->items, 3) << "the node is used for something else while it is being read";
  EXPECT_EQ(attacher.Finish(), 0);
  std::string got;
  EXPECT_TRUE(store_->Get(keys[2], &got).ok());
  EXPECT_EQ(got, "of the victim");
  ExpectSound();
}

// Fills the segment but for one block of that size, which a participant then dies with.
TEST_F(CasSlotsAttach, BlockThatARecovererIsAboutToFreeIsNotGivenToSomebodyElse) {
  Make();
  const std::string value(5000, 'p');
  int entries = 0;
  while (store_->Put(absl::StrCat("p", entries), value).ok()) ++entries;
  ASSERT_TRUE(store_->Erase("p0").ok());
  Ledger& of_victim = context_->ledger_of(1);
  Ref block = 0;
  SteppedChild victim([&] {
    auto store = AttachStore(segment_).value();
    return store->Put("v", value).ok() ? 0 : 1;
  });
  ASSERT_TRUE(victim.StepUntil([&] {
    block = Context::Named(of_victim.new_entry.load(kOrder));
    return block != 0 && of_victim.page_start.load(kOrder) == 0 && StateOf(block).OwnedBy(1);
  }));
  victim.Kill();
  SteppedChild attacher([&] { return AttachStore(segment_).ok() ? 0 : 1; });
  ASSERT_TRUE(attacher.StepUntil([&] {
    return attacher.AboutToLock() && attacher.AboutToTouch(&context_->block(block)->state);
  })) << "it never came to free the block: the test would be vacuous";
  ASSERT_EQ(store_->Recover()->participants, 1u);
  ASSERT_EQ(StateOf(block).kind(), BlockKind::kFree);

  // The slot of the victim has a new owner, who would have liked the block.
  Shared<std::atomic<int>> step;
  Child next([&](Line&) {
    auto store = AttachStore(segment_).value();
    absl::StatusOr<Draft> draft = store->Reserve("d", 5000);
    if (draft.ok()) std::fill(draft->bytes().begin(), draft->bytes().end(), 'D');
    step->store(1, std::memory_order_release);
    while (step->load(std::memory_order_acquire) == 1) SleepMicroseconds(100);
    if (draft.ok()) CHILD_REQUIRE(store->Commit(*std::move(draft)).ok());
    return 0;
  });
  while (step->load(std::memory_order_acquire) == 0) SleepMicroseconds(100);
  const BlockState had = StateOf(block);
  EXPECT_EQ(attacher.Finish(), 1) << "the table is full of the living by now";
  EXPECT_EQ(StateOf(block).bits, had.bits) << "it has freed a block of somebody else";
  std::string got;
  if (store_->Put("one more", value).ok()) {
    ASSERT_TRUE(store_->Get("one more", &got).ok());
    EXPECT_EQ(got, value);
  }
  step->store(2, std::memory_order_release);
  EXPECT_EQ(next.ExitStatus(), 0);
  ExpectSound();
}

// A recoverer that dies is recovered as any participant, and one that is stopped does not keep the
// others out.
TEST_F(CasSlotsAttach, RecovererThatIsStoppedOrDiesAnywhereHoldsUpNobody) {
  Make();
  ASSERT_TRUE(store_->Put("key", "value").ok());
  for (const bool dies : {false, true}) {
    Child victim([&](Line& parent) {
      auto store = AttachStore(segment_);
      CHILD_REQUIRE(store.ok());
      auto pin = (*store)->Pin("key");
      parent.Tell();
      for (;;) pause();
      return 0;
    });
    ASSERT_TRUE(victim.Await());
    victim.KillAndReap();
    SteppedChild recoverer([&] { return AttachStore(segment_).ok() ? 0 : 1; });
    Ledger& ledger = context_->ledger_of(3);  // 2 is the observer's
    ASSERT_TRUE(recoverer.StepUntil([&] { return ledger.recovery_hold.load(kOrder) != 0; }));
    if (dies) recoverer.Kill();
    {
      absl::StatusOr<std::unique_ptr<Store>> another = AttachStore(segment_);
      ASSERT_TRUE(another.ok()) << another.status();
    }
    if (dies) {
      (void)store_->Recover();
    } else {
      EXPECT_EQ(recoverer.Finish(), 0);
    }
    ExpectSound();
  }
}

// I1. What is read of a block stays unlike all that will ever be there again.
TEST_F(CasSlotsAttach, CountsOfBlocksGrowThroughAllThatTheirPageIs) {
  Make();
  std::map<Ref, uint64_t> counts;
  int renewed = 0;
  for (int round = 0; round < 6; ++round) {
    const size_t bytes = round % 3 == 0 ? 3000 : round % 3 == 1 ? 100 : 700;
    for (int i = 0;; ++i) {
      if (!store_->Put(absl::StrCat("k", i), std::string(bytes, 'v')).ok()) break;
    }
    for (uint32_t page = 0; page < context_->page_count(); ++page) {
      const PageWord word{context_->page(page).word.load(kOrder)};
      if (!word.is_small() && !word.is_span()) continue;
      for (uint32_t i = 0; i < word.blocks(); ++i) {
        const Ref ref = Context::RefOf(page, word, i);
        uint64_t& highest = counts[ref];
        renewed += highest != 0 ? 1 : 0;
        ASSERT_GT(StateOf(ref).count(), highest) << "round " << round << ", block " << ref;
        highest = StateOf(ref).count();
      }
    }
    for (int i = 0; store_->Erase(absl::StrCat("k", i)).value(); ++i) {
    }
  }
  EXPECT_GT(renewed, 100) << "no page was made anew: the test was vacuous";
  ExpectSound();
}

}  // namespace
}  // namespace kill9::cas_slots

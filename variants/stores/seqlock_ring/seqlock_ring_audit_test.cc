// The audit is sharp: each invariant of layout.h is broken once, and seen.
#include <atomic>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {
namespace {

constexpr std::memory_order kBreakingOrder = std::memory_order_seq_cst;  // no test depends on less

using ::testing::Contains;
using ::testing::StartsWith;

std::vector<std::string> Violations(RingStore& store) { return store.Audit()->violations; }

class BrokenRing : public testing::Test {
 protected:
  void SetUp() override {
    SegmentOptions options;
    options.size_bytes = 256 << 10;
    options.max_participants = 8;
    options.hash_seed = 9;
    segment_ = *CreateSegment(options);
    store_ = *RingStore::Attach(segment_);
    EXPECT_TRUE(store_->Put("key", "value").ok());
    EXPECT_TRUE(store_->Put("another", "value").ok());
    ASSERT_TRUE(store_->Audit()->clean());
    hash_ = segment_->Hash("key");
  }
  Bucket& bucket() { return store_->geometry().BucketOf(hash_); }
  Found found() { return Find(bucket(), TagOfHash(hash_)); }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<RingStore> store_;
  uint64_t hash_ = 0;
};

TEST_F(BrokenRing, TagTwiceInABucketIsSeen) {
  for (std::atomic<uint64_t>& slot : bucket().slots) {
    if (slot.load(kBreakingOrder) == 0) {
      slot.store(found().word, kBreakingOrder);
      break;
    }
  }
  EXPECT_THAT(Violations(*store_), Contains(StartsWith("I2")));
  EXPECT_GT(store_->Audit()->doubly_owned, 0u);
}

TEST_F(BrokenRing, WordOfAKindThatNoSlotHasIsSeen) {
  std::atomic<uint64_t>& slot = *found().place;
  const uint64_t word = slot.load(kBreakingOrder);
  uint64_t strange = word;
  for (uint32_t bit = 0; bit < 64; ++bit) {
    const uint64_t other = word ^ uint64_t { 1 } << bit;
    if (KindOf(other) != kEntry && KindOf(other) != kVacant) strange = other;
  }
  ASSERT_NE(KindOf(strange), kEntry);
  ASSERT_NE(KindOf(strange), kVacant);
  slot.store(strange, kBreakingOrder);
  EXPECT_THAT(Violations(*store_), Contains(testing::HasSubstr("has a word of kind")));
}

TEST_F(BrokenRing, EntryInAnotherBucketIsSeen) {
  Bucket& wrong = &bucket() == store_->geometry().buckets ? store_->geometry().buckets[1]
                                                          : store_->geometry().buckets[0];
  wrong.slots[5].store(found().word, kBreakingOrder);
  found().place->store(0, kBreakingOrder);
  EXPECT_THAT(Violations(*store_), Contains(StartsWith("I4")));
}

TEST_F(BrokenRing, VersionAboveTheStampIsSeen) {
  bucket().stamp.store(0, kBreakingOrder);
  EXPECT_THAT(Violations(*store_), Contains(StartsWith("I5")));
}

TEST_F(BrokenRing, OverlapOfLiveRecordsIsSeen) {
  // A long record in the middle of which another begins.
  auto draft = store_->Reserve("long", 400);
  const char* inside = draft->bytes().data() + kUnitBytes;
  const uint64_t unit = static_cast<uint64_t>(inside - store_->geometry().ring) / kUnitBytes;
  char* address = store_->geometry().ring + unit * kUnitBytes;
  ASSERT_TRUE(store_->Commit(*std::move(draft)).ok());
  RecordHead head;
  ASSERT_TRUE(ReadHead(store_->geometry(), found().word, &head));
  const uint64_t position = head.position - store_->geometry().UnitOf(head.position) + unit;
  PendingRecord forged{address, position, hash_, SumOfValue("value")};
  WriteHead(address, "key", 5);
  WriteValue(address, 3, "value");
  forged.Seal(store_->geometry(), 1);
  found().place->store(forged.entry(), kBreakingOrder);
  EXPECT_THAT(Violations(*store_), Contains(StartsWith("I6")));
  EXPECT_GT(store_->Audit()->doubly_owned, 0u);
}

TEST_F(BrokenRing, ChunkThatNobodyCanEverOpenIsALeak) {
  const Geometry& geometry = store_->geometry();
  geometry.chunks[3].claim.store(
      (geometry.header->cursor.load(kBreakingOrder) << 1) -
          geometry.ChunkOf(geometry.header->cursor.load(kBreakingOrder) << 1) + 3,
      kBreakingOrder);
  auto report = store_->Audit();
  EXPECT_THAT(report->violations, Contains(StartsWith("I7")));
  EXPECT_EQ(report->leaked.blocks, geometry.chunk_units());
  EXPECT_FALSE(report->clean());
}

TEST_F(BrokenRing, TwoWritersOnTheSameBytesAreSeen) {
  auto other = *RingStore::Attach(segment_);
  auto draft = store_->Reserve("draft", 300);
  ASSERT_TRUE(other->Put("x", "y").ok());
  auto second = other->Reserve("second", 300);
  const auto ledger = [&](uint32_t slot) -> Ledger& {
    return segment_->participants().ledger_as<Ledger>(slot);
  };
  ASSERT_TRUE(store_->Audit()->clean());
  // The second writer's reservation is the first one's, as without W1.
  ledger(1).holds[2].position.store(ledger(0).holds[2].position.load(kBreakingOrder),
                                    kBreakingOrder);
  EXPECT_THAT(Violations(*store_), Contains(StartsWith("I8")));
  EXPECT_GT(store_->Audit()->doubly_owned, 0u);
}

TEST_F(BrokenRing, HoldOutsideOfTheRingIsSeen) {
  auto pin = store_->Pin("key");
  segment_->participants().ledger_as<Ledger>(0).holds[2].units.store(uint64_t{1} << 40,
                                                                     kBreakingOrder);
  EXPECT_THAT(Violations(*store_), Contains(StartsWith("I8")));
}

}  // namespace
}  // namespace kill9::ring

// What the tests of the heaps' designs share: a heap with one participant, and its account.
#ifndef KILL9_PROPERTY_HEAPS_HEAP_FIXTURE_H_
#define KILL9_PROPERTY_HEAPS_HEAP_FIXTURE_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/registry.h"

namespace kill9 {

// The heaps that are meant to be right.
inline std::vector<const HeapDesign*> SoundHeaps() {
  std::vector<const HeapDesign*> sound;
  for (const HeapDesign* design : AllHeaps()) {
    if (design->role() == Design::Role::kDesign) sound.push_back(design);
  }
  return sound;
}

inline std::string Show(const HeapAccount& account) {
  const AuditReport& audit = account.report;
  return absl::StrCat(
      "room ", account.room_bytes, ", free ", account.free_bytes, ", live ", account.live_bytes,
      ", reserved ", account.reserved_bytes, ", headers ", account.header_bytes, ", rounding ",
      account.rounding_bytes, ", holds ", account.holds, "; blocks: free ", audit.free.blocks,
      ", live ", audit.live.blocks, ", held ", audit.held.blocks, ", leaked ", audit.leaked.blocks,
      ", doubly owned ", audit.doubly_owned, "\n", absl::StrJoin(audit.violations, "\n"));
}

class HeapFixture : public ::testing::TestWithParam<const HeapDesign*> {
 protected:
  const HeapDesign& design() const { return *GetParam(); }
  const HeapTraits& traits() const { return design().traits(); }

  void Make(uint64_t size_bytes = 1 << 20, uint32_t max_participants = 16) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = max_participants;
    options.hash_seed = TestSeed();
    absl::StatusOr<std::shared_ptr<Segment>> segment = design().Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    heap_ = nullptr;
    segment_ = *std::move(segment);
    heap_ = Attach();
    ASSERT_NE(heap_, nullptr);
  }
  // Whether the design makes segments for so many.
  bool CanHave(uint32_t max_participants) const {
    SegmentOptions options;
    options.size_bytes = 8 << 20;
    options.max_participants = max_participants;
    return design().Create(options).ok();
  }
  std::unique_ptr<Heap> Attach() const {
    absl::StatusOr<std::unique_ptr<Heap>> heap = design().Attach(segment_);
    EXPECT_TRUE(heap.ok()) << heap.status();
    return heap.ok() ? *std::move(heap) : nullptr;
  }
  BlockHandle Allocate(Heap& heap, size_t bytes, Lifetime lifetime = Lifetime::kShort) const {
    absl::StatusOr<BlockHandle> block = heap.Allocate(bytes, Deadline::None(), lifetime);
    EXPECT_TRUE(block.ok()) << block.status() << " of " << bytes << " bytes";
    return block.value_or(BlockHandle{});
  }
  // The exact account: sound, and everything adds up.
  HeapAccount Account() const {
    absl::StatusOr<HeapAccount> got = heap_->Account();
    EXPECT_TRUE(got.ok()) << got.status();
    if (!got.ok()) return {};
    const HeapAccount& account = *got;
    const AuditReport& audit = account.report;
    EXPECT_TRUE(audit.clean()) << Show(account);
    EXPECT_EQ(account.room_bytes, account.accounted_bytes()) << Show(account);
    EXPECT_EQ(audit.capacity.blocks, audit.free.blocks + audit.live.blocks + audit.held.blocks)
        << Show(account);
    EXPECT_EQ(audit.capacity.bytes, audit.free.bytes + audit.live.bytes + audit.held.bytes)
        << Show(account);
    uint64_t holds = 0, reserved_blocks = 0, reserved_bytes = 0, bytes = 0, shared = 0;
    for (const Holding& holding : account.holdings) {
      holds += holding.blocks;
      bytes += holding.bytes;
      shared += holding.shared_blocks;
      reserved_blocks += holding.reserved_blocks;
      reserved_bytes += holding.reserved_bytes;
    }
    EXPECT_EQ(account.holds, holds) << Show(account);
    EXPECT_EQ(account.reserved_bytes, reserved_bytes) << Show(account);
    EXPECT_EQ(audit.held.blocks, reserved_blocks) << Show(account);
    // A block of several owners is in the holding of each.
    if (shared == 0) {
      EXPECT_EQ(account.live_bytes, bytes) << Show(account);
    } else {
      EXPECT_LE(account.live_bytes, bytes) << Show(account);
    }
    return account;
  }
  // That nobody holds anything, and all the room can be had again in one piece.
  void ExpectEmpty() const {
    const HeapAccount account = Account();
    EXPECT_EQ(account.report.live.blocks, 0u) << Show(account);
    EXPECT_EQ(account.report.held.blocks, 0u) << Show(account);
    EXPECT_EQ(account.free_bytes + account.header_bytes, account.room_bytes) << Show(account);
    EXPECT_TRUE(account.holdings.empty()) << Show(account);
    const absl::StatusOr<BlockHandle> all =
        heap_->Allocate(heap_->max_block_bytes(), Deadline::None());
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_TRUE(heap_->Free(*all).ok());
  }
  // What is written into a block, so that who overwrites it is found out.
  static void Fill(std::span<char> data, uint64_t seed) {
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>((seed + i) * 0x9d >> 3);
  }
  static bool IsFilled(std::span<const char> data, uint64_t seed) {
    for (size_t i = 0; i < data.size(); ++i) {
      if (data[i] != static_cast<char>((seed + i) * 0x9d >> 3)) return false;
    }
    return true;
  }
  // Allocates blocks of the size until there is no room.
  std::vector<BlockHandle> FillUp(size_t bytes) const {
    std::vector<BlockHandle> blocks;
    for (;;) {
      const absl::StatusOr<BlockHandle> block = heap_->Allocate(bytes, Deadline::None());
      if (!block.ok()) {
        EXPECT_EQ(block.status().code(), absl::StatusCode::kDeadlineExceeded) << block.status();
        return blocks;
      }
      blocks.push_back(*block);
    }
  }
  void FreeAll(const std::vector<BlockHandle>& blocks) const {
    for (const BlockHandle block : blocks) {
      const absl::Status freed = heap_->Free(block);
      ASSERT_TRUE(freed.ok()) << freed;
    }
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Heap> heap_;
};

inline std::string HeapTestName(const ::testing::TestParamInfo<const HeapDesign*>& info) {
  return std::string(info.param->name());
}

#define INSTANTIATE_FOR_ALL_HEAPS(Suite) \
  INSTANTIATE_TEST_SUITE_P(Heaps, Suite, ::testing::ValuesIn(SoundHeaps()), HeapTestName)

}  // namespace kill9

#endif  // KILL9_PROPERTY_HEAPS_HEAP_FIXTURE_H_

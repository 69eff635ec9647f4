// What every heap's calls do, and what they refuse; after each step the account is exact.
#include <algorithm>
#include <iterator>

#include "property/heaps/heap_fixture.h"
#include "variants/segment/round_up.h"

namespace kill9 {
namespace {

using HeapOperations = HeapFixture;
INSTANTIATE_FOR_ALL_HEAPS(HeapOperations);

TEST_P(HeapOperations, BlocksOfEverySizeAreDisjointAlignedAndAsLargeAsAskedFor) {
  Make(64 << 20);
  std::vector<std::pair<BlockHandle, size_t>> blocks;
  std::vector<size_t> sizes;
  for (size_t size = 0; size <= 300; ++size) sizes.push_back(size);
  for (size_t size = 320; size <= 1 << 20; size = size * 5 / 4) {
    for (size_t near = size - 9; near <= size + 9; ++near) sizes.push_back(near);
  }
  uint64_t sum = 0;
  for (const size_t size : sizes) {
    if (sum + size > 24 << 20) break;
    const BlockHandle block = Allocate(*heap_, size);
    const absl::StatusOr<std::span<char>> data = heap_->Data(block);
    ASSERT_TRUE(data.ok()) << data.status();
    ASSERT_EQ(data->size(), size);
    ASSERT_EQ(data->data(), segment_->base() + block.offset);
    ASSERT_EQ(block.offset % (size < 16 ? 8 : Heap::kAlignment), 0u) << size;
    Fill(*data, block.generation);
    blocks.emplace_back(block, size);
    sum += size;
  }
  ASSERT_GT(blocks.size(), 700u) << "the premise: sizes around every power of two";
  const HeapAccount account = Account();
  EXPECT_EQ(account.live_bytes, sum);
  EXPECT_EQ(account.report.entries, blocks.size());
  for (const auto& [block, size] : blocks) {
    const std::span<char> data = *heap_->Data(block);
    ASSERT_TRUE(IsFilled(data, block.generation)) << "somebody wrote into a block of " << size;
    ASSERT_TRUE(heap_->Free(block).ok());
  }
  ExpectEmpty();
}

TEST_P(HeapOperations, TheLargestBlockIsServedAndOneByteMoreIsAnError) {
  Make();
  const size_t largest = heap_->max_block_bytes();
  EXPECT_EQ(heap_->Allocate(largest + 1, Deadline::None()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(heap_->Allocate(SIZE_MAX, Deadline::None()).status().code(),
            absl::StatusCode::kInvalidArgument);
  const BlockHandle block = Allocate(*heap_, largest);
  const std::span<char> data = *heap_->Data(block);
  ASSERT_EQ(data.size(), largest);
  ASSERT_LE(data.data() + data.size(), segment_->base() + segment_->size());
  Fill(data, 1);
  EXPECT_EQ(heap_->Allocate(largest / 2, Deadline::None()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Account().live_bytes, largest);
  EXPECT_TRUE(heap_->Free(block).ok());
  ExpectEmpty();
}

TEST_P(HeapOperations, AHandleThatWasFreedNamesNothingEvenWhereItsRoomIsUsedAgain) {
  Make();
  for (const size_t bytes : {size_t{0}, size_t{8}, size_t{100}, size_t{1000}, size_t{20000}}) {
    // Behind a free one, with which it is merged, where blocks are.
    const BlockHandle before = Allocate(*heap_, bytes);
    const BlockHandle old = Allocate(*heap_, bytes);
    ASSERT_TRUE(heap_->Free(before).ok());
    ASSERT_TRUE(heap_->Free(old).ok());
    EXPECT_EQ(heap_->Free(old).code(), absl::StatusCode::kNotFound) << "a double free";
    EXPECT_EQ(heap_->Data(old).status().code(), absl::StatusCode::kNotFound);
    // Of the same size in the same place, and then as a part of a larger one.
    const BlockHandle next = Allocate(*heap_, bytes);
    EXPECT_FALSE(old == next);
    EXPECT_EQ(heap_->Free(old).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(heap_->Data(old).status().code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(heap_->Share(old, heap_->id()).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(heap_->Owners(old).status().code(), absl::StatusCode::kNotFound);
    ASSERT_TRUE(heap_->Free(next).ok());
    const BlockHandle large = Allocate(*heap_, heap_->max_block_bytes() / 2);
    EXPECT_EQ(heap_->Data(old).status().code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(heap_->Free(old).code(), absl::StatusCode::kNotFound);
    ASSERT_TRUE(heap_->Free(large).ok());
    Account();
  }
  ExpectEmpty();
}

TEST_P(HeapOperations, HandlesThatAreNobodysAreRefusedWhereverTheyPoint) {
  Make();
  const BlockHandle block = Allocate(*heap_, 1000);
  Fill(*heap_->Data(block), 3);
  std::vector<uint64_t> offsets = {0,
                                   1,
                                   8,
                                   16,
                                   4096,
                                   segment_->size() - 1,
                                   segment_->size(),
                                   segment_->size() + 16,
                                   UINT64_MAX,
                                   UINT64_MAX - 15};
  for (uint64_t offset = block.offset - 128; offset < block.offset + 1100; ++offset) {
    if (offset != block.offset) offsets.push_back(offset);
  }
  for (const uint64_t offset : offsets) {
    for (const uint64_t generation : {block.generation, uint64_t{0}, block.generation + 1}) {
      const BlockHandle bad{offset, generation};
      ASSERT_EQ(heap_->Free(bad).code(), absl::StatusCode::kNotFound) << offset;
      ASSERT_EQ(heap_->Data(bad).status().code(), absl::StatusCode::kNotFound) << offset;
      ASSERT_EQ(heap_->Owners(bad).status().code(), absl::StatusCode::kNotFound) << offset;
    }
  }
  EXPECT_EQ(heap_->Free({block.offset, block.generation + 1}).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(IsFilled(*heap_->Data(block), 3));
  EXPECT_EQ(Account().live_bytes, 1000u);
}

TEST_P(HeapOperations, WhoDoesNotOwnABlockIsRefusedAndChangesNothing) {
  Make();
  const std::unique_ptr<Heap> other = Attach();
  const BlockHandle block = Allocate(*heap_, 100);
  EXPECT_EQ(other->Free(block).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(other->Data(block).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(other->Share(block, other->id()).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(other->Transfer(block, other->id()).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(other->Owners(block).value(), ::testing::ElementsAre(heap_->id()));
  EXPECT_EQ(Account().holds, 1u);
}

TEST_P(HeapOperations, ASharedBlockIsFreeExactlyWhenItsLastOwnerLetsGo) {
  Make();
  std::vector<std::unique_ptr<Heap>> others;
  for (int i = 0; i < 5; ++i) others.push_back(Attach());
  const BlockHandle block = Allocate(*heap_, 100);
  Fill(*heap_->Data(block), 7);
  std::vector<ParticipantId> owners = {heap_->id()};
  for (const auto& other : others) {
    ASSERT_TRUE(heap_->Share(block, other->id()).ok());
    EXPECT_EQ(heap_->Share(block, other->id()).code(), absl::StatusCode::kAlreadyExists);
    owners.push_back(other->id());
    EXPECT_THAT(heap_->Owners(block).value(), ::testing::UnorderedElementsAreArray(owners));
    EXPECT_EQ(Account().holds, owners.size());
  }
  EXPECT_EQ(heap_->Share(block, heap_->id()).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(heap_->Free(block).ok());
  EXPECT_EQ(heap_->Data(block).status().code(), absl::StatusCode::kPermissionDenied);
  for (size_t i = 0; i < others.size(); ++i) {
    ASSERT_TRUE(IsFilled(*others[i]->Data(block), 7)) << "freed under its owners";
    EXPECT_EQ(Account().report.live.blocks, 1u);
    ASSERT_TRUE(others[i]->Free(block).ok());
    EXPECT_EQ(others[i]->Free(block).code(), i + 1 < others.size()
                                                 ? absl::StatusCode::kPermissionDenied
                                                 : absl::StatusCode::kNotFound);
  }
  ExpectEmpty();
}

TEST_P(HeapOperations, ATransferredBlockHasItsNewOwnerInsteadOfTheOld) {
  Make();
  const std::unique_ptr<Heap> other = Attach();
  const std::unique_ptr<Heap> third = Attach();
  const BlockHandle block = Allocate(*heap_, 100);
  Fill(*heap_->Data(block), 7);
  EXPECT_EQ(heap_->Transfer(block, heap_->id()).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(heap_->Share(block, third->id()).ok());
  EXPECT_EQ(heap_->Transfer(block, third->id()).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(heap_->Transfer(block, other->id()).ok());
  EXPECT_THAT(other->Owners(block).value(),
              ::testing::UnorderedElementsAre(other->id(), third->id()));
  EXPECT_EQ(heap_->Transfer(block, other->id()).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(heap_->Free(block).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(IsFilled(*other->Data(block), 7));
  EXPECT_EQ(Account().holds, 2u);
  ASSERT_TRUE(third->Free(block).ok());
  ASSERT_TRUE(other->Transfer(block, heap_->id()).ok());
  EXPECT_THAT(heap_->Owners(block).value(), ::testing::ElementsAre(heap_->id()));
  ASSERT_TRUE(heap_->Free(block).ok());
  ExpectEmpty();
}

TEST_P(HeapOperations, WhoHasLeftIsGivenNothingAndWhatItHadIsFree) {
  Make();
  std::unique_ptr<Heap> other = Attach();
  const ParticipantId gone = other->id();
  const BlockHandle own = Allocate(*other, 100);
  const BlockHandle shared = Allocate(*other, 200);
  ASSERT_TRUE(other->Share(shared, heap_->id()).ok());
  ASSERT_TRUE(other->Reserve(3, 50, Deadline::None()).ok());  // released at once
  {
    const absl::StatusOr<HeapReserve> reserve = other->Reserve(3, 50, Deadline::None());
    ASSERT_TRUE(reserve.ok());
    EXPECT_EQ(Account().report.held.blocks, 3u);
  }
  EXPECT_EQ(Account().report.held.blocks, 0u);
  other = nullptr;
  EXPECT_EQ(heap_->Owners(own).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(heap_->Owners(shared).value(), ::testing::ElementsAre(heap_->id()));
  EXPECT_EQ(heap_->Share(shared, gone).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(heap_->Transfer(shared, gone).code(), absl::StatusCode::kUnavailable);
  for (const ParticipantId nobody :
       {ParticipantId{gone.slot, gone.generation + 7}, ParticipantId{UINT32_MAX, 1},
        ParticipantId{15, 1}, ParticipantId{16, 1}, ParticipantId{17, 0}}) {
    EXPECT_EQ(heap_->Share(shared, nobody).code(), absl::StatusCode::kUnavailable);
  }
  // The next in its slot is another.
  other = Attach();
  ASSERT_EQ(other->id().slot, gone.slot) << "the premise";
  EXPECT_EQ(heap_->Share(shared, gone).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(other->Data(shared).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Account().holds, 1u);
  ASSERT_TRUE(heap_->Free(shared).ok());
  ExpectEmpty();
}

TEST_P(HeapOperations, WhatIsReservedIsThereWhateverOthersTake) {
  if (!traits().has_reserve) GTEST_SKIP();
  Make();
  const std::unique_ptr<Heap> other = Attach();
  absl::StatusOr<HeapReserve> reserve = heap_->Reserve(20, 300, Deadline::None());
  ASSERT_TRUE(reserve.ok()) << reserve.status();
  EXPECT_EQ(reserve->blocks_left(), 20u);
  EXPECT_EQ(Account().report.held.blocks, 20u);
  EXPECT_EQ(Account().reserved_bytes, 20 * 300u);
  for (const size_t bytes : {size_t{4000}, size_t{300}, size_t{8}}) {
    while (other->Allocate(bytes, Deadline::None()).ok()) {
    }
  }
  ASSERT_FALSE(heap_->Allocate(8, Deadline::None()).ok()) << "the premise: it is full";
  EXPECT_EQ(heap_->Allocate(*reserve, 301).status().code(), absl::StatusCode::kInvalidArgument);
  std::vector<BlockHandle> blocks;
  for (size_t i = 0; i < 15; ++i) {
    const absl::StatusOr<BlockHandle> block = heap_->Allocate(*reserve, 300 - i * 20);
    ASSERT_TRUE(block.ok()) << block.status();
    ASSERT_EQ(heap_->Data(*block)->size(), 300 - i * 20);
    EXPECT_EQ(other->Free(*block).code(), absl::StatusCode::kPermissionDenied);
    Fill(*heap_->Data(*block), i);
    blocks.push_back(*block);
  }
  EXPECT_EQ(reserve->blocks_left(), 5u);
  EXPECT_EQ(Account().report.held.blocks, 5u);
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_TRUE(IsFilled(*heap_->Data(blocks[i]), i));
    ASSERT_TRUE(heap_->Free(blocks[i]).ok());
  }
  ASSERT_TRUE(heap_->Release(*std::move(reserve)).ok());
  EXPECT_EQ(Account().report.held.blocks, 0u);
  EXPECT_TRUE(heap_->Allocate(300, Deadline::None()).ok());
}

TEST_P(HeapOperations, AReserveIsAllOrNothingAndUsedUpItIsRefused) {
  if (!traits().has_reserve) GTEST_SKIP();
  Make();
  const std::vector<BlockHandle> blocks = FillUp(1000);
  for (size_t i = 0; i < 10; ++i) ASSERT_TRUE(heap_->Free(blocks[i]).ok());
  const HeapAccount before = Account();
  EXPECT_EQ(heap_->Reserve(11, 1000, Deadline::None()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Account().free_bytes, before.free_bytes);
  EXPECT_EQ(heap_->Reserve(uint64_t{1} << 60, 1000, Deadline::None()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(heap_->Reserve(0, 1000, Deadline::None()).status().code(),
            absl::StatusCode::kInvalidArgument);
  absl::StatusOr<HeapReserve> reserve = heap_->Reserve(10, 1000, Deadline::None());
  ASSERT_TRUE(reserve.ok()) << reserve.status();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(heap_->Allocate(*reserve, 1000).ok()) << i;
  EXPECT_EQ(heap_->Allocate(*reserve, 1).status().code(), absl::StatusCode::kDeadlineExceeded);
  HeapReserve spent = *std::move(reserve);
  EXPECT_EQ(heap_->Allocate(*reserve, 1).status().code(), absl::StatusCode::kInvalidArgument);
  const std::unique_ptr<Heap> other = Attach();
  EXPECT_EQ(other->Allocate(spent, 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(other->Release(std::move(spent)).code(), absl::StatusCode::kInvalidArgument);
  Account();
}

TEST_P(HeapOperations, ThereAreOnlySoManyReservesAndEachCanBeHadAgain) {
  if (!traits().has_reserve) GTEST_SKIP();
  Make();
  for (int round = 0; round < 3; ++round) {
    std::vector<HeapReserve> reserves;
    for (;;) {
      absl::StatusOr<HeapReserve> reserve = heap_->Reserve(1, 10, Deadline::None());
      if (!reserve.ok()) {
        EXPECT_EQ(reserve.status().code(), absl::StatusCode::kResourceExhausted);
        break;
      }
      reserves.push_back(*std::move(reserve));
      ASSERT_LT(reserves.size(), 10'000u);
    }
    EXPECT_GE(reserves.size(), 8u);
    EXPECT_EQ(Account().report.held.blocks, reserves.size());
    // One that is used up takes its place until it is given back.
    ASSERT_TRUE(heap_->Allocate(reserves.back(), 1).ok());
    reserves.pop_back();
    absl::StatusOr<HeapReserve> another = heap_->Reserve(1, 10, Deadline::None());
    ASSERT_TRUE(another.ok()) << another.status();
  }
  EXPECT_EQ(Account().report.held.blocks, 0u);
}

TEST_P(HeapOperations, ABlockCanBeHadAtItsOldPlaceAndNowhereElse) {
  if (!traits().has_allocate_at) GTEST_SKIP();
  Make();
  std::vector<std::pair<BlockHandle, size_t>> blocks;
  std::mt19937_64 random(TestSeed());
  for (int i = 0; i < 200; ++i) {
    const size_t bytes = random() % 2000;
    blocks.emplace_back(Allocate(*heap_, bytes), bytes);
  }
  for (const auto& [block, bytes] : blocks) {
    EXPECT_EQ(heap_->AllocateAt(block.offset, bytes).status().code(),
              absl::StatusCode::kAlreadyExists);
  }
  for (const auto& [block, bytes] : blocks) ASSERT_TRUE(heap_->Free(block).ok());
  ExpectEmpty();
  // In any order: what is too small for a block between two of them is no obstacle.
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (auto& [block, bytes] : blocks) {
    const absl::StatusOr<BlockHandle> again = heap_->AllocateAt(block.offset, bytes);
    ASSERT_TRUE(again.ok()) << again.status() << " at " << block.offset << ", " << bytes;
    EXPECT_EQ(again->offset, block.offset);
    EXPECT_NE(again->generation, block.generation);
    block = *again;
    Fill(*heap_->Data(block), block.generation);
  }
  Account();
  for (const auto& [block, bytes] : blocks) {
    ASSERT_TRUE(IsFilled(*heap_->Data(block), block.generation));
  }
  for (const uint64_t offset : {uint64_t{0}, uint64_t{3}, uint64_t{64}, blocks[0].first.offset + 1,
                                segment_->size(), UINT64_MAX - 15}) {
    EXPECT_EQ(heap_->AllocateAt(offset, 8).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(heap_->AllocateAt(segment_->size() - 16, 100).status().code(),
            absl::StatusCode::kInvalidArgument);
  for (const auto& [block, bytes] : blocks) ASSERT_TRUE(heap_->Free(block).ok());
  ExpectEmpty();
}

TEST_P(HeapOperations, WhatLivesLongDoesNotSplitTheRoomOfWhatLivesShort) {
  if (!traits().separates_lifetimes) GTEST_SKIP();
  Make();
  std::vector<BlockHandle> brief, lasting;
  uint64_t lasting_bytes = 0;
  for (int i = 0; i < 300; ++i) {
    brief.push_back(Allocate(*heap_, 1500));
    lasting.push_back(Allocate(*heap_, 64, Lifetime::kLong));
    lasting_bytes += 64;
  }
  FreeAll(brief);
  const HeapOccupancy occupancy = heap_->Look().value();
  EXPECT_EQ(occupancy.blocks, lasting.size());
  const HeapAccount account = Account();
  EXPECT_GT(occupancy.largest_block_bytes, account.free_bytes * 9 / 10)
      << "the free room is split by what lives long";
  Allocate(*heap_, occupancy.largest_block_bytes);
  EXPECT_FALSE(heap_->Allocate(heap_->max_block_bytes() / 2, Deadline::None()).ok());
}

TEST_P(HeapOperations, TheLargestBlockThatItTellsIsTheLargestThatItServes) {
  Make(4 << 20);
  std::mt19937_64 random(TestSeed());
  std::vector<BlockHandle> blocks = FillUp(700);
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (size_t i = 0; i < blocks.size() / 3; ++i) ASSERT_TRUE(heap_->Free(blocks[i]).ok());
  const HeapOccupancy occupancy = heap_->Look().value();
  EXPECT_EQ(occupancy.blocks, blocks.size() - blocks.size() / 3);
  ASSERT_GT(occupancy.largest_block_bytes, 700u);
  const auto more = heap_->Allocate(occupancy.largest_block_bytes + 16, Deadline::None());
  EXPECT_EQ(more.status().code(), absl::StatusCode::kDeadlineExceeded);
  const auto largest = heap_->Allocate(occupancy.largest_block_bytes, Deadline::None());
  EXPECT_TRUE(largest.ok()) << largest.status();
  Account();
}

TEST_P(HeapOperations, TheWholeRoomServesAnotherSizeOnceItIsEmpty) {
  Make(4 << 20);
  for (const size_t bytes : {size_t{8}, size_t{3000}, size_t{100}, size_t{60000}, size_t{24}}) {
    const std::vector<BlockHandle> blocks = FillUp(bytes);
    const HeapAccount account = Account();
    EXPECT_EQ(account.live_bytes, blocks.size() * bytes);
    // Of the room that is no header, in units of the alignment.
    const uint64_t room = account.room_bytes - account.header_bytes;
    EXPECT_GE(blocks.size() * RoundUp(bytes, Heap::kAlignment), room * 9 / 10 - 2 * bytes) << bytes;
    FreeAll(blocks);
    ExpectEmpty();
  }
}

TEST_P(HeapOperations, AVisitShowsEachBlockOnceWithItsOwners) {
  Make();
  const std::unique_ptr<Heap> other = Attach();
  std::vector<BlockHandle> blocks;
  for (size_t i = 0; i < 100; ++i) {
    blocks.push_back(Allocate(*heap_, i * 7));
    absl::Status done;
    if (i % 3 == 0) done = heap_->Share(blocks[i], other->id());
    if (i % 3 == 1) done = heap_->Transfer(blocks[i], other->id());
    ASSERT_TRUE(done.ok()) << done;
  }
  const absl::StatusOr<HeapReserve> reserve = heap_->Reserve(4, 11, Deadline::None());
  ASSERT_TRUE(reserve.ok());
  std::vector<bool> seen(blocks.size());
  size_t reserved = 0;
  ASSERT_TRUE(heap_
                  ->ForEach([&](const HeapBlock& block) {
                    if (block.reserved) {
                      ++reserved;
                      EXPECT_EQ(block.bytes, 11u);
                      EXPECT_THAT(block.owners, ::testing::ElementsAre(heap_->id()));
                      return true;
                    }
                    const auto found = std::find(blocks.begin(), blocks.end(), block.handle);
                    const auto i = static_cast<size_t>(found - blocks.begin());
                    EXPECT_LT(i, blocks.size());
                    EXPECT_FALSE(seen.at(i)) << "shown twice";
                    seen.at(i) = true;
                    EXPECT_EQ(block.bytes, i * 7);
                    if (i % 3 == 0) {
                      EXPECT_THAT(block.owners,
                                  ::testing::UnorderedElementsAre(heap_->id(), other->id()));
                    } else {
                      EXPECT_THAT(block.owners,
                                  ::testing::ElementsAre(i % 3 == 1 ? other->id() : heap_->id()));
                    }
                    return true;
                  })
                  .ok());
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 100);
  EXPECT_EQ(reserved, 4u);
  size_t shown = 0;
  ASSERT_TRUE(heap_->ForEach([&](const HeapBlock&) { return ++shown < 5; }).ok());
  EXPECT_EQ(shown, 5u) << "it ends when it is told to";
  const HeapAccount account = Account();
  ASSERT_EQ(account.holdings.size(), 2u);
  EXPECT_EQ(account.holdings[0].blocks, 67u);
  EXPECT_EQ(account.holdings[0].shared_blocks, 34u);
  EXPECT_EQ(account.holdings[0].reserved_blocks, 4u);
  EXPECT_EQ(account.holdings[1].blocks, 67u);
}

TEST_P(HeapOperations, ParticipantsOfAllSlotsOwnTheirs) {
  // Over the borders of words, where a heap has room for so many.
  uint32_t participants = 150;
  if (!CanHave(participants)) participants = 64;
  Make(8 << 20, participants);
  std::vector<std::unique_ptr<Heap>> all;
  for (uint32_t i = 1; i < participants; ++i) all.push_back(Attach());
  const BlockHandle block = Allocate(*heap_, 100);
  for (const auto& one : all) ASSERT_TRUE(heap_->Share(block, one->id()).ok());
  EXPECT_EQ(heap_->Owners(block)->size(), participants);
  EXPECT_EQ(Account().holds, participants);
  // Passed on from hand to hand, over the borders of words.
  const BlockHandle baton = Allocate(*heap_, 100);
  Fill(*heap_->Data(baton), 5);
  Heap* last = heap_.get();
  for (const auto& one : all) {
    ASSERT_TRUE(last->Transfer(baton, one->id()).ok());
    last = one.get();
    ASSERT_TRUE(IsFilled(*one->Data(baton), 5));
    ASSERT_THAT(heap_->Owners(baton).value(), ::testing::ElementsAre(one->id()));
  }
  for (auto& one : all) {
    EXPECT_EQ(heap_->Owners(block)->back(), all.back()->id());
    if (one != all.back()) one = nullptr;
  }
  EXPECT_EQ(Account().holds, 3u);
  ASSERT_TRUE(heap_->Free(block).ok());
  EXPECT_TRUE(all.back()->Data(block).ok());
  all.back() = nullptr;
  ExpectEmpty();
}

}  // namespace
}  // namespace kill9

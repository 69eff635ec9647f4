// Buffers as one process sees them: views that grow at both ends, copies on write, slices, holds.
#include <random>
#include <vector>

#include "property/buffers/pool_fixture.h"

namespace kill9 {
namespace {

class BufferViews : public PoolFixture {};

TEST_F(BufferViews, ABufferGrowsAtBothEndsAsAVectorDoes) {
  Make();
  Buffer buffer = *pool_->Allocate(0, kNow);
  std::string model;
  uint64_t moves = 0;
  const char* block = nullptr;
  for (int i = 0; i < 2000; ++i) {
    const std::string piece = Pattern(static_cast<size_t>(i % 7), static_cast<uint64_t>(i));
    ASSERT_TRUE((i % 2 == 0 ? buffer.Append(piece, kNow) : buffer.Prepend(piece, kNow)).ok());
    model = i % 2 == 0 ? model + piece : piece + model;
    const char* const begin = buffer.bytes().data() - buffer.headroom();
    moves += begin != block;
    block = begin;
  }
  EXPECT_EQ(buffer.bytes(), model);
  EXPECT_LT(moves, 50u) << "it moves a few times for each doubling, not each time";
  EXPECT_EQ(Account().report.live.blocks, 1u);
  buffer.Release();
  ExpectEmpty();
}

TEST_F(BufferViews, WhoWritesToWhatSomebodyElseHoldsGetsACopyAndNobodyElseDoes) {
  Make();
  Buffer buffer = Filled(*pool_, "abcdef");
  const char* const before = buffer.bytes().data();
  EXPECT_FALSE(buffer.IsShared());
  (*buffer.Write(kNow))[0] = 'A';
  EXPECT_EQ(buffer.bytes().data(), before) << "nobody else holds it: in place";
  Buffer other = *buffer.Slice(2, 3);
  EXPECT_EQ(other.bytes(), "cde");
  EXPECT_TRUE(buffer.IsShared());
  EXPECT_EQ(Account().report.live.blocks, 1u) << "a slice is no copy";
  (*other.Write(kNow))[0] = 'C';
  EXPECT_EQ(other.bytes(), "Cde");
  EXPECT_EQ(buffer.bytes(), "Abcdef");
  EXPECT_FALSE(buffer.IsShared());
  EXPECT_EQ(Account().report.live.blocks, 2u);
  // Room that is there is somebody else's as well, as long as the block is shared.
  Buffer third = *buffer.Share();
  ASSERT_TRUE(third.Append("!", kNow).ok());
  ASSERT_TRUE(buffer.Append("?", kNow).ok());
  EXPECT_EQ(third.bytes(), "Abcdef!");
  EXPECT_EQ(buffer.bytes(), "Abcdef?");
}

TEST_F(BufferViews, RandomOperationsOnManyViewsAgreeWithStrings) {
  Make(4 << 20, 256);
  std::mt19937_64 random(TestSeed());
  struct View {
    Buffer buffer;
    std::string model;
  };
  std::vector<View> views;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t what = random() % 8;
    if (views.empty() || (what == 0 && views.size() < 40)) {
      const std::string bytes = Pattern(random() % 300, random());
      views.push_back({Filled(*pool_, bytes), bytes});
      continue;
    }
    View& view = views[random() % views.size()];
    const std::string piece = Pattern(random() % 60, random());
    const size_t cut = random() % (view.model.size() + 1);
    if (what == 1) {
      ASSERT_TRUE(view.buffer.Append(piece, kNow).ok());
      view.model += piece;
    } else if (what == 2) {
      ASSERT_TRUE(view.buffer.Prepend(piece, kNow).ok());
      view.model = piece + view.model;
    } else if (what == 3) {
      view.buffer.DropFront(cut);
      view.model.erase(0, cut);
    } else if (what == 4) {
      view.buffer.DropBack(view.model.size() - cut);
      view.model.resize(cut);
    } else if (what == 5 && views.size() < 50) {
      Buffer slice = *view.buffer.Slice(cut, view.model.size() - cut);
      const std::string model = view.model.substr(cut);
      views.push_back({std::move(slice), model});
    } else if (what == 6) {
      const absl::StatusOr<std::span<char>> bytes = view.buffer.Write(kNow);
      ASSERT_TRUE(bytes.ok());
      for (char& c : *bytes) c = static_cast<char>(c + 1);
      for (char& c : view.model) c = static_cast<char>(c + 1);
    } else {
      std::swap(view, views.back());
      views.pop_back();
    }
    if (!views.empty()) {
      const View& look = views[random() % views.size()];
      ASSERT_EQ(look.buffer.bytes(), look.model);
    }
  }
  EXPECT_EQ(Account().holds, views.size());
  for (const View& view : views) EXPECT_EQ(view.buffer.bytes(), view.model);
  views.clear();
  ExpectEmpty();
}

TEST_F(BufferViews, AHoldTooManyIsRefusedAndChangesNothing) {
  Make(1 << 20, 4, 3);
  Buffer first = Filled(*pool_, "x");
  const Buffer second = *first.Share();
  Buffer third = *first.Share();
  EXPECT_TRUE(absl::IsResourceExhausted(first.Share().status()));
  EXPECT_TRUE(absl::IsResourceExhausted(pool_->SendShared(*channel_, first, "", kNow).status()));
  third.Release();
  EXPECT_TRUE(first.Share().ok());
}

TEST_F(BufferViews, BuffersBeyondThoseThereCanBeWaitForOneThatIsFree) {
  Make(1 << 20, 2);
  Buffer first = *pool_->Allocate(8, kNow), second = *pool_->Allocate(8, kNow);
  EXPECT_TRUE(absl::IsDeadlineExceeded(pool_->Allocate(8, kNow).status()));
  first.Release();
  EXPECT_TRUE(pool_->Allocate(8, kNow).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(pool_->Allocate(8 << 20, kNow).status()));
}

TEST_F(BufferViews, AMessageHoldsItsBufferAndGivesItToWhoReceivesIt) {
  Make();
  const std::unique_ptr<BufferPool> other = Attach();
  Buffer buffer = Filled(*pool_, Pattern(500, 1));
  ASSERT_TRUE(pool_->SendShared(*channel_, *buffer.Slice(100, 50), "part", kNow, 7).ok());
  ASSERT_TRUE(pool_->Send(*channel_, buffer, "all", kNow).ok());
  EXPECT_FALSE(buffer.has_block()) << "it is the message's now";
  BufferPoolAccount account = Account();
  EXPECT_EQ(account.holds, 2u);
  EXPECT_EQ(HoldsOfSlot(account, pool_->id().slot), 0u);
  ASSERT_EQ(account.of_messages.size(), 2u);
  EXPECT_EQ(account.of_messages[1].holder, 7u);
  ReceivedBuffer part = *other->Receive(*channel_, kNow);
  EXPECT_EQ(part.header, "part");
  EXPECT_EQ(part.buffer.bytes(), Pattern(500, 1).substr(100, 50));
  ReceivedBuffer all = *other->Receive(*channel_, kNow);
  EXPECT_EQ(all.buffer.bytes(), Pattern(500, 1));
  account = Account();
  EXPECT_EQ(HoldsOfSlot(account, other->id().slot), 2u);
  EXPECT_EQ(account.report.live.blocks, 1u) << "nothing was copied";
  part.buffer.Release();
  EXPECT_FALSE(all.buffer.IsShared());
  all.buffer.Release();
  ExpectEmpty();
}

TEST_F(BufferViews, AMessageThatIsRefusedLeavesTheBufferWithItsSender) {
  Make();
  Buffer buffer = Filled(*pool_, "mine");
  ASSERT_TRUE(channel_->Close().ok());
  EXPECT_TRUE(absl::IsOutOfRange(pool_->Send(*channel_, buffer, "", kNow).status()));
  EXPECT_EQ(buffer.bytes(), "mine");
  EXPECT_EQ(HoldsOfSlot(Account(), pool_->id().slot), 1u);
}

TEST_F(BufferViews, WhatWasSentToABoxThatNobodyReadsCanBeLetGoOf) {
  Make();
  for (uint32_t box = 1; box <= 2; ++box) {
    Buffer buffer = Filled(*pool_, absl::StrCat("to ", box));
    ASSERT_TRUE(pool_->Send(*channel_, buffer, "", kNow, box).ok());
  }
  EXPECT_EQ(*pool_->DropSent(1), 1u);
  EXPECT_EQ(Account().holds, 1u);
  // The message that has lost its buffer is passed over.
  const absl::StatusOr<ReceivedBuffer> received = pool_->Receive(*channel_, kNow);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->buffer.bytes(), "to 2");
  EXPECT_TRUE(absl::IsDeadlineExceeded(pool_->Receive(*channel_, kNow).status()));
}

TEST_F(BufferViews, WhoLeavesLetsGoOfWhatItHolds) {
  Make();
  {
    const std::unique_ptr<BufferPool> other = Attach();
    Buffer buffer = Filled(*other, "x");
    ASSERT_TRUE(other->SendShared(*channel_, buffer, "", kNow).ok());
  }
  EXPECT_EQ(Account().holds, 1u) << "the message's";
  EXPECT_EQ(pool_->Receive(*channel_, kNow)->buffer.bytes(), "x");
  ExpectEmpty();
}

TEST_F(BufferViews, ASeatIsOneLivingParticipantsAndTheNextOnesAfterItsDeath) {
  Make();
  ASSERT_TRUE(pool_->TakeSeat(1).ok());
  EXPECT_TRUE(pool_->TakeSeat(1).ok()) << "it has it already";
  EXPECT_EQ(pool_->SeatedAt(1), pool_->id());
  const std::unique_ptr<BufferPool> other = Attach();
  EXPECT_TRUE(absl::IsAlreadyExists(other->TakeSeat(1)));
  EXPECT_TRUE(other->TakeSeat(2).ok());
  Child child([&](Line&) {
    const std::unique_ptr<BufferPool> dying = Attach();
    CHILD_REQUIRE(dying->TakeSeat(3).ok());
    _exit(0);
  });
  ASSERT_EQ(child.ExitStatus(), 0);
  EXPECT_TRUE(other->TakeSeat(3).ok());
  EXPECT_EQ(pool_->SeatedAt(3), other->id());
}

}  // namespace
}  // namespace kill9

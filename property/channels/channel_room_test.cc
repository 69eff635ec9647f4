// Room for whoever sends, however many others are members, and whatever they sent before.
#include "property/channels/channel_conformance.h"
#include "property/scaffold/counted_steps.h"
#include "variants/channels/shared/chunks.h"

namespace kill9 {
namespace {

class ChannelRoom : public ChannelConformance {
 protected:
  static constexpr uint64_t kBytes = 1 << 20;
  static constexpr size_t kSmall = 100;

  // A new member sends a message, which is received; it stays, and does nothing more.
  std::unique_ptr<Channel> SendsAndIdles(int number, int messages = 1) {
    std::unique_ptr<Channel> member = Attach(MemberRole::kSender);
    for (int i = 0; i < messages; ++i) {
      const std::string message = MessageOf(static_cast<uint64_t>(number), kSmall);
      const absl::StatusOr<Sequence> sent = member->Send(message, Deadline::None());
      EXPECT_TRUE(sent.ok()) << "member " << number << ", message " << i << ": " << sent.status();
      if (!sent.ok()) break;
      EXPECT_EQ(Receive(), message);
    }
    return member;
  }
};
INSTANTIATE_FOR_ALL_CHANNELS(ChannelRoom);

TEST_P(ChannelRoom, MoreIdleMembersThanTheRoomHasChunksLeaveRoomForTheNext) {
  constexpr int kMembers = 300;
  ASSERT_LT(kBytes / chunks::ChunkBytesFor(kBytes), kMembers);  // the premise
  Make(kBytes, kMembers + 1);
  std::vector<std::unique_ptr<Channel>> members;
  for (int i = 0; i < kMembers && !HasFailure(); ++i) members.push_back(SendsAndIdles(i));
  // And for those who sent before.
  for (auto member = members.rbegin(); member != members.rend() && !HasFailure(); ++member) {
    EXPECT_TRUE((*member)->Send(MessageOf(7, kSmall), Deadline::None()).ok());
    EXPECT_EQ(Receive(), MessageOf(7, kSmall));
  }
  ExpectSoundAccount();
}

TEST_P(ChannelRoom, WhatMembersSentWhoIdleNowLeavesRoomForALargestMessage) {
  constexpr int kMembers = 60;
  Make(kBytes, kMembers + 1);
  std::vector<std::unique_ptr<Channel>> members;
  // So many messages that each has used many chunks, and ends in another.
  for (int i = 0; i < kMembers && !HasFailure(); ++i) {
    members.push_back(SendsAndIdles(i, 100 * (i + 1)));
  }
  const std::string largest = MessageOf(1, channel_->max_message_bytes());
  ASSERT_GE(largest.size(), kBytes / 4);
  for (int i = 0; i < 3 && !HasFailure(); ++i) {
    const absl::StatusOr<Sequence> sent = channel_->Send(largest, Deadline::None());
    EXPECT_TRUE(sent.ok()) << sent.status();
    EXPECT_TRUE(Receive() == largest);
  }
  ExpectSoundAccount();
}

// A full channel, of whose messages the ends of the chunks are left: a small message fits there.
TEST_P(ChannelRoom, ASmallMessageFitsBehindThoseOfOthers) {
  if (!is_queue()) GTEST_SKIP() << "a broadcast overwrites";
  constexpr int kMembers = 200;
  Make(kBytes, kMembers + 1);
  std::vector<std::unique_ptr<Channel>> members;
  int sent = 0;
  // Everybody sends one message, which nobody receives.
  for (int i = 0; i < kMembers; ++i) {
    members.push_back(Attach(MemberRole::kSender));
    sent += members.back()->Send(MessageOf(7, kSmall), Deadline::None()).ok() ? 1 : 0;
  }
  EXPECT_EQ(sent, kMembers);
  const Occupancy occupancy = *channel_->Look();
  ASSERT_LT(occupancy.bytes, occupancy.capacity_bytes / 4);  // the premise: there is room
  ExpectSoundAccount();
}

#if defined(__x86_64__)

// Who sends many large ones in a row does not look at all those that wait each time.
TEST_P(ChannelRoom, LargeMessageCostsTheSameHoweverManyWait) {
  if (!is_queue()) GTEST_SKIP() << "a broadcast overwrites";
  if (traits().send == Progress::kBlocking) GTEST_SKIP() << "it has no chunks";
  constexpr uint64_t kRoom = 16 << 20;
  constexpr size_t kLarge = 40'000;  // more than half a chunk
  constexpr int kFew = 10, kMany = 150;
  static_assert(2 * kLarge > chunks::ChunkBytesFor(kRoom));
  Make(kRoom, 4);
  Child child([&](Line& parent) {
    const std::unique_ptr<Channel> mine = Attach(MemberRole::kSender);
    CHILD_REQUIRE(mine != nullptr);
    for (int sent = 1; sent <= kMany; ++sent) {
      absl::StatusOr<MessageDraft> draft;
      const auto reserve = [&] { draft = mine->Reserve(kLarge, Deadline::None()); };
      if (sent == kFew || sent == kMany) {
        parent.Tell(StepsOf(parent, kStopNowhere, reserve));
      } else {
        reserve();
      }
      CHILD_REQUIRE(draft.ok() && mine->Commit(*std::move(draft)).ok());
    }
    return 0;
  });
  uint64_t few = 0, many = 0;
  ASSERT_TRUE(child.Await(&few) && child.Await(&many));
  ASSERT_EQ(child.ExitStatus(), 0);
  EXPECT_GT(few, 100u) << "the premise: they were counted";
  EXPECT_LT(many, few + few / 2 + 200) << "after " << kMany;
}

#endif  // defined(__x86_64__)

}  // namespace
}  // namespace kill9

// What is peculiar to sender_lanes: laps and void positions, ranges that come back as single
// messages, successors in a lane, turns, and segments whose words are wrong.
#include "variants/channels/sender_lanes/sender_lanes.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/chunk_channel_test.h"

namespace kill9::sender_lanes {
namespace {

using absl::StatusCode;

struct Design {
  static auto CreateSegment(const SegmentOptions& options) {
    return sender_lanes::CreateSegment(options);
  }
  static auto AttachMember(const std::shared_ptr<Segment>& segment, const Membership& membership) {
    return sender_lanes::AttachMember(segment, membership);
  }
  static auto CheckParameters(const Segment& segment) {
    return sender_lanes::CheckParameters(segment);
  }
};

class SenderLanesTest : public ChunkChannelTest<Design> {
 protected:
  uint64_t slots() const { return segment_->header().parameters[kLaneSlots]; }
};

TEST_F(SenderLanesTest, HeldMessagesAreSkippedLapAfterLapAndComeBackInTheirOrder) {
  ChunkChannelTest::HeldMessagesAreSkippedLapAfterLapAndComeBackInTheirOrder(slots());
}

// A range of nearly a lap comes back as single messages, which say of all their slots that they are
// of the later lap. Who stands where one of the lap before ends must not take them for what was
// skipped, and come to stand in the middle of a range.
TEST_F(SenderLanesTest, WhoFellALapBehindALongRangeTakesNothingThatIsGone) {
  const uint64_t lap = slots();
  ASSERT_EQ(lap, uint64_t{kMostExtent});  // the premise: a range may be a lap
  const auto drain = [&](uint64_t count) {
    MessageBatch batch = *channel_->Drain(Channel::kAll, Deadline::None());
    EXPECT_EQ(batch.size(), count);
    return batch;
  };
  const auto send = [&](uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) Send("message");
  };
  std::unique_ptr<Channel> behind = Attach(MemberRole::kReceiver);
  // It stands at the last quarter of the lap, from where on one range reaches to its end.
  const uint64_t stands = lap - lap / 4 + 8;
  send(stands - 1);
  ASSERT_TRUE(channel_->Acknowledge(drain(stands - 1)).ok());
  send(1);
  ASSERT_TRUE(behind->Acknowledge(*behind->Take(Deadline::None())).ok());
  send(lap - stands);
  ASSERT_TRUE(channel_->Acknowledge(drain(lap - stands)).ok());
  // One range of the next lap ends in the middle of that one; and comes back.
  const uint64_t extent = stands + 20;
  send(extent);
  ASSERT_TRUE(channel_->Return(drain(extent)).ok());
  for (uint64_t i = 0; i < extent; ++i) ASSERT_EQ(Receive(), "message");
  ExpectSound();
  std::string message;
  EXPECT_EQ(behind->Receive(&message, Deadline::None()).status().code(),
            StatusCode::kDeadlineExceeded);
}

TEST_F(SenderLanesTest, AHeldBatchIsSkippedAndComesBackMessageByMessage) {
  const uint64_t lap = slots();
  for (const bool dies : {false, true}) {
    Pass(lap / 2);
    for (uint64_t i = 0; i < 20; ++i) Send(absl::StrCat("held ", i));
    if (dies) {
      Child victim([&](Line& parent) {
        std::unique_ptr<Channel> channel = Attach(MemberRole::kReceiver);
        const absl::StatusOr<MessageBatch> batch = channel->Drain(20, Deadline::None());
        CHILD_REQUIRE(batch.ok() && batch->size() == 20);
        parent.Tell();
        for (;;) pause();
      });
      ASSERT_TRUE(victim.Await());
      Pass(2 * lap + 3);
      ExpectSound();
      victim.KillAndReap();
      ASSERT_EQ(channel_->Recover()->participants, 1u);
    } else {
      std::unique_ptr<Channel> other = Attach(MemberRole::kReceiver);
      MessageBatch batch = *other->Drain(20, Deadline::None());
      ASSERT_EQ(batch.size(), 20u);
      Pass(2 * lap + 3);
      ExpectSound();
      ASSERT_TRUE(other->Return(std::move(batch)).ok());
    }
    ExpectSound();
    // Two receivers share what was one range.
    std::unique_ptr<Channel> other = Attach(MemberRole::kReceiver);
    for (uint64_t i = 0; i < 20; i += 2) {
      TakenMessage taken = *other->Take(Deadline::None());
      EXPECT_EQ(taken.bytes(), absl::StrCat("held ", i));
      EXPECT_TRUE(taken.info().redelivered);
      EXPECT_EQ(Receive(), absl::StrCat("held ", i + 1));
      ASSERT_TRUE(other->Acknowledge(std::move(taken)).ok());
    }
    EXPECT_EQ(ExpectSound().entries, 0u);
  }
}

TEST_F(SenderLanesTest, WhoHasBeenAwayForLapsFindsTheHead) {
  std::unique_ptr<Channel> away = Attach(MemberRole::kReceiver);
  std::unique_ptr<Channel> batches = Attach(MemberRole::kReceiver);
  Send("where it was last");
  std::string message;
  ASSERT_TRUE(away->Receive(&message, Deadline::None()).ok());
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 200; ++round) {
    // Ranges of all lengths, so that it meets others in its place.
    for (uint64_t left = 1 + random() % (2 * slots()); left > 0;) {
      const uint64_t now = std::min(left, 1 + random() % 40);
      for (uint64_t i = 0; i < now; ++i) Send(absl::StrCat("gone ", i));
      for (uint64_t got = 0; got < now;) {
        MessageBatch batch = *batches->Drain(1 + random() % 40, Deadline::None());
        got += batch.size();
        ASSERT_TRUE(batches->Acknowledge(std::move(batch)).ok());
      }
      left -= now;
    }
    Send("to who was away");
    ASSERT_TRUE(away->Receive(&message, Deadline::None()).ok());
    ASSERT_EQ(message, "to who was away");
    ASSERT_EQ(away->Receive(&message, Deadline::None()).status().code(),
              StatusCode::kDeadlineExceeded);
  }
  ExpectSound();
}

TEST_F(SenderLanesTest, ASuccessorGoesOnWhereTheLaneWasLeft) {
  std::mt19937_64 random(TestSeed());
  uint64_t sent = 0, received = 0;
  std::vector<TakenMessage> held;
  const auto receive_one = [&] {
    std::string message;
    if (!channel_->Receive(&message, Deadline::None()).ok()) return false;
    EXPECT_EQ(message, absl::StrCat("message ", received));
    ++received;
    return true;
  };
  for (int round = 0; round < 400; ++round) {
    // The first free place in the table is always the same.
    std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
    while (round % 4 == 0 && sender->Send(absl::StrCat("message ", sent), Deadline::None()).ok()) {
      ++sent;
    }
    ASSERT_LE(sent - received, slots());
    for (uint64_t i = random() % 40; i > 0; --i) {
      std::vector<std::string> texts;
      for (uint64_t j = random() % 10; j > 0; --j) {
        texts.push_back(absl::StrCat("message ", sent + texts.size()));
      }
      const std::vector<std::string_view> row(texts.begin(), texts.end());
      const absl::StatusOr<size_t> now = sender->SendMany(row, Deadline::None());
      if (now.ok()) sent += *now;
      // The lane is nearly full most of the time: what is believed to be free must be so.
      for (uint64_t j = random() % 20; j > 0 && sent - received > slots() - 60; --j) {
        ASSERT_TRUE(receive_one());
      }
    }
    sender = nullptr;
    if (random() % 8 == 0) ExpectSound();
  }
  EXPECT_GT(sent, 4 * slots()) << "the premise: laps";
  while (receive_one()) {
  }
  EXPECT_EQ(received, sent);
  EXPECT_EQ(ExpectSound().entries, 0u);
}

TEST_F(SenderLanesTest, ReceiversTakeTheLanesInTurn) {
  std::vector<std::unique_ptr<Channel>> senders;
  for (int lane = 0; lane < 3; ++lane) senders.push_back(Attach(MemberRole::kSender));
  for (int i = 0; i < 30; ++i) {
    for (size_t lane = 0; lane < 3; ++lane) {
      ASSERT_TRUE(senders[lane]->Send(absl::StrCat(lane), Deadline::None()).ok());
    }
  }
  std::map<std::string, int> got;
  for (int i = 0; i < 30; ++i) ++got[Receive()];
  for (const std::string lane : {"0", "1", "2"}) EXPECT_EQ(got[lane], 10) << lane;
}

TEST_F(SenderLanesTest, AFullLaneIsNoHindranceToOthers) {
  std::unique_ptr<Channel> eager = Attach(MemberRole::kSender);
  uint64_t sent = 0;
  while (eager->Send("x", Deadline::None()).ok()) ++sent;
  EXPECT_EQ(sent, slots());
  Send("of another lane");
  ExpectSound();
  std::map<std::string, uint64_t> got;
  for (uint64_t i = 0; i <= sent; ++i) ++got[Receive()];
  EXPECT_EQ(got["x"], sent);
  EXPECT_EQ(got["of another lane"], 1u);
}

TEST_F(SenderLanesTest, ADraftThatCameTooLateGivesItsChunkBack) {
  ChunkChannelTest::ADraftThatCameTooLateGivesItsChunkBack();
}

// As a closer that died after its first store: it is closed, for all who look.
TEST_F(SenderLanesTest, ACloserThatDiedHalfwayHasClosed) {
  std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
  Send("before");
  auto* const header = reinterpret_cast<LanesHeader*>(
      segment_->base() + segment_->header().parameters[kLanesOffset] - sizeof(LanesHeader));
  header->closed.store(1, std::memory_order_seq_cst);
  EXPECT_EQ(sender->Send("after", Deadline::None()).status().code(), StatusCode::kOutOfRange);
  EXPECT_TRUE(channel_->Look()->closed);
  EXPECT_EQ(Receive(), "before");
  std::string message;
  EXPECT_EQ(channel_->Receive(&message, Deadline::None()).status().code(), StatusCode::kOutOfRange);
  ExpectSound();
}

// Whatever a word says, an operation ends, with an error or with messages, and touches nothing
// beyond the segment (a SIGSEGV here).
TEST_F(SenderLanesTest, ADamagedSegmentIsAnErrorAndNeverACrash) {
  ChunkChannelTest::ADamagedSegmentIsAnErrorAndNeverACrash(
      {128 << 10, 2000, 200, false, kSpaceOffset});
}

TEST_F(SenderLanesTest, ParametersThatContradictTheSizeAreRefused) {
  ChunkChannelTest::ParametersThatContradictTheSizeAreRefused(
      {kChunkCount, kChunkBytes, kLaneSlots, kLanesOffset, kRecordsOffset, kChunksOffset,
       kSleepersOffset, kSpaceOffset});
}

}  // namespace
}  // namespace kill9::sender_lanes

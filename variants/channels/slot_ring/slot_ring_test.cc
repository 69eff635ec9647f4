// What is peculiar to slot_ring: laps and void positions, what comes back after a lap, hints,
// chunks, and segments whose words are wrong.
#include "variants/channels/slot_ring/slot_ring.h"

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"

namespace kill9::slot_ring {
namespace {

using absl::StatusCode;

class SlotRingTest : public ::testing::Test {
 protected:
  void SetUp() override { Make(256 << 10); }
  void Make(uint64_t size_bytes) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = 8;
    auto segment = CreateSegment(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    channel_ = Attach();
  }
  std::unique_ptr<Channel> Attach(MemberRole role = MemberRole::kBoth) const {
    return *AttachMember(segment_, {.role = role});
  }
  uint64_t granules() const {
    return segment_->header().parameters[kChunkCount] * segment_->header().parameters[kChunkBytes] /
           kGranuleBytes;
  }
  uint64_t slots() const { return granules() * kSlotsPerGranule; }
  // Sends empty messages until there is no room; returns how many there was room for.
  uint64_t Fill() {
    uint64_t sent = 0;
    absl::Status status;
    for (;; ++sent) {
      status = channel_->Send("", Deadline::None()).status();
      if (!status.ok()) break;
    }
    EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
    return sent;
  }
  void Send(const std::string& message) {
    const auto sent = channel_->Send(message, Deadline::None());
    ASSERT_TRUE(sent.ok()) << sent.status();
  }
  std::string Receive() {
    std::string message;
    const auto got = channel_->Receive(&message, Deadline::None());
    return got.ok() ? message : got.status().ToString();
  }
  // Sends and receives so many messages, one after the other.
  void Pass(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      Send(absl::StrCat("passes ", i));
      ASSERT_EQ(Receive(), absl::StrCat("passes ", i));
    }
  }
  AuditReport ExpectSound() {
    AuditReport audit = *channel_->Audit();
    EXPECT_TRUE(audit.clean()) << absl::StrJoin(audit.violations, "\n");
    EXPECT_EQ(audit.free.bytes + audit.live.bytes + audit.held.bytes, audit.capacity.bytes);
    return audit;
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(SlotRingTest, HeldMessagesAreSkippedLapAfterLapAndComeBackInTheirOrder) {
  const uint64_t lap = slots();
  Pass(lap - 5);
  // They lie across the end of the slots: in the order of the slots the younger ones come first.
  std::vector<TakenMessage> held;
  for (uint64_t i = 0; i < 10; ++i) Send(absl::StrCat("held ", i));
  for (uint64_t i = 0; i < 10; ++i) held.push_back(*channel_->Take(Deadline::None()));
  Pass(3 * lap);
  ASSERT_EQ(held[0].info().sequence, lap - 4);  // the premise: the tenth is in the next lap
  ASSERT_EQ(held[9].info().sequence, lap + 5);
  ExpectSound();
  Send("younger");
  // Given back in no order, each in another lap.
  for (const size_t i : {4u, 9u, 0u, 7u, 2u, 6u, 1u, 8u, 5u, 3u}) {
    ASSERT_TRUE(channel_->Return(std::move(held[i])).ok());
  }
  ExpectSound();
  for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(Receive(), absl::StrCat("held ", i));
  EXPECT_EQ(Receive(), "younger");
  Pass(2 * lap);
  ExpectSound();
}

TEST_F(SlotRingTest, WhatWaitsForALapOrMoreIsSkippedToo) {
  Send("comes back");
  TakenMessage taken = *channel_->Take(Deadline::None());
  std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
  ASSERT_TRUE(channel_->Return(std::move(taken)).ok());
  // Nobody receives; the senders come around to the slot in which it waits.
  const uint64_t lap = slots();
  uint64_t sent = 0;
  while (sent < lap && sender->Send("", Deadline::None()).ok()) ++sent;
  EXPECT_LT(sent, granules()) << "as many as there are granules, but for its own";
  EXPECT_GT(sent, granules() / 2);
  ExpectSound();
  EXPECT_EQ(Receive(), "comes back");
  for (uint64_t i = 0; i < sent; ++i) ASSERT_EQ(Receive(), "");
  EXPECT_EQ(channel_->Take(Deadline::None()).status().code(), StatusCode::kDeadlineExceeded);
  ExpectSound();
}

// The tail goes by a message that is held, lap after lap, in a channel that is full: when that
// message is gone its granule is free, and the position after the last one must be, too (R6).
TEST_F(SlotRingTest, WhatWasHeldInAFullChannelLeavesRoomForTheNext) {
  for (const bool comes_back : {true, false}) {
    uint64_t waiting = Fill();
    ASSERT_EQ(waiting, granules());  // the premise: there is no room at all
    TakenMessage held = *channel_->Take(Deadline::None());
    for (--waiting; waiting > granules() / 2; --waiting) ASSERT_EQ(Receive(), "");
    const uint64_t more = Fill();  // on the way the tail goes by what is held
    ASSERT_GE(more, granules() / 4);
    waiting += more;
    if (comes_back) {
      ASSERT_TRUE(channel_->Return(std::move(held)).ok());
      ASSERT_EQ(Receive(), "");
    } else {
      ASSERT_TRUE(channel_->Acknowledge(std::move(held)).ok());
    }
    for (int lap = 0; lap < 5; ++lap) {
      waiting += Fill();
      ExpectSound();
      for (; waiting > 0; --waiting) ASSERT_EQ(Receive(), "");
    }
  }
}

TEST_F(SlotRingTest, AHeldMessageKeepsItsBytesThoughAllAroundItAreGone) {
  const std::string bytes(100, 'h');
  for (int i = 0; i < 3; ++i) Send(bytes);
  std::vector<TakenMessage> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(*channel_->Take(Deadline::None()));
  ASSERT_TRUE(channel_->Acknowledge(std::move(taken[0])).ok());
  // The rest of its chunk, and all other chunks several times.
  for (uint64_t i = 0; i < 3 * slots(); ++i) {
    Send(std::string(100, 'x'));
    ASSERT_EQ(Receive(), std::string(100, 'x'));
  }
  ASSERT_EQ(taken[1].bytes(), bytes);
  ASSERT_TRUE(channel_->Acknowledge(std::move(taken[2])).ok());
  ASSERT_TRUE(channel_->Return(std::move(taken[1])).ok());
  EXPECT_EQ(Receive(), bytes);
  ExpectSound();
}

TEST_F(SlotRingTest, WhoComesLateBeginsAtTheHints) {
  Pass(2 * slots() + 30);
  Send("for who comes late");
  std::unique_ptr<Channel> late = Attach();
  std::string message;
  ASSERT_TRUE(late->Receive(&message, Deadline::None()).ok());
  EXPECT_EQ(message, "for who comes late");
  ASSERT_TRUE(late->Send("by who comes late", Deadline::None()).ok());
  EXPECT_EQ(Receive(), "by who comes late");
  ExpectSound();
}

TEST_F(SlotRingTest, WhoHasBeenAwayForLapsFindsTheEnds) {
  std::unique_ptr<Channel> away = Attach();
  Pass(3 * slots() + 17);
  ASSERT_TRUE(away->Send("by who was away", Deadline::None()).ok());
  EXPECT_EQ(Receive(), "by who was away");
  Send("to who was away");
  std::string message;
  ASSERT_TRUE(away->Receive(&message, Deadline::None()).ok());
  EXPECT_EQ(message, "to who was away");
  ExpectSound();
}

TEST_F(SlotRingTest, ADraftThatCameTooLateGivesItsChunkBack) {
  std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
  MessageDraft small = *sender->Reserve(10, Deadline::None());
  MessageDraft large = *sender->Reserve(20'000, Deadline::None());
  EXPECT_EQ(ExpectSound().held.blocks, 2u);
  ASSERT_TRUE(channel_->Close().ok());
  EXPECT_EQ(sender->Commit(std::move(small)).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(sender->Commit(std::move(large)).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(ExpectSound().held.blocks, 0u);
  sender = nullptr;
  EXPECT_EQ(ExpectSound().participants, 1u);
}

TEST_F(SlotRingTest, ABatchOfMoreThanItsFirstRowIsNamedWhole) {
  constexpr uint64_t kMessages = 300;
  Pass(slots() - 100);  // around the end of the slots
  for (uint64_t i = 0; i < kMessages; ++i) Send(absl::StrCat("message ", i));
  Child victim([&](Line& parent) {
    std::unique_ptr<Channel> channel = Attach();
    const absl::StatusOr<MessageBatch> batch = channel->Drain(Channel::kAll, Deadline::None());
    CHILD_REQUIRE(batch.ok() && batch->size() == kMessages);
    parent.Tell();
    for (;;) pause();
  });
  ASSERT_TRUE(victim.Await());
  ExpectSound();
  victim.KillAndReap();
  ASSERT_EQ(channel_->Recover()->participants, 1u);
  for (uint64_t i = 0; i < kMessages; ++i) ASSERT_EQ(Receive(), absl::StrCat("message ", i));
  ExpectSound();
}

// Whatever a word says, an operation ends, with an error or with messages, and touches nothing
// beyond the segment (a SIGSEGV here).
TEST_F(SlotRingTest, ADamagedSegmentIsAnErrorAndNeverACrash) {
  std::mt19937_64 random(TestSeed());
  uint64_t errors = 0;
  for (int round = 0; round < 400; ++round) {
    Make(112 << 10);
    std::unique_ptr<Channel> other = Attach();
    Pass(random() % 100);
    for (int i = 0; i < 20; ++i) Send(std::string(random() % 3000, 'm'));
    absl::StatusOr<TakenMessage> taken = other->Take(Deadline::None());
    const std::span<char> body = segment_->body();
    const uint64_t meta = segment_->header().parameters[kSpaceOffset] -
                          static_cast<uint64_t>(body.data() - segment_->base());
    for (uint64_t i = 0; i < 1 + random() % 30; ++i) {
      uint64_t word = random() >> random() % 64;
      std::memcpy(body.data() + random() % (meta / 8) * 8, &word, sizeof word);
    }
    std::string message;
    for (int i = 0; i < 40; ++i) {
      errors += absl::IsDataLoss(
          channel_->Send(std::string(random() % 3000, 'm'), Deadline::None()).status());
      errors += absl::IsDataLoss(channel_->Receive(&message, Deadline::None()).status());
    }
    (void)other->Drain(Channel::kAll, Deadline::None());
    (void)channel_->Look();
    (void)channel_->Recover();
    errors += channel_->Audit()->clean() ? 0 : 1;
    (void)channel_->Close();
  }
  EXPECT_GT(errors, 100u) << "no damage was met: vacuous";
}

TEST_F(SlotRingTest, ParametersThatContradictTheSizeAreRefused) {
  for (const Parameter parameter : {kChunkCount, kChunkBytes, kSlotsOffset, kRecordsOffset,
                                    kChunksOffset, kSleepersOffset, kSpaceOffset}) {
    auto& header = const_cast<SegmentHeader&>(segment_->header());
    ASSERT_TRUE(CheckParameters(*segment_).ok());
    for (const uint64_t wrong : {uint64_t{0}, header.parameters[parameter] + 1,
                                 header.parameters[parameter] * 2, ~uint64_t{0}}) {
      const uint64_t right = std::exchange(header.parameters[parameter], wrong);
      EXPECT_EQ(CheckParameters(*segment_).code(), StatusCode::kDataLoss) << parameter;
      header.parameters[parameter] = right;
    }
  }
}

}  // namespace
}  // namespace kill9::slot_ring

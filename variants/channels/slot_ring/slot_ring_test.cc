// What is peculiar to slot_ring: laps and void positions, what comes back after a lap, hints,
// chunks, and segments whose words are wrong.
#include "variants/channels/slot_ring/slot_ring.h"

#include <bit>
#include <chrono>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "harness/stepper/stepper.h"
#include "property/scaffold/children.h"
#include "property/scaffold/chunk_channel_test.h"
#include "property/scaffold/stepped_child.h"

namespace kill9::slot_ring {
namespace {

using absl::StatusCode;

struct Design {
  static auto CreateSegment(const SegmentOptions& options) {
    return slot_ring::CreateSegment(options);
  }
  static auto AttachMember(const std::shared_ptr<Segment>& segment, const Membership& membership) {
    return slot_ring::AttachMember(segment, membership);
  }
  static auto CheckParameters(const Segment& segment) {
    return slot_ring::CheckParameters(segment);
  }
};

class SlotRingTest : public ChunkChannelTest<Design> {
 protected:
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
};

TEST_F(SlotRingTest, HeldMessagesAreSkippedLapAfterLapAndComeBackInTheirOrder) {
  ChunkChannelTest::HeldMessagesAreSkippedLapAfterLapAndComeBackInTheirOrder(slots());
}

// Found by torture with sixty holds, kill_recoverer: the audit took a message for one that had been
// taken where its slot was skipped.
TEST_F(SlotRingTest, WhatIsHeldForALapWasNotTakenBeforeWhatWaitsSince) {
  Send("held");
  TakenMessage held = *channel_->Take(Deadline::None());
  Pass(slots() - 2);
  Send("waits");
  const auto younger = channel_->Send("younger", Deadline::None());
  ASSERT_TRUE(younger.ok()) << younger.status();
  ASSERT_EQ(held.info().sequence, 1u);
  ASSERT_EQ(*younger, slots() + 2) << "the slot of what is held was not skipped: vacuous";
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

// A sender is stopped before each of its attempts, and others send so much meanwhile that it passes
// laps in one call: it is slow, and nothing is damaged.
TEST_F(SlotRingTest, WhoIsOvertakenForManyLapsDoesNotTakeThatForDamage) {
  if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) GTEST_SKIP() << why;
  Make(64 << 10);
  const auto slot = [&](uint64_t position) {
    return segment_->base() + segment_->header().parameters[kSlotsOffset] + position % slots() * 8;
  };
  SteppedChild slow([&] {
    std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
    return sender->Send("by who is slow", Deadline::None()).ok() ? 0 : 1;
  });
  uint64_t tail = 0;
  while (tail < 4 * slots()) {
    ASSERT_TRUE(slow.StepUntil([&] { return slow.AboutToLock() && slow.AboutToTouch(slot(tail)); }))
        << "it gave up after " << tail << " positions of " << slots();
    Pass(kHintEvery - 1);
    tail += kHintEvery - 1;
  }
  EXPECT_EQ(slow.Finish(), 0);
  EXPECT_EQ(Receive(), "by who is slow");
  ExpectSound();
}

TEST_F(SlotRingTest, ADraftThatCameTooLateGivesItsChunkBack) {
  ChunkChannelTest::ADraftThatCameTooLateGivesItsChunkBack();
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

// Found by torture: who looked whether a chunk is gone took a dropped draft's mark for a position,
// and counted from it.
TEST_F(SlotRingTest, WhatIsHeldBehindADroppedDraftStaysAsItIs) {
  ASSERT_FALSE(std::has_single_bit(slots())) << "any count from there is right: vacuous";
  Pass(10);
  channel_->Reserve(10, Deadline::None())->Drop();
  const std::string bytes(40, 'h');
  Send(bytes);
  TakenMessage held = *channel_->Take(Deadline::None());
  Pass(4 * granules());
  EXPECT_EQ(held.bytes(), bytes);
  ASSERT_TRUE(channel_->Return(std::move(held)).ok());
  ExpectSound();
}

TEST_F(SlotRingTest, WhoseReceiverKeepsUpUsesFewChunksWhateverItHasUsedBefore) {
  const uint64_t* const parameters = segment_->header().parameters;
  const auto pass = [&](std::set<uint64_t>* chunks) {
    TakenMessage taken = *channel_->Take(Deadline::None());
    const auto at = static_cast<uint64_t>(taken.bytes().data() - segment_->base());
    chunks->insert((at - parameters[kSpaceOffset]) / parameters[kChunkBytes]);
    ASSERT_TRUE(channel_->Acknowledge(std::move(taken)).ok());
  };
  const uint64_t burst = 12 * parameters[kChunkBytes] / kGranuleBytes;
  std::set<uint64_t> of_burst, later;
  for (uint64_t i = 0; i < burst; ++i) Send("burst");
  for (uint64_t i = 0; i < burst; ++i) pass(&of_burst);
  ASSERT_GE(of_burst.size(), 12u);
  Pass(2 * burst);  // until it has found out what is gone
  for (uint64_t i = 0; i < burst; ++i) {
    Send("later");
    pass(&later);
  }
  EXPECT_LE(later.size(), 2u);
}

// A wait that is over before it could sleep: the news of a death is heard all the same.
TEST_F(SlotRingTest, WhoNeverHasTheTimeToSleepIsToldOfADeath) {
  std::unique_ptr<Channel> receiver = Attach(MemberRole::kReceiver);
  std::string message;
  // From now on it watches, and looks for the dead only on news.
  const Deadline soon = Deadline::After(std::chrono::milliseconds(1));
  ASSERT_EQ(receiver->Receive(&message, soon).status().code(), StatusCode::kDeadlineExceeded);
  Send("held by the dead");
  Child victim([&](Line& parent) {
    std::unique_ptr<Channel> channel = Attach();
    const absl::StatusOr<TakenMessage> taken = channel->Take(Deadline::None());
    CHILD_REQUIRE(taken.ok());
    parent.Tell();
    for (;;) pause();
  });
  ASSERT_TRUE(victim.Await());
  victim.KillAndReap();
  const Deadline over = Deadline::AtNs(1);
  const auto got = receiver->Receive(&message, over);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(message, "held by the dead");
  EXPECT_TRUE(got->redelivered);
}

// Whatever a word says, an operation ends, with an error or with messages, and touches nothing
// beyond the segment (a SIGSEGV here).
TEST_F(SlotRingTest, ADamagedSegmentIsAnErrorAndNeverACrash) {
  ChunkChannelTest::ADamagedSegmentIsAnErrorAndNeverACrash(
      {112 << 10, 3000, 30, true, kSpaceOffset});
}

TEST_F(SlotRingTest, ParametersThatContradictTheSizeAreRefused) {
  ChunkChannelTest::ParametersThatContradictTheSizeAreRefused(
      {kChunkCount, kChunkBytes, kSlotsOffset, kRecordsOffset, kChunksOffset, kSleepersOffset,
       kSpaceOffset});
}

}  // namespace
}  // namespace kill9::slot_ring

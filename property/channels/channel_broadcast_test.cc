// Conformance of broadcasts: what every design must do whose traits say delivery = broadcast.
#include <random>

#include "property/channels/channel_conformance.h"

namespace kill9 {
namespace {

using absl::StatusCode;

class ChannelBroadcast : public ChannelConformance {
 protected:
  using Start = Membership::Start;

  std::unique_ptr<Channel> Subscribe(Start start = Start::kNext) const {
    absl::StatusOr<std::unique_ptr<Channel>> channel =
        design().Attach(segment_, {.role = MemberRole::kReceiver, .start = start});
    EXPECT_TRUE(channel.ok()) << channel.status();
    return channel.ok() ? *std::move(channel) : nullptr;
  }
  struct Got {
    std::string bytes;
    MessageInfo info;
  };
  static std::optional<Got> ReceiveBy(Channel& subscriber) {
    Got got;
    const absl::StatusOr<MessageInfo> info = subscriber.Receive(&got.bytes, Deadline::None());
    if (!info.ok()) {
      EXPECT_EQ(info.status().code(), StatusCode::kDeadlineExceeded) << info.status();
      return std::nullopt;
    }
    got.info = *info;
    return got;
  }
  // All that the subscriber has not seen: messages with consecutive numbers, the gaps told. Returns
  // the next number.
  uint64_t ReceiveRest(Channel& subscriber, uint64_t next, size_t size, uint64_t* missed) {
    while (std::optional<Got> got = ReceiveBy(subscriber)) {
      *missed += got->info.missed;
      next += got->info.missed;
      EXPECT_EQ(got->bytes, MessageOf(next, size));
      ++next;
      if (HasFailure()) break;
    }
    return next;
  }
  // Sends until all that was there before is overwritten.
  void SendRoundOnce(size_t size = 3000) {
    const uint64_t count = 2 * kSmallBytes / size + 2;
    for (uint64_t i = 0; i < count; ++i) {
      const absl::Status sent = channel_->Send(MessageOf(i, size), Deadline::Never()).status();
      ASSERT_TRUE(sent.ok()) << sent;
    }
  }
  bool is_broadcast() const { return !is_queue(); }

  static constexpr uint64_t kSmallBytes = 1 << 20;
};
INSTANTIATE_FOR_ALL_CHANNELS(ChannelBroadcast);

TEST_P(ChannelBroadcast, EverySubscriberGetsEveryMessageAtItsOwnPace) {
  Make();
  REQUIRE_OF_CHANNEL(is_broadcast());
  std::unique_ptr<Channel> quick = Subscribe(), slow = Subscribe();
  std::vector<uint64_t> next = {0, 0};
  uint64_t missed = 0;
  for (uint64_t number = 0; number < 300; ++number) {
    const size_t size = 40;
    Send(MessageOf(number, size));
    next[0] = ReceiveRest(*quick, next[0], size, &missed);
    ASSERT_EQ(next[0], number + 1);
  }
  next[1] = ReceiveRest(*slow, next[1], 40, &missed);
  EXPECT_EQ(next[1], 300u);
  EXPECT_EQ(missed, 0u) << "there was room for all";
  ExpectSoundAccount();
}

TEST_P(ChannelBroadcast, NumbersAreConsecutiveWhoeverSends) {
  Make();
  REQUIRE_OF_CHANNEL(is_broadcast());
  std::unique_ptr<Channel> other = Attach(MemberRole::kSender), subscriber = Subscribe();
  const Sequence before = subscriber->began_after();
  for (uint64_t i = 1; i <= 100; ++i) {
    Channel& sender = i % 3 == 0 ? *other : *channel_;
    EXPECT_EQ(sender.Send("", Deadline::None()).value(), before + i);
  }
  for (uint64_t i = 1; i <= 100; ++i) EXPECT_EQ(ReceiveBy(*subscriber)->info.sequence, before + i);
}

TEST_P(ChannelBroadcast, ALappedSubscriberIsToldExactlyHowManyItMissed) {
  for (const size_t size : {0ul, 40ul, 3000ul, 100'000ul}) {
    Make(kSmallBytes);
    REQUIRE_OF_CHANNEL(is_broadcast());
    std::mt19937_64 random(TestSeed());
    uint64_t sent = 0, next = 0, missed = 0;
    // The pauses are of none to many laps.
    const uint64_t lap = kSmallBytes / std::max<size_t>(size, 128);
    for (int pause = 0; pause < 12; ++pause) {
      for (uint64_t i = random() % (3 * lap) + 1; i > 0; --i) {
        ASSERT_TRUE(channel_->Send(MessageOf(sent++, size), Deadline::Never()).ok());
      }
      next = ReceiveRest(*channel_, next, size, &missed);
      ASSERT_EQ(next, sent) << "a message is neither received nor counted";
    }
    EXPECT_GT(missed, lap) << "the premise: it was lapped";
    EXPECT_LT(missed, sent);
    ExpectSoundAccount();
  }
}

TEST_P(ChannelBroadcast, WhoComesLateBeginsWhereItIsTold) {
  Make(kSmallBytes);
  REQUIRE_OF_CHANNEL(is_broadcast());
  EXPECT_EQ(Subscribe(Start::kNext)->began_after(), 0u);
  EXPECT_EQ(Subscribe(Start::kOldest)->began_after(), 0u);
  SendNumbers(0, 10);
  std::unique_ptr<Channel> next = Subscribe(Start::kNext), oldest = Subscribe(Start::kOldest);
  EXPECT_EQ(next->began_after(), 10u);
  EXPECT_EQ(oldest->began_after(), 0u);
  EXPECT_FALSE(ReceiveBy(*next).has_value()) << "it was sent before it came";
  uint64_t missed = 0;
  EXPECT_EQ(ReceiveRest(*oldest, 0, 40, &missed), 10u);
  Send("for both");
  EXPECT_EQ(ReceiveBy(*next)->bytes, "for both");
  EXPECT_EQ(ReceiveBy(*oldest)->bytes, "for both");
  SendRoundOnce();
  const uint64_t all = channel_->Send("the last", Deadline::None()).value();
  oldest = Subscribe(Start::kOldest);
  EXPECT_GT(oldest->began_after(), 11u) << "what is gone is not there";
  EXPECT_LT(oldest->began_after(), all - 10);
  const Got first = *ReceiveBy(*oldest);
  EXPECT_EQ(first.info.sequence, oldest->began_after() + 1);
  EXPECT_EQ(first.info.missed, 0u) << "what went before it came is not missed";
  EXPECT_EQ(missed, 0u);
}

TEST_P(ChannelBroadcast, WhatIsMissedCountsFromWhereItBegan) {
  Make(kSmallBytes);
  REQUIRE_OF_CHANNEL(is_broadcast());
  SendNumbers(0, 10);
  for (const Start start : {Start::kNext, Start::kOldest}) {
    std::unique_ptr<Channel> late = Subscribe(start);
    SendRoundOnce();
    const Got first = *ReceiveBy(*late);
    EXPECT_GT(first.info.missed, 0u);
    EXPECT_EQ(first.info.sequence, late->began_after() + first.info.missed + 1);
  }
}

TEST_P(ChannelBroadcast, APinnedMessageStaysAsItIsThoughTheRingGoesRound) {
  Make(kSmallBytes);
  REQUIRE_OF_CHANNEL(is_broadcast() && traits().has_take);
  for (const size_t size : {0ul, 40ul, 3000ul, 100'000ul, 300'000ul}) {
    Send(MessageOf(7, size));
    std::unique_ptr<Channel> other = Subscribe(Start::kOldest);
    while (ReceiveBy(*other).has_value()) {
    }
    // What others sent before comes first.
    TakenMessage pinned = Take(*channel_);
    while (!HasFailure() && pinned.bytes() != MessageOf(7, size)) pinned = Take(*channel_);
    if (HasFailure()) return;
    for (int round = 0; round < 3; ++round) {
      SendRoundOnce(1000);
      SendRoundOnce(30'000);
      ASSERT_EQ(pinned.bytes(), MessageOf(7, size)) << size;
    }
    EXPECT_GT(ReceiveBy(*other)->info.missed, 0u) << "the premise: the ring went round";
    EXPECT_GT(ExpectSoundAccount().held.blocks, 0u);
    ASSERT_TRUE(channel_->Acknowledge(std::move(pinned)).ok());
    EXPECT_EQ(ExpectSoundAccount().held.blocks, 0u);
    while (ReceiveBy(*channel_).has_value()) {
    }
  }
}

TEST_P(ChannelBroadcast, WhatIsReturnedComesAgainToThisSubscriberOrCountsAsMissed) {
  Make(kSmallBytes);
  REQUIRE_OF_CHANNEL(is_broadcast() && traits().has_take);
  std::unique_ptr<Channel> other = Subscribe();
  SendNumbers(0, 5);
  TakenMessage zero = Take(*channel_), one = Take(*channel_), two = Take(*channel_);
  ASSERT_TRUE(channel_->Return(std::move(two)).ok());
  { const TakenMessage dropped = std::move(zero); }  // returns it
  EXPECT_EQ(channel_->Look()->taken, 1u);
  EXPECT_EQ(channel_->Look()->waiting, 4u);
  for (const uint64_t number : {0u, 2u, 3u, 4u}) {
    MessageInfo info;
    EXPECT_EQ(Receive(&info), MessageOf(number, 40));
    EXPECT_EQ(info.redelivered, number < 3) << number;
    EXPECT_EQ(info.missed, 0u);
  }
  ExpectEmpty();
  for (uint64_t number = 0; number < 5; ++number) {
    const Got got = *ReceiveBy(*other);
    EXPECT_EQ(got.bytes, MessageOf(number, 40));
    EXPECT_FALSE(got.info.redelivered) << "another one's return is not its concern";
  }
  ASSERT_TRUE(channel_->Return(std::move(one)).ok());
  SendRoundOnce();
  MessageInfo info;
  Receive(&info);
  EXPECT_FALSE(info.redelivered);
  EXPECT_EQ(info.missed, info.sequence - 5 - 1 + 1) << "those sent since, and the one returned";
}

TEST_P(ChannelBroadcast, WhatOneSubscriberMayPinIsBoundedAndNeverStopsASender) {
  for (const size_t size : {40ul, 3000ul, 20'000ul}) {
    Make(kSmallBytes, 4);
    REQUIRE_OF_CHANNEL(is_broadcast() && traits().has_take);
    std::vector<std::unique_ptr<Channel>> subscribers;
    for (int i = 0; i < 3; ++i) subscribers.push_back(Subscribe());
    std::vector<std::pair<TakenMessage, std::string>> pinned;
    uint64_t refused = 0;
    for (uint64_t number = 0; number < 4000; ++number) {
      const absl::Status sent = channel_->Send(MessageOf(number, size), Deadline::Never()).status();
      ASSERT_TRUE(sent.ok()) << "message " << number << " of " << size << ": " << sent;
      for (size_t i = 0; i < subscribers.size(); ++i) {
        const std::unique_ptr<Channel>& subscriber = subscribers[i];
        // Each pins others: together they would fill the channel.
        absl::StatusOr<TakenMessage> taken = absl::ResourceExhaustedError("not its turn");
        if (number % subscribers.size() == i) taken = subscriber->Take(Deadline::None());
        if (taken.ok()) {
          std::string bytes(taken->bytes());
          pinned.emplace_back(*std::move(taken), std::move(bytes));
          continue;
        }
        ASSERT_EQ(taken.status().code(), StatusCode::kResourceExhausted) << taken.status();
        ++refused;
        std::string message;
        ASSERT_TRUE(subscriber->Receive(&message, Deadline::None()).ok()) << "it needs no pin";
        ASSERT_EQ(message, MessageOf(number, size));
      }
    }
    EXPECT_GT(refused, 3 * 4000 - 300u) << "nobody was refused";
    EXPECT_GE(pinned.size(), 3u) << "each may pin one message";
    for (const auto& [message, bytes] : pinned) ASSERT_EQ(message.bytes(), bytes);
    ExpectSoundAccount();
    // Who lets go may pin again.
    pinned.clear();
    Send("another");
    for (const std::unique_ptr<Channel>& subscriber : subscribers) {
      EXPECT_TRUE(subscriber->Take(Deadline::None()).ok());
    }
  }
}

TEST_P(ChannelBroadcast, ASendIsRefusedAtOnceWherePinsOfTheLivingLeaveNoRoom) {
  Make(kSmallBytes, 4);
  REQUIRE_OF_CHANNEL(is_broadcast() && traits().has_take);
  const size_t size = channel_->max_message_bytes() / 2;
  std::vector<std::unique_ptr<Channel>> subscribers;
  std::vector<TakenMessage> pinned;
  absl::Status refused;
  for (uint64_t number = 0; number < 4 && refused.ok(); ++number) {
    subscribers.push_back(number < 3 ? Subscribe() : nullptr);
    refused = channel_->Send(MessageOf(number, size), Deadline::Never()).status();
    if (refused.ok() && subscribers.back() != nullptr) {
      pinned.push_back(Take(*subscribers.back()));
    }
  }
  for (uint64_t number = 0; number < 1000 && refused.ok(); ++number) {
    refused = channel_->Send(MessageOf(number, 2 * size), Deadline::Never()).status();
  }
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted) << refused;
  Send("what is smaller finds room");
  pinned.clear();
  EXPECT_TRUE(channel_->Send(MessageOf(1, 2 * size), Deadline::None()).ok());
  ExpectSoundAccount();
}

TEST_P(ChannelBroadcast, TheEndComesToEachSubscriberWhenItHasReadAll) {
  Make();
  REQUIRE_OF_CHANNEL(is_broadcast());
  std::unique_ptr<Channel> other = Subscribe();
  SendNumbers(0, 2);
  ASSERT_TRUE(channel_->Close().ok());
  EXPECT_EQ(channel_->Send("late", Deadline::Never()).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(Receive(), MessageOf(0, 40));
  TakenMessage last = Take(*channel_);
  EXPECT_EQ(channel_->Take(Deadline::Never()).status().code(), StatusCode::kOutOfRange);
  ASSERT_TRUE(channel_->Return(std::move(last)).ok());
  EXPECT_EQ(Receive(), MessageOf(1, 40));
  std::string message;
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(other->Receive(&message, Deadline::None()).ok());
  EXPECT_EQ(other->Receive(&message, Deadline::Never()).status().code(), StatusCode::kOutOfRange);
  std::unique_ptr<Channel> late = Subscribe();
  EXPECT_EQ(late->Receive(&message, Deadline::Never()).status().code(), StatusCode::kOutOfRange);
  late = Subscribe(Start::kOldest);
  EXPECT_TRUE(late->Receive(&message, Deadline::None()).ok());
}

TEST_P(ChannelBroadcast, ADeadSubscribersPinsAreRoomAgain) {
  Make(kSmallBytes, 4);
  REQUIRE_OF_CHANNEL(is_broadcast() && traits().has_take);
  const size_t size = channel_->max_message_bytes() / 2;
  const AuditReport before = ExpectSoundAccount();
  std::unique_ptr<Channel> subscriber = Subscribe();
  for (int round = 0; round < 20; ++round) {
    // Three of half of the largest: there is no room for the largest beside them.
    std::vector<Child> victims;
    for (int i = 0; i < 2; ++i) {
      victims.push_back(Victim([&](Channel& channel) {
        static absl::StatusOr<TakenMessage> taken = absl::UnknownError("none");
        CHILD_REQUIRE(channel.Send(MessageOf(1, size), Deadline::None()).ok());
        taken = channel.Take(Deadline::None());
        CHILD_REQUIRE(taken.ok());
        return 0;
      }));
    }
    for (Child& victim : victims) victim.KillAndReap();
    // The sender recovers by itself where it needs the room.
    for (int i = 0; i < 5; ++i) {
      const absl::Status sent = channel_->Send(MessageOf(2, 2 * size), Deadline::None()).status();
      ASSERT_TRUE(sent.ok()) << sent << " in round " << round;
    }
  }
  ASSERT_TRUE(channel_->Recover().ok());
  EXPECT_EQ(ExpectSoundAccount().held.blocks, before.held.blocks);
  EXPECT_EQ(ExpectSoundAccount().participants, 2u);
  // Nothing of what the dead had, or had not read, comes to others.
  uint64_t got = 0, missed = 0;
  for (; std::optional<Got> one = ReceiveBy(*subscriber); ++got) {
    missed += one->info.missed;
    EXPECT_FALSE(one->info.redelivered);
  }
  EXPECT_EQ(got + missed, 20u * 7);
}

TEST_P(ChannelBroadcast, ASenderThatDiesInAMessageLeavesNothing) {
  Make();
  REQUIRE_OF_CHANNEL(is_broadcast() && traits().has_draft);
  const AuditReport before = ExpectSoundAccount();
  uint64_t sent = 0;
  for (const size_t size : {0ul, 40ul, 5000ul, 1ul << 20}) {
    VictimWithDrafts(2, size).KillAndReap();
    ASSERT_EQ(channel_->Recover()->participants, 1u);
    const Got got = *ReceiveBy(*channel_);
    EXPECT_EQ(got.bytes, kSentBeforeDeath);
    EXPECT_EQ(got.info.sequence, ++sent) << "a draft takes no number";
    EXPECT_FALSE(ReceiveBy(*channel_).has_value());
    EXPECT_EQ(ExpectSoundAccount().held.blocks, before.held.blocks);
  }
}

// Two senders are killed anywhere, again and again, while a subscriber reads and another one is
// lapped: each sees each sender's messages in order, nothing twice, and all gaps are told.
TEST_P(ChannelBroadcast, SendersKilledAnywhereLeaveOneOrderWithoutUntoldGaps) {
  Make(kSmallBytes);
  REQUIRE_OF_CHANNEL(is_broadcast());
  std::unique_ptr<Channel> lapped = Subscribe();
  std::mt19937_64 random(TestSeed());
  uint64_t last[2] = {0, 0};
  Sequence sequence = 0, lapped_sequence = 0;
  uint64_t next[2] = {1, 1}, got_all = 0, missed_all = 0;
  for (int round = 0; round < 60; ++round) {
    struct Progress {
      std::atomic<uint32_t> members;
      std::atomic<uint64_t> begun[2];
    };
    Shared<Progress> progress;
    {
      std::vector<Child> children = ReadyChildren(2, [&](Line& parent) {
        auto channel = design().Attach(segment_, {.role = MemberRole::kSender});
        CHILD_REQUIRE(channel.ok());
        const uint32_t me = progress->members.fetch_add(1);
        parent.Tell();
        for (uint64_t number = next[me];; ++number) {
          progress->begun[me].store(number);
          const std::string bytes =
              absl::StrCat(me, " ", number, " ", MessageOf(number, number % 700));
          CHILD_REQUIRE((*channel)->Send(bytes, Deadline::Never()).ok());
        }
      });
      ASSERT_TRUE(KillAllAfter(children, random() % 3000));
    }
    ASSERT_TRUE(channel_->Recover().ok());
    ExpectSoundAccount();
    const auto read = [&](Channel& subscriber, Sequence* at, bool checks_order) {
      while (std::optional<Got> got = ReceiveBy(subscriber)) {
        ASSERT_EQ(got->info.sequence, *at + got->info.missed + 1);
        *at = got->info.sequence;
        uint32_t sender = 9;
        uint64_t number = 0;
        ASSERT_EQ(std::sscanf(got->bytes.c_str(), "%u %lu", &sender, &number), 2);
        ASSERT_LT(sender, 2u);
        ASSERT_EQ(got->bytes,
                  absl::StrCat(sender, " ", number, " ", MessageOf(number, number % 700)));
        if (!checks_order) continue;
        ++got_all;
        missed_all += got->info.missed;
        ASSERT_GT(number, last[sender]) << "twice, or out of order";
        last[sender] = number;
      }
    };
    read(*channel_, &sequence, true);
    if (round % 10 == 9) read(*lapped, &lapped_sequence, false);
    if (HasFatalFailure()) return;
    for (int i = 0; i < 2; ++i) next[i] = std::max(next[i], progress->begun[i].load() + 1);
  }
  EXPECT_EQ(lapped_sequence, sequence);
  EXPECT_GT(got_all, 1000u) << "vacuous";
  EXPECT_EQ(got_all + missed_all, sequence);
}

}  // namespace
}  // namespace kill9

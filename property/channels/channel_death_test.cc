// Conformance of channels: members that really die by SIGKILL.
#include "property/channels/channel_conformance.h"
#include "property/scaffold/asleep.h"

namespace kill9 {
namespace {

using absl::StatusCode;

class ChannelDeath : public ChannelConformance {
 protected:
  // A process that attaches, says so, and then calls; its exit status is the call's code.
  Child Waiter(absl::FunctionRef<absl::Status(Channel&)> call, MemberRole role) {
    Child child([&](Line& parent) {
      auto channel = design().Attach(segment_, {.role = role});
      CHILD_REQUIRE(channel.ok());
      parent.Tell();
      return 100 + static_cast<int>(call(**channel).code());
    });
    EXPECT_TRUE(child.Await()) << "the waiter did not come so far";
    return child;
  }
};
INSTANTIATE_FOR_ALL_CHANNELS(ChannelDeath);

TEST_P(ChannelDeath, WhatADeadReceiverHeldComesAgainInItsOldPlaceAndMarked) {
  Make();
  REQUIRE_OF_CHANNEL(traits().acknowledges && is_queue());
  for (const size_t size : {0ul, 40ul, 5000ul, 100'000ul}) {
    SendNumbers(0, 6, size);
    Child victim = Victim([&](Channel& channel) {
      static std::vector<TakenMessage> held;
      for (int i = 0; i < 3; ++i) {
        absl::StatusOr<TakenMessage> taken = channel.Take(Deadline::None());
        CHILD_REQUIRE(taken.ok());
        held.push_back(*std::move(taken));
      }
      CHILD_REQUIRE(channel.Acknowledge(std::move(held[1])).ok());
      return 0;
    });
    // While it lives, recovery takes nothing from it.
    EXPECT_EQ(channel_->Recover()->blocks, 0u);
    EXPECT_EQ(Receive(), MessageOf(3, size));
    victim.KillAndReap();
    const absl::StatusOr<RecoveryReport> report = channel_->Recover();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->participants, 1u);
    for (const uint64_t number : {0u, 2u, 4u, 5u}) {
      MessageInfo info;
      EXPECT_EQ(Receive(&info), MessageOf(number, size));
      EXPECT_EQ(info.redelivered, number < 3) << number;
    }
    ExpectEmpty();
    const AuditReport audit = ExpectSoundAccount();
    EXPECT_EQ(audit.entries, 0u);
    EXPECT_EQ(audit.participants, 1u);
    const absl::StatusOr<RecoveryReport> again = channel_->Recover();
    EXPECT_EQ(again->participants + again->blocks, 0u) << "recovery is not idempotent";
  }
}

TEST_P(ChannelDeath, ACallThatWouldWaitFindsWhatADeadReceiverHeld) {
  Make();
  REQUIRE_OF_CHANNEL(traits().acknowledges && is_queue());
  SendNumbers(0, 20);
  Victim([](Channel& channel) {
    static absl::StatusOr<MessageBatch> batch = channel.Drain(Channel::kAll, Deadline::None());
    CHILD_REQUIRE(batch.ok() && batch->size() == 20);
    return 0;
  }).KillAndReap();
  for (uint64_t number = 0; number < 20; ++number) {
    MessageInfo info;
    EXPECT_EQ(Receive(&info), MessageOf(number, 40));
    EXPECT_TRUE(info.redelivered);
  }
  ExpectEmpty();
}

TEST_P(ChannelDeath, ADeadSendersDraftLeavesNothingAndWhatItSentArrives) {
  Make();
  REQUIRE_OF_CHANNEL(traits().has_draft);
  const AuditReport before = ExpectSoundAccount();
  for (const size_t size : {0ul, 40ul, 5000ul, 1ul << 20}) {
    VictimWithDrafts(3, size).KillAndReap();
    EXPECT_EQ(channel_->Recover()->participants, 1u);
    EXPECT_EQ(Receive(), kSentBeforeDeath);
    ExpectEmpty();
    EXPECT_EQ(ExpectSoundAccount().held.blocks, before.held.blocks);
  }
}

TEST_P(ChannelDeath, ASleepingReceiverGetsWhatADeadOneHeld) {
  Make();
  REQUIRE_OF_CHANNEL(traits().acknowledges && is_queue());
  SendNumbers(0, 1);
  Child holder = Victim([](Channel& channel) {
    static absl::StatusOr<TakenMessage> taken = channel.Take(Deadline::None());
    CHILD_REQUIRE(taken.ok());
    return 0;
  });
  Child waiter = Waiter(
      [](Channel& channel) {
        const absl::StatusOr<TakenMessage> taken = channel.Take(Deadline::Never());
        if (!taken.ok()) return taken.status();
        return taken->info().redelivered ? absl::OkStatus() : absl::InternalError("not marked");
      },
      MemberRole::kReceiver);
  ASSERT_TRUE(IsAtRest(waiter.pid()));
  holder.KillAndReap();
  EXPECT_EQ(waiter.ExitStatus(), 100);
}

TEST_P(ChannelDeath, ASleepingReceiverIsToldThatTheLastSenderDied) {
  Make();
  channel_ = nullptr;
  Child sender = Victim([](Channel&) { return 0; }, MemberRole::kSender);
  Child waiter = Waiter([](Channel& channel) { return channel.Take(Deadline::Never()).status(); },
                        MemberRole::kReceiver);
  ASSERT_TRUE(IsAtRest(waiter.pid()));
  sender.KillAndReap();
  EXPECT_EQ(waiter.ExitStatus(), 100 + static_cast<int>(StatusCode::kUnavailable));
}

TEST_P(ChannelDeath, ASleepingSenderIsToldThatTheLastReceiverDied) {
  Make(1 << 20);
  REQUIRE_OF_CHANNEL(traits().when_full == ChannelTraits::WhenFull::kWait);
  Fill(3000);
  channel_ = nullptr;
  Child receiver = Victim([](Channel&) { return 0; }, MemberRole::kReceiver);
  Child waiter = Waiter(
      [](Channel& channel) {
        return channel.Send(std::string(3000, 'x'), Deadline::Never()).status();
      },
      MemberRole::kSender);
  ASSERT_TRUE(IsAtRest(waiter.pid()));
  receiver.KillAndReap();
  EXPECT_EQ(waiter.ExitStatus(), 100 + static_cast<int>(StatusCode::kUnavailable));
}

TEST_P(ChannelDeath, WhoWaitsIsToldOfTheClose) {
  Make(1 << 20);
  Child receiver = Waiter([](Channel& channel) { return channel.Take(Deadline::Never()).status(); },
                          MemberRole::kReceiver);
  ASSERT_TRUE(IsAtRest(receiver.pid()));
  ASSERT_TRUE(channel_->Close().ok());
  EXPECT_EQ(receiver.ExitStatus(), 100 + static_cast<int>(StatusCode::kOutOfRange));
}

TEST_P(ChannelDeath, ASleeperThatDiesSwallowsNoWakeUp) {
  Make();
  for (int round = 0; round < 10; ++round) {
    std::vector<Child> sleepers;
    for (int i = 0; i < 4; ++i) {
      sleepers.push_back(Waiter(
          [](Channel& channel) {
            std::string message;
            return channel.Receive(&message, Deadline::Never()).status();
          },
          MemberRole::kReceiver));
    }
    for (const Child& sleeper : sleepers) ASSERT_TRUE(IsAtRest(sleeper.pid()));
    // Three of the four die at about the time of the wake-up; the message is for the fourth.
    for (int i = 0; i < 3; ++i) sleepers[static_cast<size_t>(i)].Signal(SIGSTOP);
    for (int i = 0; i < 3; ++i) sleepers[static_cast<size_t>(i)].AwaitStopped();
    Send("for whoever lives");
    for (int i = 0; i < 3; ++i) sleepers[static_cast<size_t>(i)].Signal(SIGKILL);
    EXPECT_EQ(sleepers[3].ExitStatus(), 100);
    sleepers.clear();
    channel_->Recover().IgnoreError();
    if (!is_queue()) {
      EXPECT_EQ(Receive(), "for whoever lives") << "it is a subscriber as well";
    }
    ExpectEmpty();
  }
}

// A channel of each design, whose silence is waited for once.
TEST(ChannelsAtRest, NobodyWakesUpInASilentChannel) {
  std::vector<Child> sleepers;
  for (const ChannelDesign* design : SoundChannels()) {
    SegmentOptions options;
    options.size_bytes = 8 << 20;
    options.hash_seed = TestSeed();
    const absl::StatusOr<std::shared_ptr<Segment>> segment = design->Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    sleepers.emplace_back([&](Line& parent) {
      auto channel = design->Attach(*segment, {.role = MemberRole::kReceiver});
      CHILD_REQUIRE(channel.ok());
      parent.Tell();
      return (*channel)->Take(Deadline::Never()).ok() ? 0 : 1;
    });
    ASSERT_TRUE(sleepers.back().Await());
  }
  ASSERT_GE(sleepers.size(), 4u);
  // Its own attaching is news: it looks again for two seconds, at last after one.
  constexpr uint64_t kLongerThanALookUs = 1'500'000;
  const auto all = [&sleepers] {
    std::vector<uint64_t> times;
    // Who has no CPU has not come to sleep yet.
    for (const Child& sleeper : sleepers) {
      EXPECT_TRUE(Eventually([&sleeper] { return Sleeps(sleeper.pid()); }));
      times.push_back(TimesOffTheCpu(sleeper.pid()));
    }
    return times;
  };
  constexpr int kLooks = 20;
  std::vector<uint64_t> before, after = all();
  for (int look = 0; look < kLooks && after != before; ++look) {
    before = after;
    SleepMicroseconds(kLongerThanALookUs);
    after = all();
  }
  EXPECT_EQ(after, before) << "it polls";
}

TEST_P(ChannelDeath, ADeadlinePassesWithoutAMessage) {
  Make();
  const Deadline soon = Deadline::After(std::chrono::milliseconds(30));
  EXPECT_EQ(channel_->Take(soon).status().code(), StatusCode::kDeadlineExceeded);
  Send("late");
  EXPECT_TRUE(channel_->Take(soon).ok());
}

TEST_P(ChannelDeath, TheFileGrowsUnderWhoHasMappedItBefore) {
  Make(32 << 20);
  REQUIRE_OF_CHANNEL(traits().grows);
  const uint64_t before = segment_->file_bytes().value();
  ASSERT_LT(before, segment_->size());
  // Another process makes the file longer; this one reads what lies there.
  Victim([](Channel& channel) {
    for (uint64_t number = 0; number < 200; ++number) {
      CHILD_REQUIRE(channel.Send(MessageOf(number, 100'000), Deadline::None()).ok());
    }
    return 0;
  }).KillAndReap();
  EXPECT_GT(segment_->file_bytes().value(), before);
  for (uint64_t number = 0; number < 200; ++number) {
    ASSERT_EQ(Receive(), MessageOf(number, 100'000));
  }
  ExpectSoundAccount();
}

TEST_P(ChannelDeath, KilledAnywhereNothingIsLostAndNothingComesTwice) {
  Make(2 << 20);
  REQUIRE_OF_CHANNEL(traits().acknowledges && is_queue());
  struct Progress {
    std::atomic<uint32_t> members;  // the first sends, the second receives
    std::atomic<uint64_t> begun;    // sends: the next number
    std::atomic<uint64_t> done;
    std::atomic<uint64_t> acknowledged;  // of one number or another; each is acknowledged in order
  };
  std::mt19937_64 random(TestSeed());
  uint64_t next = 0;
  for (int round = 0; round < 60; ++round) {
    Shared<Progress> progress;
    {
      std::vector<Child> children = ReadyChildren(2, [&](Line& parent) {
        auto channel = design().Attach(segment_, {});
        CHILD_REQUIRE(channel.ok());
        const bool sends = progress->members.fetch_add(1) == 0;
        parent.Tell();
        for (uint64_t number = next;; ++number) {
          if (sends) {
            progress->begun.store(number + 1);
            CHILD_REQUIRE(
                (*channel)->Send(MessageOf(number, number * 37 % 9000), Deadline::Never()).ok());
            progress->done.store(number + 1);
          } else {
            absl::StatusOr<TakenMessage> taken = (*channel)->Take(Deadline::Never());
            if (absl::IsUnavailable(taken.status())) continue;
            CHILD_REQUIRE(taken.ok());
            CHILD_REQUIRE((*channel)->Acknowledge(*std::move(taken)).ok());
            progress->acknowledged.fetch_add(1);
          }
        }
      });
      ASSERT_TRUE(KillAllAfter(children, random() % 3000));
    }
    ASSERT_TRUE(channel_->Recover().ok());
    ExpectSoundAccount();
    // What is left is the end of what was sent, without a gap.
    std::string message;
    std::vector<std::string> left;
    while (channel_->Receive(&message, Deadline::None()).ok()) left.push_back(message);
    const uint64_t done = std::max(next, progress->done.load());
    const uint64_t begun = progress->begun.load();
    // One send may have been cut off after it was done: its message is the last that is left, or,
    // if none is, may be gone.
    uint64_t end = done;
    const bool cut_off_is_left =
        !left.empty() && begun > done && left.back() == MessageOf(done, done * 37 % 9000);
    const bool cut_off_is_gone = left.empty() && progress->acknowledged.load() > done - next;
    if (cut_off_is_left || (cut_off_is_gone && begun > done)) end = done + 1;
    ASSERT_LE(left.size(), end - next) << "round " << round;
    const uint64_t first = end - left.size();
    for (uint64_t i = 0; i < left.size(); ++i) {
      ASSERT_TRUE(left[i] == MessageOf(first + i, (first + i) * 37 % 9000))
          << left[i].substr(0, 20) << " instead of " << first + i << " in round " << round;
    }
    // One acknowledgement more may have been cut off.
    const uint64_t gone = first - next;
    ASSERT_GE(gone, progress->acknowledged.load());
    ASSERT_LE(gone, progress->acknowledged.load() + 1);
    next = end + 1;
  }
}

}  // namespace
}  // namespace kill9

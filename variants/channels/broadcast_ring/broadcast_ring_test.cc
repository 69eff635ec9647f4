// What is peculiar to broadcast_ring: laps, chunks that are pinned or half freed, hints, the share
// of one subscriber, and segments whose words are wrong.
#include <atomic>
#include <bit>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/stepper/stepper.h"
#include "property/scaffold/children.h"
#include "property/scaffold/chunk_channel_test.h"
#include "property/scaffold/stepped_child.h"
#include "variants/channels/broadcast_ring/member.h"

namespace kill9::broadcast_ring {
namespace {

using absl::StatusCode;

struct Design {
  static auto CreateSegment(const SegmentOptions& options) {
    return broadcast_ring::CreateSegment(options);
  }
  static auto AttachMember(const std::shared_ptr<Segment>& segment, const Membership& membership) {
    return broadcast_ring::AttachMember(segment, membership);
  }
  static auto CheckParameters(const Segment& segment) {
    return broadcast_ring::CheckParameters(segment);
  }
};

class BroadcastRingTest : public ChunkChannelTest<Design> {
 protected:
  uint64_t parameter(chunks::RingParameter number) const {
    return segment_->header().parameters[number];
  }
  uint64_t granules() const {
    return parameter(kChunkCount) * parameter(kChunkBytes) / kGranuleBytes;
  }
  const Chunk& chunk(uint64_t number) const {
    return reinterpret_cast<const Chunk*>(segment_->base() + parameter(kChunksOffset))[number];
  }
  // Whether a span has lost some of its bodies, and not its head.
  bool IsASpanHalfFreed() const {
    for (uint64_t head = 0; head < parameter(kChunkCount); ++head) {
      const uint64_t span = chunk(head).span.load(std::memory_order_relaxed);
      if (span < 2 || head + span > parameter(kChunkCount)) continue;
      const auto is_body = [&](uint64_t at) {
        return chunks::ChunkWord{chunk(head + at).word.load(std::memory_order_relaxed)}.IsBodyOf(
            static_cast<uint32_t>(head));
      };
      if (is_body(1) && !is_body(span - 1)) return true;
    }
    return false;
  }
  std::string message_;

  // By a member that comes and goes: what it knew of chunks goes with it.
  void GoRoundByAnother() {
    std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
    for (uint64_t i = 0; i < 2 * granules(); ++i) {
      ASSERT_TRUE(sender->Send("", Deadline::None()).ok());
    }
  }

  // Receives all; what the next number is.
  Sequence ReceiveAll(Channel& subscriber, Sequence last) {
    std::string message;
    for (;;) {
      const absl::StatusOr<MessageInfo> info = subscriber.Receive(&message, Deadline::None());
      if (!info.ok()) return last;
      EXPECT_EQ(info->sequence, last + info->missed + 1);
      last = info->sequence;
    }
  }
};

TEST_F(BroadcastRingTest, AsManyMessagesAreThereAsThereAreGranulesOrNearly) {
  std::unique_ptr<Channel> oldest;
  for (uint64_t i = 0; i < 3 * granules(); ++i) Send("");
  oldest = *broadcast_ring::AttachMember(
      segment_, {.role = MemberRole::kReceiver, .start = Membership::Start::kOldest});
  const uint64_t there = 3 * granules() - oldest->began_after();
  EXPECT_LE(there, granules());
  EXPECT_GE(there, granules() - 2 * parameter(kChunkBytes) / kGranuleBytes) << "a chunk or two";
  EXPECT_EQ(ExpectSound().entries, there);
}

// Where the granules are a power of two a message may be in each: the tail's slot is Gone all the
// same (B3).
TEST_F(BroadcastRingTest, ARingWithAMessageInEachGranuleIsSound) {
  int tried = 0;
  for (uint64_t size_bytes = 64 << 10; size_bytes < 512 << 10; size_bytes += 1024) {
    Make(size_bytes);
    if (!std::has_single_bit(granules())) continue;
    ++tried;
    for (uint64_t sent = 0; sent < 2 * granules(); ++sent) {
      Send("");
      while (channel_->Receive(&message_, Deadline::None()).ok()) {
      }
      ASSERT_EQ(channel_->Receive(&message_, Deadline::None()).status().code(),
                StatusCode::kDeadlineExceeded);
    }
    ExpectSound();
  }
  EXPECT_GE(tried, 2) << "the premise";
}

TEST_F(BroadcastRingTest, AnotherSendersChunksAreUsedAgainWhenItIsGone) {
  for (int round = 0; round < 20; ++round) {
    std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
    for (uint64_t i = 0; i < granules() / 5; ++i) {
      ASSERT_TRUE(sender->Send(std::string(100, 's'), Deadline::None()).ok());
    }
  }
  const AuditReport audit = ExpectSound();
  EXPECT_GT(audit.entries, granules() * 8 / 10) << "there is room that nobody uses";
}

// What was pinned when its messages went is found again, though its sender is gone.
TEST_F(BroadcastRingTest, ChunksThatWerePinnedAreUsedAgainLater) {
  const uint64_t rounds = parameter(kChunkCount) * 6 / 10;  // one chunk each
  for (uint64_t round = 0; round < rounds; ++round) {
    std::unique_ptr<Channel> subscriber = Attach(MemberRole::kReceiver);
    std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
    ASSERT_TRUE(sender->Send(std::string(100, 'p'), Deadline::None()).ok());
    absl::StatusOr<TakenMessage> pinned = subscriber->Take(Deadline::None());
    ASSERT_TRUE(pinned.ok()) << pinned.status();
    sender = nullptr;
    GoRoundByAnother();
    ASSERT_GT(ExpectSound().held.blocks, 0u) << "the premise: a chunk was passed by";
    ASSERT_EQ(pinned->bytes(), std::string(100, 'p'));
  }
  GoRoundByAnother();
  EXPECT_GT(ExpectSound().entries, granules() * 8 / 10) << "there is room that nobody uses";
}

TEST_F(BroadcastRingTest, WhoDiesWhileASpanIsFreedLeavesASoundSegment) {
  if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) GTEST_SKIP() << why;
  const size_t size = 3 * parameter(kChunkBytes) - 100;
  for (uint64_t i = 0; i < parameter(kChunkCount); ++i) Send(std::string(size, 'l'));
  SteppedChild victim([&] {
    std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
    return sender->Reserve(2 * size, Deadline::None()).ok() ? 0 : 1;
  });
  ASSERT_TRUE(victim.StepUntil([this] { return IsASpanHalfFreed(); }))
      << "the premise: it frees a span";
  victim.Kill();
  ASSERT_EQ(channel_->Recover()->participants, 1u);
  ExpectSound();
  for (uint64_t i = 0; i < parameter(kChunkCount); ++i) Send(std::string(size, 'n'));
  ExpectSound();
}

TEST_F(BroadcastRingTest, TheEndIsFoundInALaterLapToo) {
  std::unique_ptr<Channel> lapped = Attach(MemberRole::kReceiver);
  for (uint64_t i = 0; i < 5 * granules() + 77; ++i) Send("");
  ASSERT_TRUE(channel_->Close().ok());
  EXPECT_EQ(channel_->Send("", Deadline::None()).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(ReceiveAll(*lapped, 0), 5 * granules() + 77);
  std::string message;
  EXPECT_EQ(lapped->Receive(&message, Deadline::Never()).status().code(), StatusCode::kOutOfRange);
  ExpectSound();
  std::unique_ptr<Channel> late = Attach();
  EXPECT_EQ(late->Send("", Deadline::None()).status().code(), StatusCode::kOutOfRange);
}

TEST_F(BroadcastRingTest, WhoHasBeenAwayForLapsFindsTheTail) {
  std::unique_ptr<Channel> away = Attach();
  for (uint64_t i = 0; i < 7 * granules(); ++i) Send("");
  EXPECT_EQ(away->Send("by who was away", Deadline::None()).value(), 7 * granules() + 1);
  EXPECT_EQ(ReceiveAll(*away, 0), 7 * granules() + 1);
  ExpectSound();
}

// Nothing but words that contradict each other is damage: who is slower than others, lap after lap,
// only misses more.
TEST_F(BroadcastRingTest, WhoIsOvertakenForManyLapsDoesNotTakeThatForDamage) {
  Make(96 << 10);
  constexpr int kSends = 100'000;
  std::atomic<uint64_t> errors{0}, sent{0}, received{0}, missed{0};
  std::atomic<int> senders{2};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
      for (int n = 0; n < kSends; ++n) {
        errors +=
            sender->Send(std::string(static_cast<size_t>(n % 500), 's'), Deadline::None()).ok() ? 0
                                                                                                : 1;
        ++sent;
      }
      --senders;
    });
    threads.emplace_back([&, is_slow = i == 0] {
      std::unique_ptr<Channel> subscriber = Attach(MemberRole::kReceiver);
      Sequence last = subscriber->began_after();
      std::string message;
      for (bool goes_on = true; goes_on;) {
        goes_on = senders.load(std::memory_order_relaxed) > 0;
        const absl::StatusOr<MessageInfo> info = subscriber->Receive(&message, Deadline::None());
        if (absl::IsDeadlineExceeded(info.status())) continue;
        errors += info.ok() && info->sequence == last + info->missed + 1 ? 0 : 1;
        if (!info.ok()) break;
        last = info->sequence;
        ++received;
        missed += info->missed;
        goes_on = true;
        if (!is_slow || last % 64 != 0) continue;
        const uint64_t two_laps_on = sent + 2 * granules();
        while (sent < two_laps_on && senders > 0) std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors.load(std::memory_order_relaxed), 0u);
  EXPECT_GT(received.load(std::memory_order_relaxed), 0u);
  EXPECT_GT(2 * kSends, 100 * granules()) << "the premise: many laps";
  EXPECT_GT(missed.load(std::memory_order_relaxed), 10 * granules()) << "nobody was overtaken";
  EXPECT_EQ(ReceiveAll(*channel_, 0), 2u * kSends);
  ExpectSound();
}

// Whatever a word says, an operation ends, with an error or with messages, and touches nothing
// beyond the segment (a SIGSEGV here).
TEST_F(BroadcastRingTest, ADamagedSegmentIsAnErrorAndNeverACrash) {
  ChunkChannelTest::ADamagedSegmentIsAnErrorAndNeverACrash(
      {112 << 10, 3000, 30, true, kSpaceOffset});
}

TEST_F(BroadcastRingTest, ParametersThatContradictTheSizeAreRefused) {
  ChunkChannelTest::ParametersThatContradictTheSizeAreRefused(
      {kChunkCount, kChunkBytes, kSlotsOffset, kRecordsOffset, kChunksOffset, kSleepersOffset,
       kSpaceOffset});
}

}  // namespace
}  // namespace kill9::broadcast_ring

// What tests of the channels whose space is made of chunks share: a channel with one member, and
// the tests that are the same for each, since the words that they look at are.
#ifndef KILL9_PROPERTY_SCAFFOLD_CHUNK_CHANNEL_TEST_H_
#define KILL9_PROPERTY_SCAFFOLD_CHUNK_CHANNEL_TEST_H_

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/channel.h"

namespace kill9 {

// Design has, as static functions, CreateSegment(options), AttachMember(segment, membership) and
// CheckParameters(segment).
template <typename Design>
class ChunkChannelTest : public ::testing::Test {
 protected:
  void SetUp() override { Make(256 << 10); }
  void Make(uint64_t size_bytes) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = 8;
    auto segment = Design::CreateSegment(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    channel_ = Attach();
  }
  std::unique_ptr<Channel> Attach(MemberRole role = MemberRole::kBoth) const {
    return *Design::AttachMember(segment_, {.role = role});
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

  // `lap`: how many positions the slots stand for.
  void HeldMessagesAreSkippedLapAfterLapAndComeBackInTheirOrder(uint64_t lap) {
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

  void ADraftThatCameTooLateGivesItsChunkBack() {
    std::unique_ptr<Channel> sender = Attach(MemberRole::kSender);
    MessageDraft small = *sender->Reserve(10, Deadline::None());
    MessageDraft large = *sender->Reserve(20'000, Deadline::None());
    EXPECT_EQ(ExpectSound().held.blocks, 2u);
    ASSERT_TRUE(channel_->Close().ok());
    EXPECT_EQ(sender->Commit(std::move(small)).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(sender->Commit(std::move(large)).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(ExpectSound().held.blocks, 0u);
    sender = nullptr;
    EXPECT_EQ(ExpectSound().participants, 1u);
  }

  // Words before the space are overwritten, so many at most in each round.
  struct Damage {
    uint64_t segment_bytes;
    uint64_t message_bytes;  // fewer than so many
    uint64_t most_words;
    bool of_sends;          // counts what sends say as well
    uint32_t space_offset;  // the parameter that says where the space begins
  };
  void ADamagedSegmentIsAnErrorAndNeverACrash(const Damage& damage) {
    std::mt19937_64 random(TestSeed());
    uint64_t errors = 0;
    for (int round = 0; round < 400; ++round) {
      Make(damage.segment_bytes);
      std::unique_ptr<Channel> other = Attach();
      Pass(random() % 100);
      for (int i = 0; i < 20; ++i) Send(std::string(random() % damage.message_bytes, 'm'));
      absl::StatusOr<TakenMessage> taken = other->Take(Deadline::None());
      const std::span<char> body = segment_->body();
      const uint64_t meta = segment_->header().parameters[damage.space_offset] -
                            static_cast<uint64_t>(body.data() - segment_->base());
      for (uint64_t i = 0; i < 1 + random() % damage.most_words; ++i) {
        uint64_t word = random() >> random() % 64;
        std::memcpy(body.data() + random() % (meta / 8) * 8, &word, sizeof word);
      }
      std::string message;
      for (int i = 0; i < 40; ++i) {
        const std::string bytes(random() % damage.message_bytes, 'm');
        const bool told = absl::IsDataLoss(channel_->Send(bytes, Deadline::None()).status());
        errors += damage.of_sends && told ? 1 : 0;
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

  void ParametersThatContradictTheSizeAreRefused(std::initializer_list<uint32_t> parameters) {
    for (const uint32_t parameter : parameters) {
      auto& header = const_cast<SegmentHeader&>(segment_->header());
      ASSERT_TRUE(Design::CheckParameters(*segment_).ok());
      for (const uint64_t wrong : {uint64_t{0}, header.parameters[parameter] + 1,
                                   header.parameters[parameter] * 2, ~uint64_t{0}}) {
        const uint64_t right = std::exchange(header.parameters[parameter], wrong);
        EXPECT_EQ(Design::CheckParameters(*segment_).code(), absl::StatusCode::kDataLoss)
            << parameter;
        header.parameters[parameter] = right;
      }
    }
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Channel> channel_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_CHUNK_CHANNEL_TEST_H_

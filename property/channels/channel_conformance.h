// What every design of a channel must do. A design joins by its line in variants/registry.cc.
#ifndef KILL9_PROPERTY_CHANNELS_CHANNEL_CONFORMANCE_H_
#define KILL9_PROPERTY_CHANNELS_CHANNEL_CONFORMANCE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/eventually.h"
#include "variants/registry.h"

namespace kill9 {

// A message of a size, known from its number.
inline std::string MessageOf(uint64_t number, size_t size) {
  std::string message = absl::StrCat("message ", number, ".");
  while (message.size() < size) message += message;
  message.resize(size);
  return message;
}

inline std::string Show(const AuditReport& audit) {
  const auto account = [](const char* name, const AuditReport::Account& one) {
    return absl::StrCat(name, " ", one.blocks, " (", one.bytes, " bytes), ");
  };
  return absl::StrCat(account("capacity", audit.capacity), account("free", audit.free),
                      account("live", audit.live), account("held", audit.held),
                      account("leaked", audit.leaked), "doubly owned ", audit.doubly_owned,
                      ", entries ", audit.entries, "\n", absl::StrJoin(audit.violations, "\n"));
}

class ChannelConformance : public ::testing::TestWithParam<const ChannelDesign*> {
 protected:
  static constexpr size_t kSegmentBytes = 8 << 20;

  const ChannelDesign& design() const { return *GetParam(); }
  const ChannelTraits& traits() const { return design().traits(); }
  bool is_queue() const { return traits().delivery == ChannelTraits::Delivery::kQueue; }

  void Make(uint64_t size_bytes = kSegmentBytes, uint32_t max_participants = 16) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = max_participants;
    options.hash_seed = TestSeed();
    absl::StatusOr<std::shared_ptr<Segment>> segment = design().Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    channel_ = Attach();
    ASSERT_NE(channel_, nullptr);
  }
  std::unique_ptr<Channel> Attach(MemberRole role = MemberRole::kBoth) const {
    absl::StatusOr<std::unique_ptr<Channel>> channel = design().Attach(segment_, {.role = role});
    EXPECT_TRUE(channel.ok()) << channel.status();
    return channel.ok() ? *std::move(channel) : nullptr;
  }

  void Send(std::string_view message) {
    const absl::StatusOr<Sequence> sent = channel_->Send(message, Deadline::None());
    EXPECT_TRUE(sent.ok()) << sent.status();
  }
  // Sends messages with these numbers.
  void SendNumbers(uint64_t first, uint64_t end, size_t size = 40) {
    for (uint64_t number = first; number < end; ++number) Send(MessageOf(number, size));
  }
  std::string Receive(MessageInfo* info = nullptr) {
    std::string message;
    const absl::StatusOr<MessageInfo> got = channel_->Receive(&message, Deadline::None());
    EXPECT_TRUE(got.ok()) << got.status();
    if (got.ok() && info != nullptr) *info = *got;
    return got.ok() ? message : absl::StrCat("(", got.status().ToString(), ")");
  }
  // A process that attaches, does what `body` says, tells, and waits to be killed.
  Child Victim(absl::FunctionRef<int(Channel&)> body, MemberRole role = MemberRole::kBoth) const {
    Child child([&](Line& parent) {
      auto channel = design().Attach(segment_, {.role = role});
      CHILD_REQUIRE(channel.ok());
      if (const int result = body(**channel); result != 0) return result;
      parent.Tell();
      for (;;) pause();
    });
    EXPECT_TRUE(child.Await()) << "the victim did not come so far";
    return child;
  }
  // One that holds drafts of such messages, and has sent this one since.
  static constexpr char kSentBeforeDeath[] = "sent before the death";
  Child VictimWithDrafts(int count, size_t size) const {
    return Victim([&](Channel& channel) {
      static std::vector<MessageDraft> drafts;
      for (int i = 0; i < count; ++i) {
        absl::StatusOr<MessageDraft> draft = channel.Reserve(size, Deadline::None());
        CHILD_REQUIRE(draft.ok());
        drafts.push_back(*std::move(draft));
      }
      CHILD_REQUIRE(channel.Send(kSentBeforeDeath, Deadline::None()).ok());
      return 0;
    });
  }
  TakenMessage Take(Channel& channel) {
    absl::StatusOr<TakenMessage> taken = channel.Take(Deadline::None());
    EXPECT_TRUE(taken.ok()) << taken.status();
    return taken.ok() ? *std::move(taken) : TakenMessage();
  }
  void ExpectEmpty() {
    std::string message;
    EXPECT_EQ(channel_->Receive(&message, Deadline::None()).status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
  AuditReport ExpectSoundAccount() {
    const absl::StatusOr<AuditReport> audit = channel_->Audit();
    EXPECT_TRUE(audit.ok()) << audit.status();
    if (!audit.ok()) return {};
    EXPECT_TRUE(audit->clean()) << Show(*audit);
    EXPECT_EQ(audit->free.blocks + audit->live.blocks + audit->held.blocks, audit->capacity.blocks)
        << Show(*audit);
    EXPECT_EQ(audit->free.bytes + audit->live.bytes + audit->held.bytes, audit->capacity.bytes)
        << Show(*audit);
    return *audit;
  }
  // All has been received; of a broadcast it stays for others.
  void ExpectNothingLeft() {
    const AuditReport audit = ExpectSoundAccount();
    EXPECT_TRUE(!is_queue() || audit.entries == 0) << Show(audit);
  }
  // Sends messages of the size until there is no room; how many there were.
  uint64_t Fill(size_t size) {
    for (uint64_t count = 0;; ++count) {
      const absl::StatusOr<Sequence> sent =
          channel_->Send(MessageOf(count, size), Deadline::None());
      if (sent.ok()) continue;
      EXPECT_THAT(sent.status().code(), ::testing::AnyOf(absl::StatusCode::kDeadlineExceeded,
                                                         absl::StatusCode::kResourceExhausted))
          << sent.status();
      return count;
    }
  }
  // Takes out all that is there.
  uint64_t Empty() {
    std::string message;
    uint64_t count = 0;
    while (channel_->Receive(&message, Deadline::None()).ok()) ++count;
    return count;
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Channel> channel_;
};

inline std::string ChannelTestName(const ::testing::TestParamInfo<const ChannelDesign*>& info) {
  return std::string(info.param->name());
}

// The channels that are meant to be right.
inline std::vector<const ChannelDesign*> SoundChannels() {
  std::vector<const ChannelDesign*> sound;
  for (const ChannelDesign* design : AllChannels()) {
    if (design->role() == Design::Role::kDesign) sound.push_back(design);
  }
  return sound;
}

#define INSTANTIATE_FOR_ALL_CHANNELS(Suite) \
  INSTANTIATE_TEST_SUITE_P(Channels, Suite, ::testing::ValuesIn(SoundChannels()), ChannelTestName)

// The rest of a test is about designs of which this is true.
#define REQUIRE_OF_CHANNEL(trait) \
  do {                            \
    if (!(trait)) return;         \
  } while (false)

}  // namespace kill9

#endif  // KILL9_PROPERTY_CHANNELS_CHANNEL_CONFORMANCE_H_

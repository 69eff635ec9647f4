// What is peculiar to mutex_vector: what follows from the truth is made anew after a death with the
// mutex, the file grows, and a file that is too short is an error.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "property/channels/channel_conformance.h"
#include "property/scaffold/namespaces.h"
#include "variants/channels/mutex_vector/space.h"

namespace kill9::mutex_vector {
namespace {

class MutexVectorTest : public ::testing::Test {
 protected:
  const ChannelDesign& design() const { return *AllChannels().front(); }

  void Make(uint64_t size_bytes, const SegmentLocation& location = {}) {
    ASSERT_EQ(design().name(), "mutex_vector");
    SegmentOptions options;
    options.location = location;
    options.size_bytes = size_bytes;
    options.max_participants = 8;
    segment_ = design().Create(options).value();
    channel_ = design().Attach(segment_, {}).value();
  }
  void Send(uint64_t number, size_t size) {
    EXPECT_TRUE(channel_->Send(MessageOf(number, size), Deadline::None()).ok());
  }
  // In a process that dies with the mutex.
  void DieInside(absl::FunctionRef<void(ChannelHeader&)> change) {
    Child child([&](Line&) {
      auto channel = design().Attach(segment_, {});
      CHILD_REQUIRE(channel.ok());
      Space space(segment_);
      Session session(space);
      CHILD_REQUIRE(session.entered && !session.rebuilt);
      change(space.header());
      raise(SIGKILL);
      return 0;
    });
    EXPECT_EQ(child.ExitStatus(), 1000 + SIGKILL);
  }
  void ExpectNumbers(uint64_t first, uint64_t end, size_t size) {
    std::string message;
    for (uint64_t number = first; number < end; ++number) {
      ASSERT_TRUE(channel_->Receive(&message, Deadline::None()).ok()) << number;
      ASSERT_TRUE(message == MessageOf(number, size)) << number;
    }
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(MutexVectorTest, WhatFollowsFromTheTruthIsMadeAnewWhateverItWas) {
  Make(1 << 20);
  for (uint64_t number = 0; number < 40; ++number) Send(number, number % 2 == 0 ? 40 : 6000);
  // Of the first extents nothing is left, and one message is held.
  std::string message;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(channel_->Receive(&message, Deadline::None()).ok());
  const TakenMessage held = channel_->Take(Deadline::None()).value();
  const AuditReport before = channel_->Audit().value();
  ASSERT_TRUE(before.clean()) << Show(before);
  DieInside([](ChannelHeader& header) {
    header.tail = header.shared = header.cursor = 7;
    header.free_extents = header.drafts = header.cursor_offset = 99;
    header.cursor_sequence = ~0ull;
    header.waiting = header.taken = header.bytes = 12345;
  });
  const absl::StatusOr<RecoveryReport> report = channel_->Recover();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->rolled_back, 1u);
  const AuditReport after = channel_->Audit().value();
  EXPECT_TRUE(after.clean()) << Show(after);
  EXPECT_EQ(after.entries, before.entries);
  EXPECT_EQ(after.live.blocks, before.live.blocks);
  EXPECT_EQ(held.bytes(), MessageOf(3, 6000));
  for (uint64_t number = 4; number < 40; ++number) {
    ExpectNumbers(number, number + 1, number % 2 == 0 ? 40 : 6000);
  }
}

// An audit by somebody who comes alone is no less sharp: what it made anew it tells, once.
TEST_F(MutexVectorTest, WhoAttachesAloneTellsOfDamageAndMakesItAnew) {
  Make(1 << 20);
  for (uint64_t number = 0; number < 40; ++number) Send(number, number % 2 == 0 ? 40 : 6000);
  Space space(segment_);
  ChannelHeader& header = space.header();
  const auto attach_again = [&] {
    channel_.reset();
    channel_ = design().Attach(segment_, {}).value();
    return channel_->Audit().value();
  };
  EXPECT_TRUE(attach_again().clean());
  channel_.reset();
  const auto damages = {std::function<void()>([&] { header.waiting = 12345; }),
                        std::function<void()>([&] { header.shared = 7; }),
                        std::function<void()>([&] { header.free_extents = 99; })};
  for (const std::function<void()>& damage : damages) {
    damage();
    const AuditReport found = attach_again();
    ASSERT_EQ(found.violations.size(), 1u) << Show(found);
    const AuditReport after = channel_->Audit().value();
    EXPECT_TRUE(after.clean()) << Show(after);
    EXPECT_EQ(after.entries, 40u);
  }
  header.cursor = 3;  // which nobody sees
  header.cursor_sequence = ~0ull;
  attach_again();
  for (uint64_t number = 0; number < 40; ++number) {
    ExpectNumbers(number, number + 1, number % 2 == 0 ? 40 : 6000);
  }
}

TEST_F(MutexVectorTest, WhoAttachesAloneGoesOnInTheExtentOfThoseBefore) {
  Make(64 << 20);
  constexpr size_t kBytes = 5000;  // too large for the log; many in an extent
  const uint64_t free_before = channel_->Audit().value().free.blocks;
  constexpr uint64_t kMessages = 6;
  for (uint64_t number = 0; number < kMessages; ++number) {
    channel_.reset();
    channel_ = design().Attach(segment_, {}).value();
    Send(number, kBytes);
  }
  const AuditReport report = channel_->Audit().value();
  EXPECT_TRUE(report.clean()) << Show(report);
  EXPECT_LE(free_before - report.free.blocks, kMessages / 2);
  ExpectNumbers(0, kMessages, kBytes);
}

TEST_F(MutexVectorTest, ATruthThatContradictsItselfIsDamageAndNoHang) {
  Make(1 << 20);
  for (uint64_t number = 0; number < 5; ++number) Send(number, 40);
  DieInside([](ChannelHeader& header) { header.head.store(4000, std::memory_order_release); });
  EXPECT_EQ(channel_->Send("more", Deadline::None()).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(channel_->Recover().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MutexVectorTest, WhereTheFileCannotGrowASendIsRefusedAndChangesNothing) {
  Make(8 << 20);
  const uint64_t length = segment_->file_bytes().value();
  ASSERT_LT(length, segment_->size());
  Child child([&](Line&) {
    auto channel = design().Attach(segment_, {});
    CHILD_REQUIRE(channel.ok());
    const rlimit limit{length, length};
    CHILD_REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    absl::Status status;
    while (status.ok()) status = (*channel)->Send(MessageOf(1, 3000), Deadline::None()).status();
    CHILD_REQUIRE(absl::IsResourceExhausted(status));
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_EQ(segment_->file_bytes().value(), length);
  const AuditReport audit = channel_->Audit().value();
  EXPECT_TRUE(audit.clean()) << Show(audit);
  EXPECT_GT(audit.entries, 0u);
  // Who may make it longer does.
  for (int i = 0; i < 100; ++i) Send(1, 3000);
  EXPECT_GT(segment_->file_bytes().value(), length);
}

// Robust mutexes cannot tell threads of two namespaces apart.
TEST_F(MutexVectorTest, AMemberOfAnotherNamespaceIsRefusedBesideEachThatLives) {
  constexpr int kServed = 50;
  constexpr int kRefused = 51;
  Make(1 << 20);
  const auto from_another = [&] {
    return InNewPidNamespace([&] {
      const absl::Status status = design().Attach(segment_, {}).status();
      if (status.ok()) return kServed;
      CHILD_REQUIRE(absl::IsFailedPrecondition(status));
      CHILD_REQUIRE(absl::StrContains(status.message(), "PID namespace"));
      return kRefused;
    });
  };
  const int beside_slot_0 = from_another();
  if (beside_slot_0 == kNoNamespace) GTEST_SKIP() << "this machine lets us make no PID namespace";
  EXPECT_EQ(beside_slot_0, kRefused);
  std::unique_ptr<Channel> in_slot_1 = design().Attach(segment_, {}).value();
  channel_ = nullptr;
  EXPECT_EQ(from_another(), kRefused);
  in_slot_1 = nullptr;
  EXPECT_EQ(from_another(), kServed) << "the premise: nothing else was in the way";
}

TEST_F(MutexVectorTest, AFileThatIsShorterThanWhatItWasUsedForIsAnError) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/mutex-vector-", getpid());
  const SegmentLocation location{SegmentKind::kFile, path};
  Make(8 << 20, location);
  for (int i = 0; i < 300; ++i) Send(1, 3000);
  channel_ = nullptr;
  const uint64_t length = segment_->file_bytes().value();
  segment_ = nullptr;
  ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(length - 4096)), 0);
  const absl::StatusOr<std::shared_ptr<Segment>> opened = design().Open(location);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(design().Attach(*opened, {}).status().code(), absl::StatusCode::kDataLoss);
  unlink(path.c_str());
}

}  // namespace
}  // namespace kill9::mutex_vector

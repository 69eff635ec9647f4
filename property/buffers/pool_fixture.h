// What the tests of buffers share: a pool, a channel to pass them through, and their accounts.
#ifndef KILL9_PROPERTY_BUFFERS_POOL_FIXTURE_H_
#define KILL9_PROPERTY_BUFFERS_POOL_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/registry.h"

namespace kill9 {

inline std::string Show(const BufferPoolAccount& account) {
  const AuditReport& audit = account.report;
  return absl::StrCat("room ", account.room_bytes, ", free ", account.free_bytes, ", live ",
                      account.live_bytes, ", holds ", account.holds, "; blocks: live ",
                      audit.live.blocks, ", leaked ", audit.leaked.blocks, ", doubly owned ",
                      audit.doubly_owned, "\n", absl::StrJoin(audit.violations, "\n"));
}

// Bytes that tell whether they are the ones that were written.
inline std::string Pattern(size_t bytes, uint64_t seed) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>((seed + i) * 0x9d >> 3);
  return text;
}

class PoolFixture : public ::testing::Test {
 protected:
  static constexpr Deadline kNow = Deadline::None();

  void Make(uint64_t size_bytes = 1 << 20, uint64_t buffers_most = 64, uint64_t holds_most = 60,
            std::string_view channel_design = "slot_ring") {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = 16;
    options.hash_seed = TestSeed();
    channel_ = nullptr;
    pool_ = nullptr;
    absl::StatusOr<std::shared_ptr<Segment>> segment = BufferPool::Create(
        {.segment = options, .buffers_most = buffers_most, .holds_most = holds_most});
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    design_ = static_cast<const ChannelDesign*>(FindDesign(channel_design));
    options.size_bytes = 256 << 10;
    segment = design_->Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    channel_segment_ = *std::move(segment);
    pool_ = Attach();
    channel_ = Join();
    ASSERT_TRUE(pool_ != nullptr && channel_ != nullptr);
  }
  std::unique_ptr<BufferPool> Attach() const {
    absl::StatusOr<std::unique_ptr<BufferPool>> pool = BufferPool::Attach(segment_);
    EXPECT_TRUE(pool.ok()) << pool.status();
    return pool.ok() ? *std::move(pool) : nullptr;
  }
  std::unique_ptr<Channel> Join() const {
    absl::StatusOr<std::unique_ptr<Channel>> channel = design_->Attach(channel_segment_, {});
    EXPECT_TRUE(channel.ok()) << channel.status();
    return channel.ok() ? *std::move(channel) : nullptr;
  }
  static Buffer Filled(BufferPool& pool, std::string_view bytes) {
    absl::StatusOr<Buffer> buffer = pool.Allocate(0, kNow, {.headroom = 16, .tailroom = 64});
    EXPECT_TRUE(buffer.ok()) << buffer.status();
    if (!buffer.ok()) return {};
    EXPECT_TRUE(buffer->Append(bytes, kNow).ok());
    return *std::move(buffer);
  }
  // The exact account: sound, and everything adds up.
  BufferPoolAccount Account() const {
    absl::StatusOr<BufferPoolAccount> account = pool_->Account();
    EXPECT_TRUE(account.ok()) << account.status();
    if (!account.ok()) return {};
    EXPECT_TRUE(account->report.clean()) << Show(*account);
    uint64_t holds = 0;
    for (const HoldsOf& one : account->of_participants) holds += one.holds;
    for (const HoldsOf& one : account->of_messages) holds += one.holds;
    EXPECT_EQ(account->holds, holds) << Show(*account);
    return *std::move(account);
  }
  static uint64_t HoldsOfSlot(const BufferPoolAccount& account, uint32_t slot) {
    for (const HoldsOf& one : account.of_participants) {
      if (one.holder == slot) return one.holds;
    }
    return 0;
  }
  // That nobody holds anything, and all the room can be had again in one piece.
  void ExpectEmpty() const {
    const BufferPoolAccount account = Account();
    EXPECT_EQ(account.holds, 0u) << Show(account);
    EXPECT_EQ(account.free_bytes, account.room_bytes) << Show(account);
    EXPECT_TRUE(pool_->Allocate(pool_->max_buffer_bytes(), kNow).ok());
  }

  std::shared_ptr<Segment> segment_, channel_segment_;
  const ChannelDesign* design_ = nullptr;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<Channel> channel_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_BUFFERS_POOL_FIXTURE_H_

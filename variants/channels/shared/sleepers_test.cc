// What wakes a sleeper (sleepers.h): with descriptors of odd numbers, before it has ever slept, and
// in each race of an announcement with a change.
#include "variants/channels/shared/sleepers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "harness/base/pin_to_core.h"
#include "property/scaffold/children.h"
#include "variants/segment/processor.h"

namespace kill9 {
namespace {

class SleepersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    SegmentLayout layout;
    layout.design = "sleepers-test";
    segment_ = *Segment::Create(options, layout,
                                [](Segment&, SegmentHeader&) { return absl::OkStatus(); });
    ASSERT_GE(segment_->body().size(), 3 * SleepersPage::kBytes);
    const auto begin = reinterpret_cast<uintptr_t>(segment_->body().data());
    const uintptr_t page = (begin + SleepersPage::kBytes - 1) & ~(SleepersPage::kBytes - 1);
    page_ = reinterpret_cast<SleepersPage*>(page);
    word_ = reinterpret_cast<SleepersWord*>(page_ + 1);
  }
  static bool Readable(int fd) {
    pollfd asked{fd, POLLIN, 0};
    return poll(&asked, 1, 0) == 1;
  }
  static bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

  std::shared_ptr<Segment> segment_;
  SleepersPage* page_ = nullptr;
  SleepersWord* word_ = nullptr;
};

// In daemons that have closed their standard input.
TEST_F(SleepersTest, WhoTellsByDescriptor0IsHeard) {
  Sleeper sleeper(*segment_, *page_);
  const int heard = sleeper.descriptor();
  ASSERT_GE(heard, 0);
  Child waker([&](Line& parent) {
    close(0);
    Sleeper its(*segment_, *page_);
    CHILD_REQUIRE(IsOpen(0));  // the premise: its description of the file is number 0
    parent.Tell();
    CHILD_REQUIRE(parent.Await());
    its.Wake(*word_);
    parent.Tell();
    for (;;) pause();  // its death would be told as well
    return 0;
  });
  ASSERT_TRUE(waker.Await());
  sleeper.Announce(*word_);
  ASSERT_FALSE(Readable(heard));
  waker.Tell();
  ASSERT_TRUE(waker.Await());
  EXPECT_TRUE(Readable(heard));
}

TEST_F(SleepersTest, WhoWatchesWithDescriptor0Hears) {
  Child child([&](Line&) {
    Sleeper sleeper(*segment_, *page_);
    Sleeper waker(*segment_, *page_);
    close(0);
    const int heard = sleeper.descriptor();
    CHILD_REQUIRE(IsOpen(0));  // the premise
    CHILD_REQUIRE(heard == 0);
    sleeper.Announce(*word_);
    CHILD_REQUIRE(!Readable(heard));
    waker.Wake(*word_);
    CHILD_REQUIRE(Readable(heard));
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

TEST_F(SleepersTest, TheDescriptorOfOneThatHasNeverSleptIsTold) {
  Sleeper sleeper(*segment_, *page_);
  Sleeper waker(*segment_, *page_);
  const int heard = sleeper.descriptor();
  ASSERT_GE(heard, 0) << "it does not watch";
  sleeper.Announce(*word_);
  EXPECT_FALSE(Readable(heard));
  waker.Wake(*word_);
  EXPECT_TRUE(Readable(heard));
  sleeper.ForgetTold();
  EXPECT_FALSE(Readable(heard));
  EXPECT_EQ(sleeper.descriptor(), heard);
}

// A queue of news is one for both after a fork.
TEST_F(SleepersTest, AChildThatLetsGoOfItsParentsHandleLeavesTheWatch) {
  std::optional<Sleeper> sleeper(std::in_place, *segment_, *page_);
  Sleeper waker(*segment_, *page_);
  const int heard = sleeper->descriptor();
  ASSERT_GE(heard, 0) << "it does not watch";
  Child child([&](Line&) {
    CHILD_REQUIRE(IsOpen(heard));  // the premise: it has inherited the queue
    sleeper.reset();
    return 0;
  });
  ASSERT_EQ(child.ExitStatus(), 0);
  sleeper->Announce(*word_);
  EXPECT_FALSE(Readable(heard));
  waker.Wake(*word_);
  EXPECT_TRUE(Readable(heard));
}

// W1, as a litmus test (store buffering): of one that announces and looks, and one that changes and
// looks for announcements, at least one sees the other.
TEST_F(SleepersTest, AnAnnouncementAndAChangeNeverMissEachOther) {
  cpu_set_t usual;
  ASSERT_EQ(sched_getaffinity(0, sizeof usual, &usual), 0);
  if (CPU_COUNT(&usual) < 2) GTEST_SKIP() << "one processor does both in turns";
  constexpr uint32_t kRounds = 40'000;
  constexpr uint32_t kMostDelay = 10'000;
  alignas(64) std::atomic<uint32_t> begun{0};
  alignas(64) std::atomic<uint32_t> changed{0};
  alignas(64) std::atomic<uint32_t> looked{0};
  const auto await = [](const std::atomic<uint32_t>& position, uint32_t round) {
    // The other has a processor of its own: to give this one up would cost a whole turn of it.
    while (position.load(std::memory_order_acquire) < round) CpuRelax();
  };
  Sleeper waker(*segment_, *page_);
  std::thread changer([&] {
    PinToCore(1);
    for (uint32_t round = 1; round <= kRounds; ++round) {
      await(begun, round);
      changed.exchange(round, std::memory_order_seq_cst);
      waker.Wake(*word_);
      looked.store(round, std::memory_order_release);
    }
  });
  Sleeper sleeper(*segment_, *page_);
  PinToCore(0);
  uint32_t delay = 0;
  uint32_t seen = 0;
  uint32_t woken = 0;
  uint32_t missed = 0;
  for (uint32_t round = 1; round <= kRounds; ++round) {
    begun.store(round, std::memory_order_release);
    for (uint32_t i = 0; i < delay; ++i) asm volatile("");
    sleeper.Announce(*word_);
    const bool sees = changed.load(std::memory_order_seq_cst) == round;
    await(looked, round);
    const bool is_woken = word_->announced.load(std::memory_order_acquire) == 0;
    seen += sees ? 1 : 0;
    woken += is_woken ? 1 : 0;
    missed += sees || is_woken ? 0 : 1;
    word_->announced.store(0, std::memory_order_release);
    // So that the two stay close to each other, now this one first, now that one.
    delay = sees ? delay - std::min(delay, 5u) : std::min(delay + 5, kMostDelay);
  }
  changer.join();
  sched_setaffinity(0, sizeof usual, &usual);
  EXPECT_EQ(missed, 0u) << "seen " << seen << ", woken " << woken;
  EXPECT_GT(seen, 0u) << "the premise: now one, now the other came first";
  EXPECT_GT(woken, 0u);
}

}  // namespace
}  // namespace kill9

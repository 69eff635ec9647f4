// Real processes on a small ring, killed and stopped at random while they do everything at once.
// Every read is judged against what any process had seen before it began, in tables that outlive
// them all.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"
#include "variants/stores/seqlock_ring/shared_oracle.h"

namespace kill9::ring {
namespace {

TEST(SeqlockRingKill, SurvivorsNeverSeeATornStaleOrRevivedValue) {
  constexpr int kWorkers = 4;
  constexpr int kKills = 250;
  Shared<SharedOracle> shared;
  SharedOracle& oracle = *shared;
  auto segment = MakeSmallSegment(192 << 10, 12);
  std::mt19937_64 random(TestSeed());
  const auto spawn = [&] {
    const uint64_t seed = random();
    return std::make_unique<Child>([&, seed](Line&) {
      auto store = RingStore::Attach(segment);
      CHILD_REQUIRE(store.ok());
      if (seed % 3 == 0) (*store)->SetPromotionChance(0.3);
      Worker(oracle, **store, seed).Run();
      return 0;
    });
  };
  std::vector<std::unique_ptr<Child>> workers;
  for (int i = 0; i < kWorkers; ++i) workers.push_back(spawn());
  // On a busy machine they are killed before they have done much.
  const auto did_enough = [&oracle] {
    return oracle.hits.load(kTestOrder) > 1000 && oracle.misses.load(kTestOrder) > 100 &&
           oracle.pins.load(kTestOrder) > 100;
  };
  for (int kill_count = 0;
       kill_count < (did_enough() ? kKills : 100 * kKills) && oracle.faults.load(kTestOrder) == 0;
       ++kill_count) {
    SleepMicroseconds(random() % 8000);
    std::unique_ptr<Child>& victim = workers[random() % kWorkers];
    const Child& stopped = *workers[random() % kWorkers];
    if (random() % 4 == 0) {  // somebody sleeps through several laps
      stopped.Signal(SIGSTOP);
      SleepMicroseconds(random() % 20'000);
      stopped.Signal(SIGCONT);
    }
    victim->Signal(SIGKILL);
    ASSERT_EQ(victim->ExitStatus(), 1000 + SIGKILL);
    victim = spawn();
  }
  oracle.over.store(true, kTestOrder);
  for (auto& worker : workers) EXPECT_EQ(worker->ExitStatus(), 0);
  EXPECT_EQ(oracle.faults.load(kTestOrder), 0u) << oracle.first_fault;
  EXPECT_TRUE(did_enough());
  ExpectCleanAfterRecovery(segment);
  std::printf("%lu hits, %lu misses, %lu writes, %lu pins\n", oracle.hits.load(kTestOrder),
              oracle.misses.load(kTestOrder), oracle.writes.load(kTestOrder),
              oracle.pins.load(kTestOrder));
}

// Holds all that one participant can, and waits to be killed.
Child HolderOf(const std::shared_ptr<Segment>& segment) {
  return Child([&segment](Line& parent) {
    auto store = RingStore::Attach(segment);
    std::vector<PinnedValue> pins;
    std::vector<Draft> drafts;
    const size_t bytes = (*store)->max_value_bytes() / 24;
    for (int i = 0; i < kUserHolds; ++i) {
      const std::string key = absl::StrCat("held", i);
      if (i % 2 == 0) {
        if (!(*store)->Put(key, std::string(bytes, 'p')).ok()) break;
        if (auto pin = (*store)->Pin(key); pin.ok()) pins.push_back(*std::move(pin));
      } else {
        auto draft = (*store)->Reserve(key, bytes);
        if (!draft.ok()) break;
        drafts.push_back(*std::move(draft));
      }
    }
    parent.Tell();
    for (;;) pause();
    return 0;
  });
}

TEST(SeqlockRingKill, RingHeldByAStoppedProcessSaysFullAndByADeadOneIsTakenWithoutRecover) {
  auto segment = MakeSmallSegment(256 << 10, 8);
  Child holder = HolderOf(segment);
  ASSERT_TRUE(holder.Await());
  holder.Signal(SIGSTOP);
  auto store = RingStore::Attach(segment);
  ASSERT_TRUE(store.ok());
  const std::string large((*store)->max_value_bytes() / 2, 'x');
  EXPECT_TRUE(absl::IsResourceExhausted((*store)->Put("key", large).status()));
  EXPECT_TRUE(absl::IsNotFound((*store)->Get("key", nullptr).status()));
  auto held = (*store)->Audit();
  EXPECT_TRUE(held->clean()) << testing::PrintToString(held->violations);
  EXPECT_GT(held->held.blocks, 0u);
  holder.KillAndReap();
  EXPECT_TRUE((*store)->Put("key", large).ok());
  EXPECT_EQ((*store)->Audit()->held.blocks, 0u);
}

TEST(SeqlockRingKill, RecoverReturnsExactlyWhatTheVictimHeld) {
  auto segment = MakeSmallSegment(1 << 20, 8);
  auto store = RingStore::Attach(segment);
  Child victim([&](Line& parent) {
    auto mine = RingStore::Attach(segment);
    auto draft = (*mine)->Reserve("draft", 1000);
    (void)(*mine)->Put("key", "value");
    auto pin = (*mine)->Pin("key");
    parent.Tell();
    for (;;) pause();
    return 0;
  });
  ASSERT_TRUE(victim.Await());
  victim.KillAndReap();
  auto report = (*store)->Recover();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->participants, 1u);
  EXPECT_EQ(report->blocks, UnitsFor(5, 1000) + UnitsFor(3, 5));
  EXPECT_EQ(report->rolled_back, 1u);
  EXPECT_EQ((*store)->Recover()->participants, 0u);
  std::string value;
  EXPECT_TRUE((*store)->Get("key", &value).ok());
  EXPECT_TRUE(absl::IsNotFound((*store)->Get("draft", &value).status()));
}

TEST(SeqlockRingKill, FileBackedRingLosesNoCompleteRecordWhenAllAreKilled) {
  constexpr int kWriters = 3;
  constexpr uint64_t kKeysEach = 2000;
  struct Acknowledged {
    std::atomic<uint64_t> count[kWriters];
  };
  Shared<Acknowledged> acknowledged;
  const std::string path =
      (std::filesystem::temp_directory_path() / absl::StrCat("kill9-ring-", getpid())).string();
  SegmentOptions options;
  options.location = {SegmentKind::kFile, path};
  options.size_bytes = 32 << 20;  // more than can be written, also while one writer has no CPU
  options.max_participants = 8;
  options.expected_entries = 200000;  // no bucket overflows,
  options.hash_seed = 9;  // and no two keys agree in bucket and tag, where one gives way
  {
    auto segment = CreateSegment(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
  }
  std::vector<Child> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w](Line&) {
      auto segment = SeqlockRing().Open(options.location);
      auto store = RingStore::Attach(*segment);
      for (uint64_t i = 0; i < kKeysEach * 20; ++i) {
        const std::string key = absl::StrCat(w, ":", i % kKeysEach);
        if (!(*store)->Put(key, ValueOf(i, i, 40)).ok()) return 0;
        acknowledged->count[w].store(i + 1, kTestOrder);
        if (i >= kKeysEach * 3) SleepMicroseconds(100);
      }
      return 0;
    });
  }
  const auto slowest = [&] {
    uint64_t least = UINT64_MAX;
    for (auto& count : acknowledged->count) least = std::min(least, count.load(kTestOrder));
    return least;
  };
  while (slowest() < 2500) SleepMicroseconds(200);
  for (Child& writer : writers) writer.Signal(SIGKILL);  // one may have written all, and ended
  for (Child& writer : writers) writer.Reap();
  auto segment = SeqlockRing().Open(options.location);
  ASSERT_TRUE(segment.ok()) << segment.status();
  auto store = RingStore::Attach(*segment);
  ASSERT_TRUE(store.ok());
  ASSERT_EQ((*store)->ReadCounters().laps, 0u);
  std::string value;
  for (int w = 0; w < kWriters; ++w) {
    const uint64_t count = acknowledged->count[w].load(kTestOrder);
    for (uint64_t k = 0; k < kKeysEach; ++k) {
      const uint64_t last = count == 0 ? 0 : k + (count - 1 - k) / kKeysEach * kKeysEach;
      ASSERT_TRUE((*store)->Get(absl::StrCat(w, ":", k), &value).ok()) << w << ":" << k;
      uint64_t id = 0;
      std::memcpy(&id, value.data(), 8);
      ASSERT_TRUE(id == last || (last + kKeysEach == count && id == count)) << id << " " << count;
      ASSERT_TRUE(IsValueOf(id, value));
    }
  }
  store->reset();
  ExpectCleanAfterRecovery(*segment);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace kill9::ring

// The same workers as threads over one mapping: what ThreadSanitizer must be silent about.
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "variants/seqlock_ring/court_for_tests.h"

namespace kill9::ring {
namespace {

TEST(SeqlockRingThreads, ParticipantsInThreadsNeverSeeATornStaleOrRevivedValue) {
  constexpr int kThreads = 4;
  Court& court = *Shared<Court>();
  auto segment = MakeSmallSegment(192 << 10, 8);
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed, " (best effort)"));
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      auto store = RingStore::Attach(segment);
      if (!store.ok()) return court.Fault("Attach fails");
      if (i == 0) (*store)->SetPromotionChance(0.3);
      Worker(court, **store, seed + static_cast<uint64_t>(i)).Run();
    });
  }
  for (int i = 0; i < 300 && court.faults.load(kTestOrder) == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  court.over.store(true, kTestOrder);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(court.faults.load(kTestOrder), 0u) << court.first_fault;
  EXPECT_GT(court.hits.load(kTestOrder), 500u);
  EXPECT_GT(court.pins.load(kTestOrder), 50u);
  ExpectCleanAfterRecovery(segment);
}

// Many writers of few keys in one bucket: insertions, updates, erasures and evictions race for its
// words.
TEST(SeqlockRingThreads, OneBucketUnderContentionNeverHoldsATagTwice) {
  constexpr int kThreads = 4;
  SegmentOptions options;
  options.size_bytes = 256 << 10;
  options.max_participants = 8;
  auto segment = CreateSegment(options);
  ASSERT_TRUE(segment.ok());
  std::vector<std::string> keys;  // of one bucket, more than it has room for
  auto probe = RingStore::Attach(*segment);
  const Geometry& geometry = (*probe)->geometry();
  for (int i = 0; keys.size() < 9; ++i) {
    std::string key = absl::StrCat("key", i);
    if (&geometry.BucketOf((*segment)->Hash(key)) == geometry.buckets) keys.push_back(key);
  }
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        auto store = RingStore::Attach(*segment);
        std::mt19937_64 random(static_cast<uint64_t>(round * kThreads + i));
        for (int step = 0; step < 2000; ++step) {
          const std::string& key = keys[random() % keys.size()];
          if (random() % 2 == 0) {
            EXPECT_TRUE((*store)->Put(key, "value").ok());
          } else {
            EXPECT_TRUE((*store)->Erase(key).ok());
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    auto report = (*probe)->Audit();
    ASSERT_TRUE(report->clean()) << testing::PrintToString(report->violations);
  }
  EXPECT_GT((*probe)->ReadCounters().evictions, 100u);
}

}  // namespace
}  // namespace kill9::ring

// The same workers as threads over one mapping: what ThreadSanitizer must be silent about.
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "variants/segment/thread_sanitizer.h"
#include "variants/stores/seqlock_ring/shared_oracle.h"

namespace kill9::ring {
namespace {

TEST(SeqlockRingThreads, ParticipantsInThreadsNeverSeeATornStaleOrRevivedValue) {
  constexpr int kThreads = 4;
  constexpr uint64_t kHits = kThreadSanitizer ? 20'000 : 200'000;
  constexpr uint64_t kPins = kHits / 10;
  SharedOracle oracle{};
  auto segment = MakeSmallSegment(192 << 10, 8);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      auto store = RingStore::Attach(segment);
      if (!store.ok()) return oracle.Fault("Attach fails");
      if (i == 0) (*store)->SetPromotionChance(0.3);
      Worker(oracle, **store, TestSeed() + static_cast<uint64_t>(i)).Run();
    });
  }
  while (oracle.faults.load(kTestOrder) == 0 &&
         (oracle.hits.load(kTestOrder) < kHits || oracle.pins.load(kTestOrder) < kPins)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  oracle.over.store(true, kTestOrder);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(oracle.faults.load(kTestOrder), 0u) << oracle.first_fault;
  ExpectCleanAfterRecovery(segment);
}

// Who puts a value as large as the store promises needs half of the ring in a row. Others who put
// small ones may be faster lap after lap: that is no damage.
TEST(SeqlockRingThreads, WhoIsOvertakenForManyLapsDoesNotTakeThatForDamage) {
  constexpr int kThreads = 4;
  constexpr int kPuts = kThreadSanitizer ? 500 : 7'500;  // of each thread
  constexpr int kMostTries = 1000 * kPuts;
  auto segment = MakeSmallSegment(96 << 10, 8);
  std::atomic<uint64_t> damaged{0}, stored{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      auto store = RingStore::Attach(segment);
      if (!store.ok()) return;
      const std::string value(i % 2 == 0 ? (*store)->max_value_bytes() : 3000, 'v');
      for (int n = 0, tries = 0; n < kPuts && tries < kMostTries; ++tries) {
        const absl::Status status = (*store)->Put(absl::StrCat("key-", n % 20), value).status();
        damaged.fetch_add(absl::IsDataLoss(status) ? 1 : 0, kTestOrder);
        if (status.ok()) {
          stored.fetch_add(1, kTestOrder);
          ++n;
        } else {
          std::this_thread::yield();  // half of the ring is taken by one that does not run
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(damaged.load(kTestOrder), 0u);
  EXPECT_EQ(stored.load(kTestOrder), uint64_t{kThreads} * kPuts);
  {
    auto store = RingStore::Attach(segment);
    ASSERT_TRUE(store.ok());
    const Geometry& geometry = (*store)->geometry();
    ASSERT_GT(geometry.header->cursor.load(kTestOrder), 100 * geometry.chunk_count)
        << "the premise: many laps";
  }
  ExpectCleanAfterRecovery(segment);
}

// Class 32: one participant moves a record to the front whenever it has become old, while the
// other, the only one that writes it, puts a newer value at just about that time.
TEST(SeqlockRingThreads, MovingARecordNeverPutsAnOldValueOverANewerOne) {
  constexpr int kRounds = 5000;
  constexpr int kMostRounds = 100 * kRounds;  // where the mover seldom gets a processor
  constexpr uint64_t kPromotions = 10;
  auto segment = MakeSmallSegment(96 << 10, 4);
  auto writer = RingStore::Attach(segment);
  auto mover = RingStore::Attach(segment);
  ASSERT_TRUE(writer.ok() && mover.ok());
  (*mover)->SetPromotionChance(1.0);
  std::atomic<bool> over{false};
  std::atomic<uint64_t> promotions{0};
  std::thread thread([&] {
    std::string value;
    while (!over.load(kTestOrder)) {
      (void)(*mover)->Get("hot", &value);
      promotions.store((*mover)->ReadCounters().promotions, kTestOrder);
    }
  });
  const auto enough = [&](int rounds) {
    return rounds >= kMostRounds ||
           (rounds >= kRounds && promotions.load(kTestOrder) > kPromotions);
  };
  const Geometry& geometry = (*writer)->geometry();
  const std::string cold(512, 'c');
  std::string value;
  int revived = 0;
  for (int round = 1; !enough(round - 1) && revived == 0; ++round) {
    const std::string newest = absl::StrCat("hot-", round);
    EXPECT_TRUE((*writer)->Put("hot", newest).ok());
    // Until the record is in the last quarter of its life.
    const uint64_t from = geometry.header->cursor.load(kTestOrder);
    for (uint64_t cursor = from; geometry.AgeOf(from, cursor) * 4 < geometry.chunk_count * 3;
         cursor = geometry.header->cursor.load(kTestOrder)) {
      EXPECT_TRUE((*writer)->Put(absl::StrCat("cold-", round % 8), cold).ok());
      if ((*writer)->Get("hot", &value).ok() && value != newest) ++revived;
    }
  }
  over.store(true, kTestOrder);
  thread.join();
  EXPECT_EQ(revived, 0);
  EXPECT_GT(promotions.load(kTestOrder), kPromotions);
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
        std::mt19937_64 random(TestSeed() + static_cast<uint64_t>(round * kThreads + i));
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

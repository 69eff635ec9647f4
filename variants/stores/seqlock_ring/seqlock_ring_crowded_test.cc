// Crowded buckets: which entries give way, and what the counters say of it.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/values.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {
namespace {

// What a bucket should hold: its six newest tags, and the key that each stands for.
using Crowd = std::vector<std::pair<uint64_t, std::string>>;  // oldest first

class CrowdedRing : public ::testing::Test {
 protected:
  CrowdedRing() {
    SegmentOptions options;
    options.size_bytes = 8u << 20;  // no lap within the test
    options.expected_entries = 1;   // the fewest buckets that there can be
    options.hash_seed = TestSeed();
    segment_ = *CreateSegment(options, 1);
    store_ = *RingStore::Attach(segment_);
  }

  Crowd& CrowdOf(const std::string& key) {
    const uint64_t hash = segment_->Hash(key);
    return crowds_[static_cast<uint64_t>(&store_->geometry().BucketOf(hash) -
                                         store_->geometry().buckets)];
  }
  void Put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(store_->Put(key, value).ok());
    const uint64_t tag = TagOfHash(segment_->Hash(key));
    Crowd& crowd = CrowdOf(key);
    const auto same = [tag](const auto& one) { return one.first == tag; };
    const bool replaces = std::erase_if(crowd, same) > 0;
    if (!replaces && crowd.size() == kSlotsPerBucket) {
      crowd.erase(crowd.begin());
      ++evictions_;
    }
    crowd.emplace_back(tag, key);
    values_[key] = value;
  }
  void ExpectExactlyTheNewest() {
    for (const auto& [key, value] : values_) {
      const Crowd& crowd = CrowdOf(key);
      const bool there = std::any_of(crowd.begin(), crowd.end(),
                                     [&](const auto& one) { return one.second == key; });
      std::string found;
      const absl::StatusOr<Version> got = store_->Get(key, &found);
      ++gets_;
      hits_ += there ? 1 : 0;
      EXPECT_EQ(got.ok(), there) << key;
      if (got.ok()) {
        EXPECT_TRUE(found == value) << key;
      }
    }
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<RingStore> store_;
  std::map<uint64_t, Crowd> crowds_;
  std::map<std::string, std::string> values_;
  uint64_t evictions_ = 0, gets_ = 0, hits_ = 0;
};

TEST_F(CrowdedRing, GivesUpTheOldestEntryOfABucketAndCountsTheTruth) {
  for (uint64_t i = 0; i < 900; ++i) {
    const std::string key = absl::StrCat("key-", i * 7 % 600);
    Put(key, Bytes(i % 67, i));
    if (i % 90 == 89) ExpectExactlyTheNewest();
  }
  // The premise: every bucket is full, and most have given up many.
  EXPECT_EQ(store_->ReadCounters().laps, 0u);
  EXPECT_GT(evictions_, 300u);
  for (const auto& [bucket, crowd] : crowds_) EXPECT_EQ(crowd.size(), size_t{kSlotsPerBucket});
  EXPECT_EQ(store_->ReadCounters().evictions, evictions_);
  EXPECT_EQ(store_->ReadCounters().hits, hits_);
  EXPECT_EQ(store_->ReadCounters().misses, gets_ - hits_);
}

TEST_F(CrowdedRing, CountsNoEvictionWhereThereIsRoom) {
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(store_->Put("alone", Bytes(100, 1)).ok());
  ASSERT_TRUE(store_->Erase("alone").value_or(false));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(store_->Put("comes and goes", "value").ok());
    ASSERT_TRUE(store_->Erase("comes and goes").value_or(false));
  }
  EXPECT_EQ(store_->ReadCounters().evictions, 0u);
}

}  // namespace
}  // namespace kill9::ring

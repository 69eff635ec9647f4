#include "harness/store_driver/workload.h"

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/base/histogram.h"
#include "harness/store_driver/shape/key_family.h"
#include "harness/torture/scenario.h"
#include "harness/torture/shape/large_rarely.h"

namespace kill9 {
namespace {

TEST(Keys, HaveDistinctTextsOfOneToTwoHundredFiftyBytes) {
  const KeyTable table(PlainKeys(2000), 100);
  std::set<std::string_view> texts;
  size_t longest = 0;
  for (uint64_t key = 0; key < table.size(); ++key) {
    EXPECT_TRUE(texts.insert(table.text(key)).second) << key;
    EXPECT_EQ(table.Find(table.text(key)), key);
    EXPECT_GE(table.text(key).size(), 1u);
    longest = std::max(longest, table.text(key).size());
  }
  EXPECT_EQ(longest, 250u);
  EXPECT_EQ(table.Find("key-5000"), table.size());
  EXPECT_EQ(table.Find("other"), table.size());
  EXPECT_EQ(table.Find(""), table.size());
}

std::map<uint64_t, int> Draw(KeyDistribution distribution, uint64_t keys, int draws) {
  const KeyChooser chooser(distribution, keys);
  Random random(1);
  std::map<uint64_t, int> counts;
  for (int i = 0; i < draws; ++i) {
    const uint64_t key = chooser.Choose(random, 50);
    EXPECT_LT(key, keys);
    ++counts[key];
  }
  return counts;
}

int Most(const std::map<uint64_t, int>& counts) {
  int most = 0;
  for (const auto& [key, count] : counts) most = std::max(most, count);
  return most;
}

TEST(Keys, UniformTakesAllAlike) {
  const auto counts = Draw(KeyDistribution::kUniform, 100, 100'000);
  EXPECT_EQ(counts.size(), 100u);
  EXPECT_LT(Most(counts), 1300);
}

TEST(Keys, ZipfianTakesTheMostPopularAsOftenAsItsLawSays) {
  double zeta = 0;
  for (int i = 1; i <= 1000; ++i) zeta += 1 / std::pow(i, 0.99);
  const int most = Most(Draw(KeyDistribution::kZipfian, 1000, 100'000));
  EXPECT_NEAR(most, 100'000 / zeta, 2500);  // two ranks may be scattered to one key
}

TEST(Keys, HotspotMeetsOnOneKeyOfAHundred) {
  EXPECT_GT(Draw(KeyDistribution::kHotspot, 100, 10'000)[0], 9300);
}

TEST(Keys, LatestFavoursTheKeyInsertedLast) {
  const auto counts = Draw(KeyDistribution::kLatest, 100, 10'000);
  EXPECT_EQ(Most(counts), counts.at(49));
}

TEST(Workload, FollowsFromItsSeed) {
  const Workload& workload = *FindWorkload("mixed");
  const WorkloadGenerator generator(workload, workload.mix);
  Random one(5, 3), same(5, 3), other(5, 4);
  int differences = 0;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(generator.NextAction(one), generator.NextAction(same));
    EXPECT_EQ(generator.NextKey(one, 0), generator.NextKey(same, 0));
    const uint32_t size = generator.NextSize(one, 8);
    EXPECT_EQ(size, generator.NextSize(same, 8));
    differences += generator.NextSize(other, 8) != size;
  }
  EXPECT_GT(differences, 500);
}

TEST(Workload, MixesAsItSays) {
  for (const Workload& workload : AllWorkloads()) {
    const WorkloadGenerator generator(workload, workload.mix);
    Random random(1);
    std::vector<int> counts(kActions);
    for (int i = 0; i < 100'000; ++i) ++counts[static_cast<size_t>(generator.NextAction(random))];
    for (size_t action = 0; action < kActions; ++action) {
      EXPECT_NEAR(counts[action], workload.mix.per_mille[action] * 100, 700) << workload.name;
    }
  }
}

TEST(Workload, DoesWithoutWhatAStoreDoesNotHave) {
  Traits traits;
  traits.has_compare_and_swap = traits.has_pin = traits.has_draft = false;
  const Mix mix = AdaptMix(FindWorkload("mixed")->mix, traits);
  for (const Action action : {Action::kCompareAndSwap, Action::kPin, Action::kDraft}) {
    EXPECT_EQ(mix.per_mille[static_cast<size_t>(action)], 0);
  }
  EXPECT_EQ(std::accumulate(mix.per_mille.begin(), mix.per_mille.end(), 0), 1000);
}

TEST(Workload, SizesReachBothEnds) {
  Workload workload = *FindWorkload("mixed");
  for (const bool spread : {false, true}) {
    workload.sizes = {0, 20, spread};
    const WorkloadGenerator generator(workload, workload.mix);
    Random random(1);
    std::set<uint32_t> sizes;
    for (int i = 0; i < 20'000; ++i) sizes.insert(generator.NextSize(random, 8));
    EXPECT_EQ(*sizes.begin(), 0u);
    EXPECT_EQ(*sizes.rbegin(), 20u);
  }
}

TEST(Workload, LargeValuesComeAndAreSoRareThatAStepCopiesLittle) {
  Workload workload = *FindWorkload("mixed");
  for (const bool at_edges : {false, true}) {
    workload.sizes = {0, 32u << 20, /*spread=*/false, at_edges};
    constexpr uint32_t kEdges[] = {20u << 20};
    const WorkloadGenerator generator(workload, workload.mix,
                                      {.entry_bytes = {}, .value_bytes = kEdges});
    constexpr uint64_t kSteps = 20'000;
    Random random(1);
    uint64_t sum = 0, large = 0;
    for (uint64_t i = 0; i < kSteps; ++i) {
      const uint64_t bytes = generator.NextSize(random, 8);
      sum += bytes;
      large += bytes > (10u << 20) ? 1 : 0;
    }
    EXPECT_LT(sum / kSteps, 2 * kOftenBytes) << at_edges;
    EXPECT_GT(large, 10u) << at_edges;
  }
}

TEST(Workload, ErasesOnlyKeysThatAreNotPermanent) {
  const Workload& workload = *FindWorkload("mixed");
  const WorkloadGenerator generator(workload, workload.mix);
  for (uint64_t key = 0; key < workload.keys; ++key) {
    const uint64_t erasable = generator.ErasableKey(key);
    EXPECT_LT(erasable, workload.keys);
    EXPECT_FALSE(IsPermanent(erasable));
  }
}

TEST(Scenarios, HaveDistinctNamesAndSummaries) {
  std::set<std::string_view> names;
  for (const Scenario& scenario : AllScenarios()) {
    EXPECT_TRUE(names.insert(scenario.name).second);
    EXPECT_FALSE(scenario.summary.empty());
    EXPECT_EQ(FindScenario(scenario.name), &scenario);
    EXPECT_EQ(scenario.timer.life_us == 0 && scenario.outside == OutsideKills::kNone,
              scenario.nobody_dies);
  }
  EXPECT_EQ(names.size(), 31u);  // of all kinds
  EXPECT_EQ(FindScenario("none"), nullptr);
}

TEST(Histogram, QuantilesAreWithinAnEighth) {
  Histogram histogram{};
  EXPECT_EQ(histogram.Quantile(0.5), 0u);
  for (uint64_t i = 1; i <= 10'000; ++i) histogram.Add(i);
  EXPECT_EQ(histogram.count(), 10'000u);
  EXPECT_NEAR(static_cast<double>(histogram.Quantile(0.5)), 5000, 5000 / 8.0);
  EXPECT_NEAR(static_cast<double>(histogram.Quantile(0.99)), 9900, 9900 / 8.0);
  EXPECT_EQ(histogram.largest(), 10'000u);
  for (const uint64_t value :
       {uint64_t{0}, uint64_t{7}, uint64_t{8}, uint64_t{1000}, ~uint64_t{0}}) {
    const double middle = static_cast<double>(Histogram::MiddleOf(Histogram::BucketOf(value)));
    EXPECT_NEAR(middle, static_cast<double>(value), static_cast<double>(value) / 8 + 1);
  }
}

}  // namespace
}  // namespace kill9

// Shards are disjoint, complete and balanced, whatever the order of the units; merged, they say
// what the whole says, and never more.
#include "harness/result/shard.h"

#include <algorithm>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/merge.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> Units(size_t count) {
  std::vector<std::string> units;
  for (size_t n = 0; n < count; ++n) units.push_back(absl::StrCat("design cell_", n));
  return units;
}

TEST(Shard, IsReadAsItIsWritten) {
  const absl::StatusOr<Shard> shard = ParseShard("3/16");
  ASSERT_TRUE(shard.ok());
  EXPECT_EQ(shard->index, 3u);
  EXPECT_EQ(shard->of, 16u);
  EXPECT_FALSE(shard->whole());
  EXPECT_TRUE(ParseShard("1/1")->whole());
  for (const char* wrong : {"", "3", "/", "3/", "/3", "0/3", "4/3", "-1/3", "1/0", "1/3 ", " 1/3",
                            "1/3/3", "a/b", "1/1000001", "1/99999999999"}) {
    EXPECT_FALSE(ParseShard(wrong).ok()) << wrong;
  }
}

TEST(Shard, EachUnitIsInOneAndNoneIsEmpty) {
  for (const size_t count : {1u, 7u, 52u, 1000u}) {
    const std::vector<std::string> units = Units(count);
    for (const uint32_t of : {1u, 2u, 5u, 7u, 16u}) {
      if (of > count) continue;
      std::multiset<size_t> all;
      for (uint32_t index = 1; index <= of; ++index) {
        const absl::StatusOr<std::vector<size_t>> share = ShareOf({index, of}, units);
        ASSERT_TRUE(share.ok());
        EXPECT_TRUE(std::is_sorted(share->begin(), share->end()));
        EXPECT_GE(share->size(), count / of);
        EXPECT_LE(share->size(), count / of + 1);
        all.insert(share->begin(), share->end());
      }
      EXPECT_EQ(all.size(), count);
      EXPECT_EQ(std::set<size_t>(all.begin(), all.end()).size(), count);
    }
  }
  EXPECT_THAT(ShareOf({1, 8}, Units(7)).status().message(), HasSubstr("only 7 units"));
}

TEST(Shard, AreTheSameInWhateverOrderTheUnitsCome) {
  std::vector<std::string> units = Units(100);
  const auto second_shard = [&units] {
    const std::vector<size_t> share = *ShareOf({2, 3}, units);
    std::set<std::string> names;
    for (const size_t unit : share) names.insert(units[unit]);
    return names;
  };
  const std::set<std::string> before = second_shard();
  std::shuffle(units.begin(), units.end(), std::mt19937_64(7));
  EXPECT_EQ(second_shard(), before);
}

// A run of a sweep, whole or a shard of it.
Json ResultOf(const Shard& shard, const std::vector<std::string>& units) {
  Json result = NewResult("sweep", 7);
  result["interrupted"] = false;
  result["seconds"] = 1.5;
  result["kill_points"] = 0;
  result["kill_points_per_second"] = 0;
  const std::vector<size_t> share = *ShareOf(shard, units);
  std::vector<size_t> with_code, reached, never;  // a line of each unit; the last is never reached
  for (size_t unit = 0; unit < units.size(); ++unit) {
    with_code.push_back(unit);
    const bool mine = std::find(share.begin(), share.end(), unit) != share.end();
    (mine && unit != 4 ? reached : never).push_back(unit);
    if (!mine) continue;
    Json run = {{"variant", "design"},
                {"scenario", absl::StrCat("cell_", unit)},
                {"verdict", "pass"},
                {"kill_points", unit}};
    if (!shard.whole()) run["unit"] = units[unit];
    result["runs"].push_back(std::move(run));
  }
  Json coverage = {{"variant", "design"},
                   {"instructions_executed", 10 * share.size()},
                   {"instructions_killed_at", share.size()},
                   {"instructions_spoken_for", 9 * share.size()},
                   {"kill_coverage", 1.0},
                   {"kill_coverage_direct", 0.1},
                   {"instructions_outside_the_store", 0},
                   {"addresses", 3},
                   {"lines_with_code", units.size()},
                   {"lines_reached", reached.size()},
                   {"lines_killed_at", reached.size()},
                   {"lines_covered", reached.size()},
                   {"lines_never_reached", {{"a.cc", never}}}};
  if (!shard.whole()) {
    coverage["line_sets"] = {{"a.cc",
                              {{"with_code", with_code},
                               {"reached", reached},
                               {"killed_at", reached},
                               {"covered", reached}}}};
  }
  result["coverage"] = {coverage};
  if (!shard.whole()) result["shard"] = DescribeShard(shard, units);
  return result;
}

std::vector<ShardResult> AllShards(uint32_t of, const std::vector<std::string>& units) {
  std::vector<ShardResult> shards;
  for (uint32_t index = of; index >= 1; --index) {
    shards.push_back({absl::StrCat(index, ".json"), ResultOf({index, of}, units)});
  }
  return shards;
}

TEST(Merge, OfAllShardsIsTheWhole) {
  const std::vector<std::string> units = Units(5);
  const absl::StatusOr<Json> merged = MergeShards(AllShards(3, units));
  ASSERT_TRUE(merged.ok()) << merged.status();
  const Json whole = ResultOf({}, units);
  EXPECT_EQ((*merged)["runs"], whole["runs"]);
  for (const char* field : {"schema", "kind", "seed", "build", "host", "interrupted"}) {
    EXPECT_EQ((*merged)[field], whole[field]) << field;
  }
  for (const char* field : {"instructions_executed", "instructions_killed_at",
                            "instructions_spoken_for", "kill_coverage", "kill_coverage_direct",
                            "lines_with_code", "lines_reached", "lines_never_reached"}) {
    EXPECT_EQ((*merged)["coverage"][0][field], whole["coverage"][0][field]) << field;
  }
  EXPECT_EQ((*merged)["coverage"][0]["lines_reached"], 4);
  EXPECT_FALSE((*merged)["coverage"][0].contains("addresses"));
  EXPECT_FALSE(merged->contains("shard"));
  EXPECT_EQ((*merged)["seconds"], 4.5);
}

TEST(Merge, WhatIsMissingIsUndecided) {
  const std::vector<std::string> units = Units(5);
  std::vector<ShardResult> shards = AllShards(3, units);
  const size_t lost = shards[1].json["runs"].size();
  ASSERT_GE(lost, 1u);
  shards.erase(shards.begin() + 1);
  shards[0].json["runs"].erase(0);  // interrupted
  const absl::StatusOr<Json> merged = MergeShards(shards);
  ASSERT_TRUE(merged.ok()) << merged.status();
  ASSERT_EQ((*merged)["runs"].size(), units.size());
  EXPECT_EQ((*merged)["interrupted"], true);
  size_t undecided = 0, is_missing = 0;
  for (size_t n = 0; n < units.size(); ++n) {
    const Json& run = (*merged)["runs"][n];
    EXPECT_EQ(run["scenario"], absl::StrCat("cell_", n));
    undecided += run["verdict"] == "undecided";
    is_missing += TextField(run, "reason") == "shard 2/3 is missing";
  }
  EXPECT_EQ(is_missing, lost);
  EXPECT_EQ(undecided, lost + 1);
}

TEST(Merge, RefusesWhatIsNotOfOneRun) {
  const std::vector<std::string> units = Units(5);
  const auto refusal = [&](auto change) {
    std::vector<ShardResult> shards = AllShards(2, units);
    change(shards[1].json);
    return std::string(MergeShards(shards).status().message());
  };
  EXPECT_EQ(refusal([](Json&) {}), "");
  const auto set = [&](const char* field, Json value) {
    return refusal([&](Json& json) { json[field] = value; });
  };
  EXPECT_THAT(set("seed", 8), HasSubstr("not shards of one run"));
  EXPECT_THAT(set("kind", "torture"), HasSubstr("not shards of one run"));
  EXPECT_THAT(set("build", {{"compiler", "another"}}), HasSubstr("different builds"));
  EXPECT_THAT(set("host", {{"string_instructions", "VIA"}}), HasSubstr("string instructions"));
  EXPECT_THAT(set("shard", 3), HasSubstr("made without --shard"));
  EXPECT_THAT(set("shard", {{"index", 1}, {"of", 2}}), HasSubstr("is damaged"));
  EXPECT_THAT(set("schema", "none"), HasSubstr("no result file"));
  EXPECT_THAT(refusal([](Json& json) { json["shard"]["of"] = 3u; }),
              HasSubstr("not shards of one run"));
  EXPECT_THAT(refusal([](Json& json) { json["runs"][0]["unit"] = "other"; }),
              HasSubstr("has no unit 'other'"));
  EXPECT_THAT(set("coverage", {7}), HasSubstr("not as kill9 writes it"));
  std::vector<ShardResult> twice = AllShards(2, units);
  twice.push_back(twice[0]);
  EXPECT_THAT(MergeShards(twice).status().message(), HasSubstr("are both shard 2/2"));
  EXPECT_FALSE(MergeShards({}).ok());
}

}  // namespace
}  // namespace kill9

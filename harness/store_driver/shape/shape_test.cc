// Shapes: their text, how they are drawn, that each fits its design, and that all classes come.
#include "harness/store_driver/shape/shape.h"

#include <map>
#include <numeric>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/store_driver/shape/draw_shape.h"
#include "harness/store_driver/shape/shape_classes.h"
#include "harness/store_driver/store_driver.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

std::vector<const Variant*> Designs() {
  std::vector<const Variant*> designs;
  for (const Variant* variant : AllVariants()) {
    if (variant->role() == Design::Role::kDesign) designs.push_back(variant);
  }
  return designs;
}

// Small, so that a thousand of them are made in moments.
ShapeBounds Small(const Scenario& scenario) {
  ShapeBounds bounds = BoundsOf(scenario);
  bounds.least_participants = 4;
  bounds.most_segment_bytes = 2u << 20;
  return bounds;
}

DrawnShape Drawn(const Variant& variant, const ShapeBounds& bounds, uint64_t seed) {
  Random random(seed);
  const StoreShape usual{.participants = 8};
  absl::StatusOr<DrawnShape> drawn = DrawShape(variant, usual, seed, bounds, random);
  if (!drawn.ok()) {
    ADD_FAILURE() << variant.name() << " seed " << seed << ": " << drawn.status();
    std::abort();
  }
  return *std::move(drawn);
}

TEST(Shape, IsReadBackFromItsText) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const StoreShape shape =
        Drawn(*FindVariant("striped_locks"), Small(*FindScenario("steady")), seed).shape;
    StoreShape read;
    ASSERT_TRUE(ParseShape(ShapeText(shape), &read).ok()) << ShapeText(shape);
    EXPECT_EQ(read, shape) << ShapeText(shape);
  }
}

// A segment that keeps terms has less room, and each of its entries is longer.
TEST(Shape, OfASegmentWithTermsHasValuesThatItTakes) {
  int longest = 0;
  for (const Variant* variant : Designs()) {
    ShapeBounds bounds = Small(*FindScenario("expiry"));
    bounds.keeps_terms = true;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      const StoreShape shape = Drawn(*variant, bounds, seed).shape;
      SegmentOptions options;
      ApplyTo(shape, &options);
      options.expected_entries = std::min(options.expected_entries, options.size_bytes);
      options.hash_seed = seed;
      options.keeps_terms = true;
      const auto segment = variant->Create(options);
      ASSERT_TRUE(segment.ok()) << segment.status() << " " << ShapeText(shape);
      const size_t most = (*variant->Attach(*segment))->max_value_bytes();
      EXPECT_LE(shape.sizes.largest, most) << variant->name() << " " << ShapeText(shape);
      longest += shape.sizes.largest == most ? 1 : 0;
    }
  }
  EXPECT_GT(longest, 0) << "no shape went to the bound: vacuous";
}

TEST(Shape, ChangesOnlyWhatItsTextNames) {
  StoreShape shape{.keys = 77};
  ASSERT_TRUE(ParseShape("stripes=64,without=erase+for_each,values=197", &shape).ok());
  StoreShape expected{.stripes = 64, .keys = 77, .sizes = {197, 197, false, false}};
  expected.without =
      1u << static_cast<int>(Action::kErase) | 1u << static_cast<int>(Action::kForEach);
  EXPECT_EQ(shape, expected);
}

TEST(Shape, SaysWhatIsWrongWithAText) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "is no field=value"},
      {"stripes", "is no field=value"},
      {"colour=red", "a shape has no 'colour'; it has: segment,"},
      {"stripes=3", "stripes: 3 is no power of two"},
      {"stripes=many", "stripes: 'many' is no whole number from 0 to 4096"},
      {"keys=0", "keys: '0' is no whole number from 1"},
      {"keys=5,keys=6", "keys: it is said twice"},
      {"values=9..4", "values: '4' is no whole number from 9"},
      {"family=round", "family: there is no 'round'; known are: plain, ends"},
      {"choose=best", "choose: there is no 'best'; known are: uniform"},
      {"sizes=large", "sizes: there is no 'large'; known are: uniform, spread, edges"},
      {"without=idle", "without: there is no 'idle'; known are: get, put"},
      {"without=put+draft+compare_and_swap", "without: nothing would ever be written"},
      {"segment=65536,entries=70000", "entries: 70000 are expected, of a segment of 65536 bytes"},
      {"segment=-1", "segment: '-1' is no whole number"}};
  for (const auto& [text, message] : wrong) {
    StoreShape shape;
    const absl::Status status = ParseShape(text, &shape);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

TEST(Shape, ThatDoesNotFitItsDesignIsRefusedWithTheReason) {
  const ShapeBounds bounds{.least_participants = 4};
  const auto refused = [&](const char* text) {
    StoreShape shape;
    EXPECT_TRUE(ParseShape(text, &shape).ok()) << text;
    return std::string(
        FitShape(*FindVariant("striped_locks"), shape, 1, bounds).status().message());
  };
  EXPECT_THAT(refused("participants=3"), HasSubstr("participants: the run needs from 4"));
  EXPECT_THAT(refused("segment=1048576,values=0..4000000"), HasSubstr("takes"));
  EXPECT_THAT(refused("segment=65536,stripes=256"), HasSubstr("too small"));
}

TEST(Shape, FollowsFromItsSeed) {
  const Variant& variant = *FindVariant("cas_slots");
  const ShapeBounds bounds = Small(*FindScenario("steady"));
  std::set<std::string> texts;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const std::string text = ShapeText(Drawn(variant, bounds, seed).shape);
    EXPECT_EQ(ShapeText(Drawn(variant, bounds, seed).shape), text);
    texts.insert(text);
  }
  EXPECT_EQ(texts.size(), 30u);
}

TEST(Shape, DrawnFitsEveryDesignInEveryScenario) {
  const StoreDriver driver;
  for (const Variant* variant : Designs()) {
    for (const Scenario& scenario : driver.scenarios()) {
      for (uint64_t seed = 1; seed <= 10; ++seed) {
        const ShapeBounds bounds = Small(scenario);
        const StoreShape shape = Drawn(*variant, bounds, seed).shape;
        EXPECT_TRUE(CheckShape(shape).ok()) << ShapeText(shape);
        const absl::Status fits = FitShape(*variant, shape, seed, bounds).status();
        EXPECT_TRUE(fits.ok()) << variant->name() << " " << ShapeText(shape) << ": " << fits;
        EXPECT_EQ(shape.stripes != 0 && variant->name() != std::string_view("striped_locks"),
                  false);
      }
    }
  }
}

TEST(Shape, LeavesAFullTableFull) {
  ShapeBounds bounds = Small(*FindScenario("full_table"));
  bounds.most_participants = bounds.least_participants;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const uint32_t participants =
        Drawn(*FindVariant("global_mutex"), bounds, seed).shape.participants;
    EXPECT_TRUE(participants == 4 || participants == 8) << participants;
  }
}

// What a thousand runs would see, but for what needs more memory than this test takes.
TEST(Shape, OfEveryClassIsDrawn) {
  std::map<std::string, std::set<std::string>> seen;
  for (const Variant* variant : Designs()) {
    for (uint64_t seed = 1; seed <= 150; ++seed) {
      const StoreShape shape = Drawn(*variant, Small(*FindScenario("steady")), seed).shape;
      for (const ShapeDimension& dimension : ClassesOf(shape, 4)) {
        seen[std::string(dimension.name)].insert(dimension.classes.begin(),
                                                 dimension.classes.end());
      }
    }
  }
  for (const ShapeDimension& dimension : AllShapeClasses()) {
    for (const std::string& one : dimension.classes) {
      const bool needs_memory = dimension.name == "segment" && one != "to 8 MiB";
      if (needs_memory || one == "more") continue;
      EXPECT_TRUE(seen[std::string(dimension.name)].contains(one))
          << dimension.name << ": " << one << " was never drawn";
    }
  }
}

TEST(Shape, WithoutSomeActionsChoosesTheOthersSoMuchMoreOften) {
  StoreShape shape;
  ASSERT_TRUE(ParseShape("without=get+erase+pin", &shape).ok());
  const Mix mix = WithoutAbsent(FindWorkload("mixed")->mix, shape);
  EXPECT_EQ(std::accumulate(mix.per_mille.begin(), mix.per_mille.end(), 0), 1000);
  for (const Action absent : {Action::kGet, Action::kErase, Action::kPin}) {
    EXPECT_EQ(mix.per_mille[static_cast<size_t>(absent)], 0);
  }
  for (const Action left : {Action::kPut, Action::kDraft, Action::kForEach, Action::kIdle}) {
    EXPECT_GT(mix.per_mille[static_cast<size_t>(left)], 0);
  }
}

TEST(KeyFamilies, HaveDifferentKeysThatEveryDesignTakes) {
  for (const Variant* variant : Designs()) {
    const absl::StatusOr<ShapeTrial> trial = TryShape(*variant, StoreShape{.participants = 4}, 9);
    ASSERT_TRUE(trial.ok()) << trial.status();
    auto store = variant->Attach(trial->segment);
    ASSERT_TRUE(store.ok());
    for (const KeyFamily family : kKeyFamilies) {
      const std::vector<std::string> keys =
          KeysOf(family, 500, variant->traits().edges.max_key_bytes,
                 [&](std::string_view key) { return trial->segment->Hash(key); });
      EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 500u)
          << KeyFamilyName(family);
      for (const std::string& key : keys) {
        EXPECT_GE(key.size(), 1u);
        EXPECT_LE(key.size(), (*store)->max_key_bytes()) << KeyFamilyName(family);
      }
    }
    EXPECT_EQ((*store)->max_key_bytes(), variant->traits().edges.max_key_bytes);
  }
}

TEST(KeyFamilies, TwinsAgreeInHalfOfTheirHashOrInBucketAndTag) {
  const absl::StatusOr<ShapeTrial> trial =
      TryShape(*FindVariant("cas_slots"), StoreShape{.participants = 4}, 9);
  ASSERT_TRUE(trial.ok()) << trial.status();
  const auto hash = [&](std::string_view key) { return trial->segment->Hash(key); };
  const std::vector<std::string> keys = KeysOf(KeyFamily::kTwins, 300, 250, hash);
  int low = 0, high = 0, bucket_and_tag = 0;
  for (size_t i = 1; i < keys.size(); ++i) {
    const uint64_t a = hash(keys[i - 1]), b = hash(keys[i]);
    low += (a & 0xffffffff) == (b & 0xffffffff);
    high += a >> 32 == b >> 32;
    bucket_and_tag += a >> 58 == b >> 58 && (a & 0xfff) == (b & 0xfff);
  }
  EXPECT_GE(low, 2);
  EXPECT_GE(high, 2);
  EXPECT_GE(bucket_and_tag, 20);
}

TEST(EdgeSizes, MeetBothSidesOfEveryEdgeOfTheDesign) {
  for (const Variant* variant : Designs()) {
    const SizeEdges& edges = variant->traits().edges;
    Workload workload = *FindWorkload("mixed");
    workload.sizes = {0, 70'000, false, true};
    const WorkloadGenerator generator(workload, workload.mix, edges);
    Random random(7);
    std::set<uint64_t> sizes;
    constexpr size_t kKeyBytes = 13;
    for (int i = 0; i < 20'000; ++i) sizes.insert(generator.NextSize(random, kKeyBytes));
    EXPECT_EQ(*sizes.begin(), 0u);
    EXPECT_EQ(*sizes.rbegin(), 70'000u);
    ASSERT_FALSE(edges.entry_bytes.empty()) << variant->name();
    const uint64_t unit = edges.key_unit_bytes;
    const uint64_t before = edges.overhead_bytes + (kKeyBytes + unit - 1) / unit * unit;
    for (const uint32_t edge : edges.entry_bytes) {
      if (edge <= before || edge - before >= 70'000) continue;
      for (const uint64_t size : {edge - before - 1, edge - before, edge - before + 1}) {
        EXPECT_TRUE(sizes.contains(size)) << variant->name() << " " << size;
      }
    }
    for (const uint32_t edge : edges.value_bytes) EXPECT_TRUE(sizes.contains(edge + 1));
  }
}

}  // namespace
}  // namespace kill9

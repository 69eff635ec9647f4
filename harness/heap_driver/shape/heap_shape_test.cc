// Shapes of runs on heaps: their text, how they are drawn, that each fits its design, that the
// design's edges are met, and that all classes come.
#include "harness/heap_driver/shape/heap_shape.h"

#include <map>
#include <set>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/heap_driver/heap_driver.h"
#include "harness/heap_driver/shape/draw_heap_shape.h"
#include "harness/torture/shape/large_rarely.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

std::vector<const HeapDesign*> Designs() {
  std::vector<const HeapDesign*> designs;
  for (const HeapDesign* design : AllHeaps()) {
    if (design->role() == Design::Role::kDesign) designs.push_back(design);
  }
  return designs;
}

const Scenario& ScenarioOf(std::string_view name) {
  static const HeapDriver driver;
  for (const Scenario& scenario : driver.scenarios()) {
    if (scenario.name == name) return scenario;
  }
  std::abort();
}

// Small, so that hundreds of them are made in moments.
HeapShapeBounds Small(const Scenario& scenario) {
  HeapShapeBounds bounds = HeapBoundsOf(scenario);
  bounds.least_participants = 4;
  bounds.most_segment_bytes = 2u << 20;
  return bounds;
}

DrawnHeapShape Drawn(const HeapDesign& design, const Scenario& scenario,
                     const HeapShapeBounds& bounds, uint64_t seed) {
  Random random(seed);
  const HeapShape usual{.segment_bytes = scenario.segment_bytes, .participants = 8};
  absl::StatusOr<DrawnHeapShape> drawn = DrawShape(design, usual, seed, bounds, random);
  if (!drawn.ok()) {
    ADD_FAILURE() << design.name() << " seed " << seed << ": " << drawn.status();
    std::abort();
  }
  return *std::move(drawn);
}

TEST(HeapShape, IsReadBackFromItsText) {
  const Scenario& steady = ScenarioOf("steady");
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const HeapShape shape = Drawn(*Designs().front(), steady, Small(steady), seed).shape;
    HeapShape read;
    ASSERT_TRUE(ParseShape(ShapeText(shape), &read).ok()) << ShapeText(shape);
    EXPECT_EQ(read, shape) << ShapeText(shape);
  }
}

TEST(HeapShape, ChangesOnlyWhatItsTextNames) {
  HeapShape shape{.most_held = 77};
  ASSERT_TRUE(ParseShape("blocks=197,sizes=edges,without=transfer+wait", &shape).ok());
  const HeapShape expected{
      .smallest_bytes = 197,
      .largest_bytes = 197,
      .sizes = BlockSizes::kEdges,
      .most_held = 77,
      .without = WithoutBit(HeapAction::kTransfer) | WithoutBit(HeapAction::kWait)};
  EXPECT_EQ(shape, expected);
}

TEST(HeapShape, SaysWhatIsWrongWithAText) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "is no field=value"},
      {"keys=5", "a shape has no 'keys'; it has: segment, participants, idle, blocks"},
      {"held=0", "held: '0' is no whole number from 1"},
      {"held=5,held=6", "held: it is said twice"},
      {"blocks=9..4", "blocks: '4' is no whole number from 9"},
      {"sizes=large", "sizes: there is no 'large'; known are: uniform, spread, edges"},
      {"without=free", "without: there is no 'free'; known are: share, transfer"},
      {"segment=-1", "segment: '-1' is no whole number"}};
  const HeapDriver driver;
  for (const auto& [text, message] : wrong) {
    const absl::Status status = driver.CheckShape(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

TEST(HeapShape, ThatDoesNotFitItsDesignIsRefusedWithTheReason) {
  const HeapShapeBounds bounds{.least_participants = 4};
  for (const HeapDesign* design : Designs()) {
    const auto refused = [&](const char* text) {
      HeapShape shape;
      EXPECT_TRUE(ParseShape(text, &shape).ok()) << text;
      return std::string(FitShape(*design, shape, 1, bounds).status().message());
    };
    EXPECT_THAT(refused("participants=3"), HasSubstr("participants: the run needs from 4"));
    EXPECT_THAT(refused("segment=1048576,blocks=0..4000000"), HasSubstr("has room for"));
  }
}

TEST(HeapShape, FollowsFromItsSeed) {
  const Scenario& steady = ScenarioOf("steady");
  std::set<std::string> texts;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto text = [&] {
      return ShapeText(Drawn(*Designs().back(), steady, Small(steady), seed).shape);
    };
    texts.insert(text());
    EXPECT_TRUE(texts.contains(text()));
  }
  EXPECT_EQ(texts.size(), 20u);
}

TEST(HeapShape, DrawnFitsEveryDesignInEveryScenarioAndKeepsWhatItNeeds) {
  const HeapDriver driver;
  for (const HeapDesign* design : Designs()) {
    for (const Scenario& scenario : driver.scenarios()) {
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        const HeapShapeBounds bounds = Small(scenario);
        const HeapShape shape = Drawn(*design, scenario, bounds, seed).shape;
        const absl::Status fits = FitShape(*design, shape, seed, bounds).status();
        EXPECT_TRUE(fits.ok()) << design->name() << " " << ShapeText(shape) << ": " << fits;
        EXPECT_EQ(shape.without & bounds.kept, 0u) << scenario.name << " " << ShapeText(shape);
        if (scenario.needs.refusals) {
          EXPECT_EQ(shape.largest_bytes, HeapShape().largest_bytes) << scenario.name;
          EXPECT_LE(shape.segment_bytes, 2 * scenario.segment_bytes) << ShapeText(shape);
        }
      }
    }
  }
}

TEST(HeapShape, LacksInTheWorkloadWhatItNames) {
  HeapShape shape;
  ASSERT_TRUE(ParseShape("without=share+transfer+reserve+wait", &shape).ok());
  HeapWorkload shaped = Shaped(*FindHeapWorkload("waiting"), shape);
  EXPECT_EQ(shaped.hands_over + shaped.reserves + shaped.waits + shaped.waits_forever, 0);
  ASSERT_TRUE(ParseShape("without=share", &shape).ok());
  shaped = Shaped(*FindHeapWorkload("shared"), shape);
  EXPECT_GT(shaped.hands_over, 0);
  EXPECT_TRUE(shaped.transfers && !shaped.shares);
}

// One byte more than an edge is rounded up to another block, and no byte less is.
TEST(HeapShape, EdgesAreWhereTheDesignsBlocksEnd) {
  for (const HeapDesign* design : Designs()) {
    const HeapShape shape{.segment_bytes = 2u << 20, .participants = 4};
    const absl::StatusOr<HeapShapeTrial> trial = TryShape(*design, shape, 1);
    ASSERT_TRUE(trial.ok()) << trial.status();
    ASSERT_GE(trial->edges.size(), 20u) << design->name();
    SegmentOptions options;
    ApplyTo(shape, &options);
    const auto segment = design->Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    const auto heap = design->Attach(*segment);
    ASSERT_TRUE(heap.ok()) << heap.status();
    const auto rounding = [&](uint64_t bytes) {
      const absl::StatusOr<BlockHandle> block = (*heap)->Allocate(bytes, Deadline::None());
      EXPECT_TRUE(block.ok()) << block.status();
      const uint64_t rounded = (*heap)->Account()->rounding_bytes;
      EXPECT_TRUE((*heap)->Free(*block).ok());
      return rounded;
    };
    for (const uint32_t edge : trial->edges) {
      EXPECT_EQ(rounding(edge), 0u) << design->name() << " " << edge;
      EXPECT_GT(rounding(edge + 1), 0u) << design->name() << " " << edge;
    }
  }
}

TEST(HeapShape, SizesMeetBothSidesOfEveryEdgeAndTheEndsOfTheRange) {
  const std::vector<uint32_t> edges = {8, 24, 100, 1000, 5000};
  const HeapWorkload workload{
      .name = "a test", .smallest_bytes = 10, .largest_bytes = 2000, .sizes = BlockSizes::kEdges};
  Random random(7);
  std::set<uint32_t> sizes;
  for (int i = 0; i < 2000; ++i) sizes.insert(workload.NextSize(random, edges));
  EXPECT_THAT(
      sizes, ::testing::ElementsAre(10, 11, 23, 24, 25, 99, 100, 101, 999, 1000, 1001, 1999, 2000));
}

// A worker lives for milliseconds, and a block of 60 MiB takes some tens of them.
TEST(HeapShape, LargeBlocksComeAndAreSoRareThatAStepFillsLittle) {
  const std::vector<uint32_t> edges = {100, 5000, 1u << 20, 8u << 20, 30u << 20, 50u << 20};
  for (const BlockSizes sizes : {BlockSizes::kUniform, BlockSizes::kSpread, BlockSizes::kEdges}) {
    const HeapWorkload workload{.name = "a test", .largest_bytes = 63u << 20, .sizes = sizes};
    constexpr uint64_t kSteps = 100'000;
    Random random(7);
    uint64_t sum = 0, large = 0;
    for (uint64_t i = 0; i < kSteps; ++i) {
      const uint64_t bytes = workload.NextSize(random, edges);
      sum += bytes;
      large += bytes > (20u << 20) ? 1 : 0;
    }
    EXPECT_LT(sum / kSteps, 2 * kOftenBytes) << static_cast<int>(sizes);
    EXPECT_GT(large, 50u) << static_cast<int>(sizes);
  }
}

// What a thousand runs would see, but for what needs more memory than this test takes.
TEST(HeapShape, OfEveryClassIsDrawn) {
  const Scenario& steady = ScenarioOf("steady");
  std::map<std::string, std::set<std::string>> seen;
  for (const HeapDesign* design : Designs()) {
    for (uint64_t seed = 1; seed <= 120; ++seed) {
      const HeapShape shape = Drawn(*design, steady, Small(steady), seed).shape;
      for (const ShapeDimension& dimension : ClassesOf(shape, 4)) {
        seen[std::string(dimension.name)].insert(dimension.classes.begin(),
                                                 dimension.classes.end());
      }
    }
  }
  for (const ShapeDimension& dimension : AllHeapShapeClasses()) {
    for (const std::string& one : dimension.classes) {
      const bool needs_memory = dimension.name == "segment" && one != "to 8 MiB";
      if (needs_memory || (dimension.name == "blocks" && one == "more")) continue;
      EXPECT_TRUE(seen[std::string(dimension.name)].contains(one))
          << dimension.name << ": " << one << " was never drawn";
    }
  }
}

}  // namespace
}  // namespace kill9

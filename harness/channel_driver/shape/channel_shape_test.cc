// Shapes of runs on channels: their text, how they are drawn, that each fits its design, and that
// all classes come.
#include "harness/channel_driver/shape/channel_shape.h"

#include <map>
#include <set>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/channel_driver/channel_driver.h"
#include "harness/channel_driver/shape/draw_channel_shape.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

std::vector<const ChannelDesign*> Designs() {
  std::vector<const ChannelDesign*> designs;
  for (const ChannelDesign* design : AllChannels()) {
    if (design->role() == Design::Role::kDesign) designs.push_back(design);
  }
  return designs;
}

const Scenario& ScenarioOf(std::string_view name) {
  static const ChannelDriver driver;
  for (const Scenario& scenario : driver.scenarios()) {
    if (scenario.name == name) return scenario;
  }
  std::abort();
}

// Small, so that hundreds of them are made in moments.
ChannelShapeBounds Small(const Scenario& scenario) {
  ChannelShapeBounds bounds = ChannelBoundsOf(scenario);
  bounds.least_participants = 4;
  bounds.most_segment_bytes = 2u << 20;
  return bounds;
}

ChannelShape UsualOf(const Scenario& scenario) {
  return {.segment_bytes = scenario.segment_bytes, .participants = 8};
}

ChannelShape Drawn(const ChannelDesign& design, const Scenario& scenario,
                   const ChannelShapeBounds& bounds, uint64_t seed) {
  Random random(seed);
  const absl::StatusOr<ChannelShape> drawn =
      DrawShape(design, UsualOf(scenario), seed, bounds, random);
  if (!drawn.ok()) {
    ADD_FAILURE() << design.name() << " seed " << seed << ": " << drawn.status();
    std::abort();
  }
  return *drawn;
}

TEST(ChannelShape, IsReadBackFromItsText) {
  const Scenario& steady = ScenarioOf("steady");
  std::set<std::string> texts;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const ChannelShape shape = Drawn(*Designs().front(), steady, Small(steady), seed);
    ChannelShape read;
    ASSERT_TRUE(ParseShape(ShapeText(shape), &read).ok()) << ShapeText(shape);
    EXPECT_EQ(read, shape) << ShapeText(shape);
    // It follows from its seed, and each has another.
    EXPECT_EQ(Drawn(*Designs().front(), steady, Small(steady), seed), shape);
    texts.insert(ShapeText(shape));
  }
  EXPECT_EQ(texts.size(), 30u);
}

TEST(ChannelShape, ChangesOnlyWhatItsTextNames) {
  ChannelShape shape{.most_held = 7};
  ASSERT_TRUE(ParseShape("messages=197,sizes=edges,without=draft+wait", &shape).ok());
  const ChannelShape expected{
      .smallest_bytes = 197,
      .largest_bytes = 197,
      .sizes = MessageSizes::kEdges,
      .most_held = 7,
      .without = WithoutBit(ChannelAction::kDraft) | WithoutBit(ChannelAction::kWait)};
  EXPECT_EQ(shape, expected);
}

TEST(ChannelShape, SaysWhatIsWrongWithAText) {
  const std::pair<const char*, const char*> wrong[] = {
      {"keys=5", "a shape has no 'keys'; it has: segment, participants, idle, messages"},
      {"batch=0", "batch: '0' is no whole number from 1"},
      {"messages=7..9", "a message has its name in it"},
      {"senders=2", "senders and receivers are both 0, or neither"},
      {"sizes=large", "sizes: there is no 'large'; known are: uniform, spread, edges"},
      {"without=send", "without: there is no 'send'; known are: draft, receive"}};
  const ChannelDriver driver;
  for (const auto& [text, message] : wrong) {
    const absl::Status status = driver.CheckShape(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

TEST(ChannelShape, WithRolesIsNotOfAScenarioInWhichEverybodyDoesBoth) {
  const ChannelDriver driver;
  ShapeRequest request{.text = "senders=1,receivers=3"};
  for (const ChannelDesign* design : Designs()) {
    if (design->name() != "slot_ring") continue;
    for (const auto& [scenario, fits] :
         {std::pair{"steady", true}, std::pair{"nobody_dies", false},
          std::pair{"last_message", false}, std::pair{"requests", false},
          std::pair{"closing", false}}) {
      const auto run = driver.PrepareShaped(*design, ScenarioOf(scenario), "", request);
      EXPECT_EQ(run.ok(), fits) << scenario << ": " << run.status();
      EXPECT_EQ(absl::IsUnimplemented(run.status()), !fits) << scenario << ": " << run.status();
    }
  }
}

TEST(ChannelShape, ThatDoesNotFitItsDesignIsRefusedWithTheReason) {
  const ChannelShapeBounds bounds{.least_participants = 4};
  for (const ChannelDesign* design : Designs()) {
    const auto refused = [&](const char* text) {
      ChannelShape shape;
      EXPECT_TRUE(ParseShape(text, &shape).ok()) << text;
      return std::string(FitShape(*design, shape, 1, bounds).message());
    };
    EXPECT_THAT(refused("participants=3"), HasSubstr("participants: the run needs from 4"));
    EXPECT_THAT(refused("segment=1048576,messages=8..4000000"), HasSubstr("has room for"));
  }
}

TEST(ChannelShape, DrawnFitsEveryDesignInEveryScenarioAndKeepsWhatItNeeds) {
  const ChannelDriver driver;
  for (const ChannelDesign* design : Designs()) {
    for (const Scenario& scenario : driver.scenarios()) {
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        const ChannelShapeBounds bounds = Small(scenario);
        const ChannelShape shape = Drawn(*design, scenario, bounds, seed);
        const absl::Status fits = FitShape(*design, shape, seed, bounds);
        EXPECT_TRUE(fits.ok()) << design->name() << " " << ShapeText(shape) << ": " << fits;
        EXPECT_EQ(shape.without & bounds.kept, 0u) << scenario.name << " " << ShapeText(shape);
        if (bounds.keeps_work) {
          EXPECT_EQ(shape.largest_bytes, ChannelShape().largest_bytes) << scenario.name;
          EXPECT_EQ(shape.without, 0u) << scenario.name;
        }
        if (bounds.keeps_sizes) {
          EXPECT_EQ(shape.largest_bytes, ChannelShape().largest_bytes) << scenario.name;
          EXPECT_EQ(shape.senders, 0u) << scenario.name;
        }
        const ChannelWorkload shaped = Shaped(AllChannelWorkloads().front(), shape);
        EXPECT_GT(shaped.receives + shaped.takes + shaped.drains, 0) << ShapeText(shape);
      }
    }
  }
}

TEST(ChannelShape, LacksInTheWorkloadWhatItNames) {
  ChannelShape shape;
  ASSERT_TRUE(ParseShape("without=draft+receive+batch+return+wait", &shape).ok());
  const ChannelWorkload shaped = Shaped(*FindChannelWorkload("mixed"), shape);
  EXPECT_EQ(shaped.most_drafts + shaped.receives + shaped.batches + shaped.drains + shaped.returns +
                shaped.waits,
            0u);
  EXPECT_GT(shaped.takes, 0);
}

// One byte less and more than a granule, a line and a page; a few more than several pages.
TEST(ChannelShape, SizesAtEdgesMeetBothSidesOfPowersOfTwoAndTheEndsOfTheRange) {
  const ChannelWorkload workload{.name = "a test",
                                 .smallest_bytes = 10,
                                 .largest_bytes = 20'000,
                                 .sizes = MessageSizes::kEdges};
  Random random(7);
  std::set<uint32_t> sizes;
  for (int i = 0; i < 40'000; ++i) sizes.insert(workload.NextSize(random));
  for (const uint32_t power : {16u, 64u, 128u, 4096u}) {
    for (const uint32_t size : {power - 1, power, power + 1}) EXPECT_TRUE(sizes.contains(size));
  }
  for (const uint32_t size : {12'289u, 10u, 20'000u}) EXPECT_TRUE(sizes.contains(size));
  EXPECT_EQ(*sizes.begin(), 10u);
  EXPECT_EQ(*sizes.rbegin(), 20'000u);
}

// What a thousand runs would see, but for what needs more memory than this test takes.
TEST(ChannelShape, OfEveryClassIsDrawn) {
  const Scenario& steady = ScenarioOf("steady");
  std::map<std::string, std::set<std::string>> seen;
  for (const ChannelDesign* design : Designs()) {
    for (uint64_t seed = 1; seed <= 120; ++seed) {
      for (const ShapeDimension& dimension :
           ClassesOf(Drawn(*design, steady, Small(steady), seed), 4)) {
        seen[std::string(dimension.name)].insert(dimension.classes.begin(),
                                                 dimension.classes.end());
      }
    }
  }
  for (const ShapeDimension& dimension : AllChannelShapeClasses()) {
    for (const std::string& one : dimension.classes) {
      const bool needs_memory = dimension.name == "segment" && one.find("more") == 0;
      const bool is_large = dimension.name == "segment" && one.find("to 3") == 0;
      const bool is_larger = one == "to 96 MiB" || one == "to 256 MiB" || one == "more";
      if (needs_memory || is_large || is_larger) continue;
      EXPECT_TRUE(seen[std::string(dimension.name)].contains(one))
          << dimension.name << ": " << one << " was never drawn";
    }
  }
}

}  // namespace
}  // namespace kill9

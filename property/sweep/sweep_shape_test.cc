// Shapes of the sweep's scenes: what a text says is what the scene has, and who is killed in a
// drawn one is killed in it again.
#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <string>

#include "harness/kinds/sweep_kinds.h"
#include "harness/stepper/stepper.h"
#include "harness/store_driver/sweep/store_scene.h"
#include "harness/sweep/sweep.h"

namespace kill9::sweep {
namespace {

TEST(SweepShape, ItsTextSaysAllOfIt) {
  std::set<std::string> texts;
  bool any_dead = false;
  for (const uint32_t fields : {kObjectShapeFields, kStoreShapeFields}) {
    for (uint64_t seed = 1; seed <= 500; ++seed) {
      Random random(seed);
      const SweepShape shape = DrawSweepShape(random, fields, /*has_dead=*/true);
      const std::string text = SweepShapeText(shape);
      const absl::StatusOr<SweepShape> parsed = ParseSweepShape(text, fields);
      ASSERT_TRUE(parsed.ok()) << text << parsed.status();
      EXPECT_EQ(*parsed, shape) << text;
      EXPECT_LT(text.size(), kMostShapeBytes);
      any_dead = any_dead || shape.dead != 0;
      texts.insert(text);
    }
  }
  EXPECT_TRUE(any_dead);
  EXPECT_GT(texts.size(), 900u);
  Random random(1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(DrawSweepShape(random, kObjectShapeFields, /*has_dead=*/false).dead, 0u);
  }
}

TEST(SweepShape, WhatAKindDoesNotHaveIsRefused) {
  EXPECT_TRUE(ParseSweepShape("stripes=2", kStoreShapeFields).ok());
  for (const char* text : {"stripes=2", "spare", "spare=0", "small=23", "room=3,dead=4",
                           "spare=1,spare=2", "drawn", ""}) {
    EXPECT_FALSE(ParseSweepShape(text, kObjectShapeFields).ok()) << text;
  }
  EXPECT_EQ(*ParseSweepShape("usual", kObjectShapeFields), SweepShape{});
}

TEST(SweepShape, DrawnShapesAreOfEveryClass) {
  std::set<std::string> seen, all;
  const auto add = [](const std::vector<ShapeDimension>& dimensions, std::set<std::string>* to) {
    for (const ShapeDimension& dimension : dimensions) {
      for (const std::string& name : dimension.classes) {
        to->insert(std::string(dimension.name) + ": " + name);
      }
    }
  };
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    Random random(seed);
    add(ClassesOf(DrawSweepShape(random, kStoreShapeFields, true), kStoreShapeFields), &seen);
  }
  add(AllSweepShapeClasses(kStoreShapeFields), &all);
  EXPECT_EQ(seen, all);
}

// Of every kind, and of the states that leave it open.
TEST(SweepShape, TheSceneHasWhatItsShapeSays) {
  constexpr SweepShape kShape{.spare = 4099, .room = 20, .dead = 3, .small = 65, .large = 2050};
  for (const char* name : {"cas_slots", "slot_ring", "coalescing_heap"}) {
    const Design& design = *FindDesign(name);
    const SweepDriver& driver = *FindSweepDriver(design.kind());
    ASSERT_NE(driver.shape_fields() & kObjectShapeFields, 0u) << name;
    const auto usual = driver.MakeScene(design, 0, 0, {});
    const auto shaped = driver.MakeScene(design, 0, 0, kShape);
    ASSERT_TRUE(usual.ok() && shaped.ok()) << name << shaped.status();
    EXPECT_TRUE(std::has_single_bit((*usual)->options().size_bytes)) << name;
    EXPECT_TRUE(std::has_single_bit((*shaped)->options().size_bytes - 4099)) << name;
    EXPECT_EQ((*shaped)->options().max_participants, (*usual)->options().max_participants + 20);
    EXPECT_EQ((*shaped)->making().dead_beside, 3u) << name;
    EXPECT_EQ((*usual)->making().dead_beside, 0u) << name;
    const auto object = design.AttachObject((*shaped)->segment());
    ASSERT_TRUE(object.ok()) << name << object.status();
    EXPECT_NE((*shaped)->HoldUnseen(**object), nullptr) << name;
  }
  const Variant& store = *FindVariant("striped_locks");
  const auto scene = MakeStoreScene(
      store, StoreOperation::kPutSame, StoreState::kOneEntry,
      {.small = 24, .middle = 100, .large = 905, .stripes = 2, .before = 53, .behind = 8});
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ((*scene)->options().stripes, 2u);
  EXPECT_EQ((*scene)->sizes().smaller, 24u);
  EXPECT_EQ((*scene)->sizes().value, 100u);
  EXPECT_EQ((*scene)->sizes().larger, 905u);
  for (uint64_t key = 0; key < (*scene)->key_count(); ++key) {
    EXPECT_TRUE((*scene)->key(key).starts_with(std::string(53, 'b'))) << (*scene)->key(key);
    EXPECT_TRUE((*scene)->key(key).ends_with(std::string(8, 'e'))) << (*scene)->key(key);
  }
}

TEST(SweepShape, SomeCellsWithoutAModeDrawOne) {
  SweepOptions options;
  options.variants = {FindDesign("cas_slots"), FindDesign("slot_ring"),
                      FindDesign("coalescing_heap")};
  options.samples_modes = options.samples_shapes = true;
  const std::vector<CellRequest> cells = PlanCells(options);
  std::set<std::string_view> variants;
  size_t drawn = 0, without_mode = 0;
  for (const CellRequest& cell : cells) {
    without_mode += cell.samples_mode == 0 ? 1 : 0;
    if (cell.shape[0] == '\0') continue;
    EXPECT_STREQ(cell.shape, "drawn");
    EXPECT_EQ(cell.samples_mode, 0);
    variants.insert(cell.variant);
    ++drawn;
  }
  EXPECT_EQ(variants.size(), 3u);
  EXPECT_GT(drawn, without_mode / 8);
  EXPECT_LT(drawn, without_mode / 2);
  options.samples_shapes = false;
  for (const CellRequest& cell : PlanCells(options)) ASSERT_EQ(cell.shape[0], '\0');
}

CellResult Swept(const CellRequest& request) {
  CellResult result{};
  const absl::Status status =
      RunCells({request}, 1, nullptr,
               [&](const CellRequest&, CellArea& area, pid_t) { result = area.result; });
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

CellRequest RequestFor(const char* design, const char* operation, const std::string& shape,
                       const char* state = nullptr) {
  SweepOptions options;
  options.variants = {FindDesign(design)};
  options.operations = {operation};
  const bool is_store = FindDesign(design)->kind() == Variant::kKind;
  options.states = {state != nullptr ? state : is_store ? "one_entry" : "empty"};
  options.shape = shape;
  options.sample = 0;
  return PlanCells(options).at(0);
}

TEST(SweepShape, ACellOfADrawnShapeIsRepeatedByItsText) {
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
  const CellRequest drawn = RequestFor("cas_slots", "erase", "drawn");
  const CellResult first = Swept(drawn);
  EXPECT_EQ(first.verdict, Verdict::kPass) << first.error << first.failure[0].message;
  EXPECT_STRNE(first.shape, "usual");
  const Json run = RunOf(drawn, first);
  EXPECT_EQ(run["shape"]["text"], first.shape);
  EXPECT_EQ(run["shape"]["kind"], "swept store");
  const CellResult again = Swept(RequestFor("cas_slots", "erase", first.shape));
  EXPECT_STREQ(again.shape, first.shape);
  EXPECT_EQ(again.instructions, first.instructions);
  EXPECT_EQ(again.kill_points, first.kill_points);
  // As the state has it, a run tells none.
  const CellRequest usual = RequestFor("cas_slots", "erase", "usual");
  EXPECT_FALSE(RunOf(usual, Swept(usual)).contains("shape"));
}

// Each judge recovers them, and what they held comes back.
TEST(SweepShape, TheDeadBesideTheVictimAreThere) {
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
  for (const auto& [design, operation] :
       {std::pair{"cas_slots", "get"}, std::pair{"coalescing_heap", "free"}}) {
    const CellResult usual = Swept(RequestFor(design, operation, "usual"));
    const CellResult with_dead = Swept(RequestFor(design, operation, "room=3,dead=3"));
    EXPECT_EQ(with_dead.verdict, Verdict::kPass)
        << design << with_dead.error << with_dead.failure[0].message;
    ASSERT_GT(usual.recovered_participants, 0u);
    // Of each kill.
    EXPECT_GT(with_dead.recovered_participants * usual.kill_points,
              2 * usual.recovered_participants * with_dead.kill_points)
        << design;
  }
}

// What there is to recover depends on where the dead one has died.
TEST(SweepShape, WhoLeftSomethingHalfDoneDiedWhereTheShapeSays) {
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) GTEST_SKIP() << why;
  std::set<uint32_t> instructions;
  for (const char* shape : {"died=1", "died=999"}) {
    const CellResult result = Swept(RequestFor("slot_ring", "recover", shape, "half_sent"));
    EXPECT_EQ(result.verdict, Verdict::kPass) << result.error << result.failure[0].message;
    EXPECT_STREQ(result.shape, shape);
    instructions.insert(result.instructions);
  }
  EXPECT_EQ(instructions.size(), 2u);
  EXPECT_STREQ(Swept(RequestFor("slot_ring", "send", "died=5")).shape, "usual");
}

}  // namespace
}  // namespace kill9::sweep

// Pools of buffers in torture: each scenario, to its last line; shapes; and that an audit excuses
// nothing by what the dead held.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/pool_driver/pool_driver.h"
#include "harness/pool_driver/pool_shape.h"
#include "harness/torture/torture.h"
#include "variants/buffers/buffer_pool.h"

namespace kill9 {
namespace {

TortureOptions OfAPool(uint64_t kills) {
  TortureOptions options;
  options.seed = 7;
  options.supervisor.processes = 4;
  options.supervisor.seconds = 600;  // it ends by kills, far within
  options.supervisor.kills = kills;
  return options;
}

TortureResult TortureAPool(const Scenario& scenario, const TortureOptions& options) {
  return RunTorture(BufferPoolDesign(), scenario, options,
                    [](const TortureProgress&) { return true; });
}

TEST(PoolTorture, ItsOwnScenariosArePassedAndProveSomething) {
  uint32_t own = 0;
  for (const Scenario& scenario : PoolDriver().scenarios()) {
    const auto is_common = [&scenario](const Scenario& one) { return one.name == scenario.name; };
    if (std::any_of(CommonScenarios().begin(), CommonScenarios().end(), is_common)) continue;
    ++own;
    const TortureResult result = TortureAPool(scenario, OfAPool(200));
    EXPECT_EQ(VerdictName(result.verdict), "pass") << scenario.name << ": " << result.reason;
    EXPECT_EQ(result.run["condition"], "strict") << scenario.name;
    ASSERT_TRUE(result.run.contains("pool")) << scenario.name;
    const char* const premise = scenario.name == "passing_on" ? "received" : "served_after_waiting";
    EXPECT_GT(result.run["pool"][premise].get<uint64_t>(), 0u) << scenario.name;
  }
  EXPECT_EQ(own, 3u);
}

// One dies at a time and is audited before anybody takes its place: what it held is nobody's.
TEST(PoolTorture, HoldsOfWhoIsNotYetReplacedAreMissedByNobody) {
  const TortureResult result =
      TortureAPool(*FindScenario("kill_one_at_a_time"), OfAPool(/*kills=*/30));
  EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
  EXPECT_GT(result.run["pool"]["shares"].get<uint64_t>(), 0u);
  EXPECT_GT(result.run["pool"]["copies"].get<uint64_t>(), 0u);
}

TEST(PoolShapes, WhatIsPrintedIsRead) {
  PoolShape shape;
  const std::string text =
      "segment=1048583,participants=80,idle=62,buffers=300,bytes=7..9000,held=12,"
      "channel=mutex_vector,without=share+wait";
  ASSERT_TRUE(ParseShape(text, &shape).ok());
  EXPECT_EQ(ShapeText(shape), text);
  EXPECT_TRUE(shape.lacks(PoolAction::kShare));
  EXPECT_FALSE(shape.lacks(PoolAction::kGrow));
  for (const char* wrong : {"segment=1", "channel=broadcast_ring", "without=all", "blocks=3"}) {
    EXPECT_FALSE(ParseShape(wrong, &shape).ok()) << wrong;
  }
}

TEST(PoolShapes, DrawnOnesFitAndDiffer) {
  size_t with_idle = 0, of_few_buffers = 0, of_second_channel = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed, 1);
    const PoolShapeBounds bounds{.least_participants = 6, .may_idle = true};
    const PoolShape shape =
        DrawShape(UsualShape(*FindPoolWorkload("mixed"), 4u << 20, 10), bounds, random);
    EXPECT_TRUE(FitShape(shape, seed, bounds).ok()) << ShapeText(shape);
    PoolShape again;
    ASSERT_TRUE(ParseShape(ShapeText(shape), &again).ok());
    EXPECT_EQ(again, shape);
    with_idle += shape.idle != 0;
    of_few_buffers += shape.buffers != 0 && shape.buffers <= 64;
    of_second_channel += shape.channel == 1;
  }
  EXPECT_GT(with_idle, 0u);
  EXPECT_GT(of_few_buffers, 0u);
  EXPECT_GT(of_second_channel, 0u);
  EXPECT_LT(of_second_channel, 60u);
}

// A pool has as many buffers as it is asked for, and holds of each as there is room for.
TEST(PoolShapes, TablesOfFewAndOfManyBuffersFitIntoSmallSegments) {
  for (const uint64_t buffers : {0u, 1u, 12u, 3000u}) {
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    options.expected_entries = buffers;
    const auto segment = BufferPoolDesign().Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    const auto pool = BufferPool::Attach(*segment);
    ASSERT_TRUE(pool.ok()) << pool.status();
    EXPECT_GE((*pool)->max_buffer_bytes(), options.size_bytes / 2) << buffers;
    Buffer first = *(*pool)->Allocate(8, Deadline::None());
    EXPECT_EQ((*pool)->Allocate(8, Deadline::None()).ok(), buffers != 1);
    std::vector<Buffer> holds;
    for (int i = 0; i < 3; ++i) {
      absl::StatusOr<Buffer> hold = first.Share();
      ASSERT_TRUE(hold.ok()) << buffers << ": " << hold.status();
      holds.push_back(*std::move(hold));
    }
  }
}

}  // namespace
}  // namespace kill9

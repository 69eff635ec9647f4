// Heaps in torture: each scenario, to its last line; and that a heap which is wrong is found.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/heap_driver/heap_driver.h"
#include "harness/torture/torture.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

// Ends by kills, far within its seconds.
TortureResult RunUntilKilled(const Design& design, const Scenario& scenario, uint64_t kills) {
  TortureOptions options;
  options.seed = 7;
  options.supervisor.processes = 4;
  options.supervisor.seconds = 600;
  options.supervisor.kills = kills;
  return RunTorture(design, scenario, options, [](const TortureProgress&) { return true; });
}

class HeapScenarios : public ::testing::TestWithParam<const HeapDesign*> {};

TEST_P(HeapScenarios, OfItsOwnArePassedAndProveSomething) {
  uint32_t own = 0;
  for (const Scenario& scenario : HeapDriver().scenarios()) {
    const auto is_common = [&scenario](const Scenario& one) { return one.name == scenario.name; };
    if (std::any_of(CommonScenarios().begin(), CommonScenarios().end(), is_common)) continue;
    ++own;
    const TortureResult result = RunUntilKilled(*GetParam(), scenario, /*kills=*/400);
    EXPECT_EQ(VerdictName(result.verdict), "pass") << scenario.name << ": " << result.reason;
    EXPECT_EQ(result.run["condition"], "strict") << scenario.name;
    ASSERT_TRUE(result.run.contains("heap")) << scenario.name;
    // Where all wait for one block nobody does anything else.
    const char* const premise =
        scenario.name == "last_room" ? "served_after_waiting" : "refused_misuses";
    EXPECT_GT(result.run["heap"][premise].get<uint64_t>(), 0u) << scenario.name;
  }
  EXPECT_EQ(own, 5u);
}

std::vector<const HeapDesign*> HeapsOf(Design::Role role) {
  std::vector<const HeapDesign*> heaps;
  for (const HeapDesign* heap : AllHeaps()) {
    if (heap->role() == role) heaps.push_back(heap);
  }
  return heaps;
}

INSTANTIATE_TEST_SUITE_P(Heaps, HeapScenarios, ::testing::ValuesIn(HeapsOf(Design::Role::kDesign)),
                         [](const auto& heap) { return std::string(heap.param->name()); });

TEST(HeapBaselines, WhatOnlyCountsItsOwnersIsFoundToKeepTheBlocksOfTheDead) {
  const std::vector<const HeapDesign*> baselines = HeapsOf(Design::Role::kBaseline);
  ASSERT_FALSE(baselines.empty());
  for (const HeapDesign* design : baselines) {
    const TortureResult result =
        RunUntilKilled(*design, *FindScenario("owners_die"), /*kills=*/100'000);
    const std::string verdict(VerdictName(result.verdict));
    EXPECT_NE(design->expected_verdict().find(verdict), std::string::npos)
        << design->name() << ": " << verdict << ": " << result.reason;
    EXPECT_GT(result.run["kills"]["total"].get<uint64_t>(), 0u) << "it is right while nobody dies";
  }
}

}  // namespace
}  // namespace kill9

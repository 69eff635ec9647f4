// Every planned way leads where it says, at the least cost that there is.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "harness/base/random.h"
#include "harness/stepper/process/breakpoints.h"
#include "harness/stepper/trace/trace.h"

namespace kill9::stepper {
namespace {

// Loops within loops, calls into the vDSO and repeated string instructions, drawn from a seed.
void Draw(Random& random, uint32_t depth, std::vector<std::pair<uint64_t, uint32_t>>& steps) {
  const uint64_t begin = 16 * random.Below(40);
  const uint64_t rounds = 1 + random.Below(depth == 0 ? 3 : 9);
  for (uint64_t round = 0; round < rounds && steps.size() < 600; ++round) {
    for (uint64_t address = begin; address < begin + 4; ++address) {
      steps.emplace_back(1000 + address, 0);
      const uint64_t kind = random.Below(16);
      if (kind == 0) steps.emplace_back(9000, random.Chance(500) ? kVdso : kRestartable);
      if (kind != 1) continue;
      const uint64_t iterations = random.Below(20);
      steps.emplace_back(5000 + address, 0);
      for (uint64_t n = 0; n < iterations; ++n) steps.emplace_back(5000 + address, kInsideString);
    }
    if (depth < 3) Draw(random, depth + 1, steps);
  }
}

// What the next part of a way costs from step `from` to step `at` by a breakpoint; 0: it cannot be.
uint32_t HitsFrom(const Trace& trace, uint32_t from, uint32_t at, const WayCosts& costs) {
  const uint64_t address = trace[at].address;
  if ((trace[from].flags & (kInsideString | kManyInstructions)) || trace[from].address == address)
    return 0;
  uint32_t hits = 0;
  for (uint32_t n = from + 1; n <= at; ++n) {
    if (trace[n].address != address || (trace[n].flags & kInsideString)) continue;
    ++hits;
    if (n < at && costs.steps_over && (trace[n + 1].flags & kInsideString)) return 0;
  }
  return hits;
}

class TraceWays : public testing::TestWithParam<Breakpoints> {};

TEST_P(TraceWays, LeadToTheirStepsAtTheLeastCost) {
  const WayCosts costs = WayCostsOf(GetParam());
  uint32_t by_breakpoint = 0;
  uint32_t over_iterations = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    std::vector<std::pair<uint64_t, uint32_t>> steps;
    Draw(random, 0, steps);
    Trace trace;
    for (const auto& [address, flags] : steps) ASSERT_TRUE(trace.Add(address, 0, {}, flags));
    trace.PlanWays(costs);
    std::vector<uint32_t> least(steps.size(), 0);
    for (uint32_t at = 1; at < trace.size(); ++at) {
      const bool many = trace[at - 1].flags & kManyInstructions;
      least[at] = least[at - 1] + (many ? std::max(costs.step, costs.first_hit) : costs.step);
      if (costs.breakpoints && (trace[at].flags & kInsideString)) {
        uint32_t first = at;
        while (trace[first].flags & kInsideString) --first;
        least[at] = std::min(least[at], least[first] + costs.first_hit);
      } else if (costs.breakpoints && !(trace[at].flags & kManyInstructions)) {
        for (uint32_t from = 0; from < at; ++from) {
          const uint32_t hits = HitsFrom(trace, from, at, costs);
          if (hits == 0) continue;
          least[at] =
              std::min(least[at], least[from] + costs.first_hit + (hits - 1) * costs.further_hit);
        }
      }
      const TraceStep& step = trace[at];
      ASSERT_EQ(step.cost, least[at]) << "seed " << seed << ", step " << at;
      ASSERT_LT(step.from, at);
      if (step.hits == 0) continue;
      if (step.flags & kInsideString) {
        ++over_iterations;
        ASSERT_EQ(step.from + step.hits, at);
        ASSERT_FALSE(trace[step.from].flags & kInsideString);
        for (uint32_t n = step.from; n < at; ++n) ASSERT_EQ(trace[n].address, step.address);
      } else {
        ++by_breakpoint;
        ASSERT_EQ(step.hits, HitsFrom(trace, step.from, at, costs)) << "seed " << seed;
      }
    }
  }
  EXPECT_EQ(by_breakpoint > 100, costs.breakpoints);
  EXPECT_EQ(over_iterations > 100, costs.breakpoints);
}

INSTANTIATE_TEST_SUITE_P(Ways, TraceWays,
                         testing::Values(Breakpoints::kDebugRegisters, Breakpoints::kInt3,
                                         Breakpoints::kSingleSteps),
                         [](const auto& one) { return std::string(Name(one.param)); });

}  // namespace
}  // namespace kill9::stepper

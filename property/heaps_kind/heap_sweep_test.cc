// Heaps in the sweep: every instruction of what changes owners; and that a heap which only counts
// its owners is found.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "harness/stepper/stepper.h"
#include "harness/sweep/sweep.h"
#include "variants/registry.h"

namespace kill9::sweep {
namespace {

Json Swept(const Design& design, std::vector<std::string> operations,
           std::vector<std::string> states) {
  SweepOptions options;
  options.variants = {&design};
  options.operations = std::move(operations);
  options.states = std::move(states);
  absl::StatusOr<Json> result = RunSweep(options, nullptr, [](const auto&) {});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? (*result)["runs"] : Json::array();
}

class SweepHeaps : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) GTEST_SKIP() << why;
  }
};

TEST_F(SweepHeaps, OwnersMayDieAtEachInstructionOfSharingPassingOnAndFreeing) {
  for (const HeapDesign* design : AllHeaps()) {
    if (design->role() != Design::Role::kDesign) continue;
    const Json runs =
        Swept(*design, {"share", "transfer", "free"},
              {"one_block", "shared_with_live", "shared_with_dead", "held_by_dead", "half_shared"});
    ASSERT_EQ(runs.size(), 15u) << design->name();
    for (const Json& run : runs) {
      EXPECT_EQ(run["verdict"], "pass") << run;
      EXPECT_EQ(run["kill_coverage"], 1) << run;
      EXPECT_GT(run["instructions"], 20) << run;
    }
  }
}

TEST_F(SweepHeaps, AHeapThatOnlyCountsItsOwnersIsFoundToLeak) {
  for (const HeapDesign* design : AllHeaps()) {
    if (design->role() == Design::Role::kDesign) continue;
    const Json runs = Swept(*design, {"allocate", "share"}, {"empty", "one_block"});
    ASSERT_FALSE(runs.empty()) << design->name();
    for (const Json& run : runs) EXPECT_NE(run["verdict"], "pass") << run;
  }
}

}  // namespace
}  // namespace kill9::sweep

// Pools in the sweep: every instruction of what gives a hold to somebody else, or ends it.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "harness/stepper/stepper.h"
#include "harness/sweep/sweep.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9::sweep {
namespace {

class SweepPools : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) GTEST_SKIP() << why;
  }
};

TEST_F(SweepPools, WhoHasABufferMayDieAtEachInstructionOfPassingItOn) {
  SweepOptions options;
  options.variants = {&BufferPoolDesign()};
  options.operations = {"release", "send", "receive"};
  options.states = {"shared_with_live", "shared_with_dead", "half_received"};
  const absl::StatusOr<Json> result = RunSweep(options, nullptr, [](const auto&) {});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ((*result)["runs"].size(), 9u);
  for (const Json& run : (*result)["runs"]) {
    EXPECT_EQ(run["verdict"], "pass") << run;
    EXPECT_EQ(run["kill_coverage"], 1) << run;
    EXPECT_GT(run["instructions"], 20) << run;
    // Of some deaths the message has its new owner, of others it has not.
    if (run["state"] == "half_received" || run["operation"] == "release") continue;
    EXPECT_GT(run["outcomes"]["happened"], 0) << run;
    EXPECT_GT(run["outcomes"]["did_not_happen"], 0) << run;
  }
}

}  // namespace
}  // namespace kill9::sweep

// The stall matrix of channels: who waits for a process that stands still in an operation, measured
// beside what is claimed; and that a baseline and a peer get their verdicts.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "harness/stepper/stepper.h"
#include "harness/sweep/sweep.h"
#include "variants/registry.h"

namespace kill9::sweep {
namespace {

// The runs of the operations in a channel with several messages.
Json Swept(std::string_view design, std::vector<std::string> operations, bool stall) {
  SweepOptions options;
  options.variants = {FindDesign(design)};
  options.operations = std::move(operations);
  options.states = {"several"};
  options.stall = stall;
  options.watchdog_seconds = 1;
  absl::StatusOr<Json> result = RunSweep(options, nullptr, [](const auto&) {});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? (*result)["runs"] : Json::array();
}

double Blocked(const Json& run, const char* probe) {
  return run["stall"]["by_operation"][probe].get<double>();
}

class SweepChannels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) GTEST_SKIP() << why;
  }
};

TEST_F(SweepChannels, WhoStandsStillWithTheMutexKeepsAllWaiting) {
  const Json runs = Swept("mutex_vector", {"send", "acknowledge"}, /*stall=*/true);
  ASSERT_EQ(runs.size(), 2u);
  for (const Json& run : runs) {
    EXPECT_EQ(run["verdict"], "pass") << run;
    for (const char* probe : {"send", "draft", "take", "receive"}) {
      EXPECT_GT(Blocked(run, probe), 0.2) << probe << run;
      EXPECT_LT(Blocked(run, probe), 1) << probe << run;
    }
  }
}

TEST_F(SweepChannels, NobodyWaitsForWhoStandsStillInALockFreeOne) {
  for (const char* design : {"slot_ring", "broadcast_ring"}) {
    const ChannelTraits& traits = static_cast<const ChannelDesign*>(FindDesign(design))->traits();
    ASSERT_TRUE(traits.send != Progress::kBlocking && traits.receive != Progress::kBlocking);
    const Json runs = Swept(design, {"commit", "take", "acknowledge"}, /*stall=*/true);
    ASSERT_EQ(runs.size(), 3u);
    for (const Json& run : runs) {
      EXPECT_EQ(run["verdict"], "pass") << run;
      for (const char* probe : {"send", "draft", "take", "receive", "look", "recover", "attach"}) {
        EXPECT_EQ(Blocked(run, probe), 0) << probe << run;
      }
    }
  }
}

// What it does not have is not tried: a refusal is no progress.
TEST_F(SweepChannels, OnlyWhatAChannelHasIsTried) {
  const Json runs = Swept("semaphore_vector", {"receive"}, /*stall=*/true);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_GT(Blocked(runs[0], "send"), 0.2) << runs;
  const Json& tried = runs[0]["stall"]["by_operation"];
  for (const char* probe : {"draft", "take", "recover"})
    EXPECT_FALSE(tried.contains(probe)) << runs;
}

TEST_F(SweepChannels, DeathInsideASemaphoreOrAMutexThatIsNotRobustIsFound) {
  for (const char* design : {"semaphore_vector", "boost_message_queue"}) {
    if (FindDesign(design) == nullptr) continue;  // a peer whose package is missing
    const Json runs = Swept(design, {"send", "receive"}, /*stall=*/false);
    ASSERT_EQ(runs.size(), 2u) << design;
    for (const Json& run : runs) EXPECT_EQ(run["verdict"], "stuck") << run;
  }
}

}  // namespace
}  // namespace kill9::sweep

// Torture whose work has a pattern: requests and answers, and bursts.
#include <atomic>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/channel_driver/patterns/pattern_boards.h"
#include "harness/torture/torture.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

// Ends by kills, far within its seconds.
TortureResult RunUntilKilled(const Design& design, const char* scenario) {
  TortureOptions options;
  options.seed = 7;
  options.supervisor.processes = 4;
  options.supervisor.seconds = 600;
  options.supervisor.kills = 60;
  return RunTorture(design, *FindScenario(scenario), options,
                    [](const TortureProgress&) { return true; });
}

class ChannelPatterns : public ::testing::TestWithParam<const ChannelDesign*> {
 protected:
  static bool IsQueue() { return GetParam()->traits().delivery == ChannelTraits::Delivery::kQueue; }
};

TEST_P(ChannelPatterns, EachRequestIsAnsweredWhoeverDies) {
  const TortureResult result = RunUntilKilled(*GetParam(), "requests");
  if (!IsQueue()) {
    EXPECT_EQ(VerdictName(result.verdict), "skipped");
    return;
  }
  EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
  EXPECT_GE(result.run["kills"]["total"].get<uint64_t>(), 60u);
  const Json& counts = result.run["requests"];
  EXPECT_GT(counts["answers"].get<uint64_t>(), 0u);
  EXPECT_GE(counts["requests"].get<uint64_t>(), counts["answers"].get<uint64_t>())
      << "an asker has one answer";
}

TEST_P(ChannelPatterns, BurstsGoFromEmptyToFull) {
  const TortureResult result = RunUntilKilled(*GetParam(), "bursts");
  EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
  const Json& counts = result.run["bursts"];
  EXPECT_GT(counts["met_empty"].get<uint64_t>(), 0u);
  EXPECT_EQ(counts["met_full"].get<uint64_t>() > 0, IsQueue()) << "a broadcast overwrites";
}

std::vector<const ChannelDesign*> OwnChannels() {
  std::vector<const ChannelDesign*> channels;
  for (const ChannelDesign* channel : AllChannels()) {
    if (channel->role() == Design::Role::kDesign) channels.push_back(channel);
  }
  return channels;
}
INSTANTIATE_TEST_SUITE_P(Channels, ChannelPatterns, ::testing::ValuesIn(OwnChannels()),
                         [](const auto& channel) { return std::string(channel.param->name()); });

TEST(PatternBoards, ARunInWhichThePatternDidNotComeAboutSaysWhatIsMissing) {
  RequestBoard requests{};
  EXPECT_THAT(WhatIsMissingOf(requests), HasSubstr("nobody asked"));
  requests.requests = requests.answers = 1;
  EXPECT_THAT(WhatIsMissingOf(requests), HasSubstr("another's answer"));
  requests.passed_on = 1;
  EXPECT_EQ(WhatIsMissingOf(requests), "");
  BurstBoard bursts{};
  bursts.bursts = bursts.met_empty = 1;
  EXPECT_EQ(WhatIsMissingOf(bursts, /*fills=*/false), "");
  EXPECT_THAT(WhatIsMissingOf(bursts, /*fills=*/true), HasSubstr("full"));
  bursts.met_full = 1;
  EXPECT_EQ(WhatIsMissingOf(bursts, /*fills=*/true), "");
}

TEST(PatternBoards, AnAnswerIsAwaitedAsLongAsItsAskerSaysSo) {
  RequestBoard board{};
  EXPECT_FALSE(board.IsAwaited(77));
  board.asked[RequestBoard::kAskers - 1] = 77;
  EXPECT_TRUE(board.IsAwaited(77));
  EXPECT_FALSE(board.IsAwaited(78));
  board.Forget();
  EXPECT_FALSE(board.IsAwaited(77));
}

}  // namespace
}  // namespace kill9

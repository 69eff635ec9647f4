// The whole program under torture: clients on sockets, workers and master killed at random moments,
// every answer held against the model. `./dev memcached-torture` does the same for longer
// (KILL9_MEMCACHED_KILLS).
#include "property/apps/memcached/memcached_torture.h"

#include <cstdlib>
#include <iostream>

#include "variants/registry.h"

namespace kill9 {
namespace {

int Kills(int otherwise) {
  const char* text = std::getenv("KILL9_MEMCACHED_KILLS");
  return text == nullptr ? otherwise : std::atoi(text);
}

struct Case {
  const char* design;
  const char* model;
};

class MemcachedTortureTest : public testing::TestWithParam<Case> {};

TEST_P(MemcachedTortureTest, DeathsCostConnectionsAndNothingElse) {
  const std::string file = absl::StrCat(testing::TempDir(), "/kill9-memcached-torture-", getpid());
  TortureResult result;
  const MemcachedTorture torture = {.kills = Kills(60), .master_kill_every = 10};
  {
    MemcachedServer server(
        {absl::StrCat("--design=", GetParam().design), "-m", "8", "-t", "3", "--file", file},
        KILL9_MEMCACHED);
    result = TortureMemcached(server, torture, GetParam().model);
  }
  ASSERT_EQ(result.outcome.verdict, Verdict::kPass)
      << (result.outcome.counterexample ? RenderText(*result.outcome.counterexample, {}) : "");
  std::cout << GetParam().design << ": " << result.outcome.operations << " operations, "
            << torture.kills << " kills (" << result.master_deaths << " of the master with all), "
            << result.crashed << " operations cut off\n";
  EXPECT_GT(result.crashed, 0u) << "nobody died in an operation: nothing was proved";
  // And nothing has leaked.
  const Variant& design = *FindVariant(GetParam().design);
  const auto segment = design.Open({.kind = SegmentKind::kFile, .name = file});
  ASSERT_TRUE(segment.ok()) << segment.status();
  const auto store = design.Attach(*segment);
  ASSERT_TRUE(store.ok() && (*store)->Recover().ok());
  const AuditReport audit = (*store)->Audit().value();
  EXPECT_TRUE(audit.clean()) << (audit.violations.empty() ? "" : audit.violations.front());
  unlink(file.c_str());
}

INSTANTIATE_TEST_SUITE_P(Designs, MemcachedTortureTest,
                         testing::Values(Case{"seqlock_ring", "cache"}, Case{"cas_slots", "map"},
                                         Case{"striped_locks", "map"}),
                         [](const auto& one) { return std::string(one.param.design); });

// Each worker keeps a copy of what it read last, as servers do that want to be fast: after another
// worker's set it answers what is not there any more.
TEST(MemcachedTortureSeesBugs, AStaleCopyOfHotItemsIsFound) {
  MemcachedServer server({"--design=hot_copies", "-m", "8", "-t", "3"}, KILL9_STALE_MEMCACHED);
  const TortureResult result = TortureMemcached(server, {.kills = 10, .operations = 3000}, "cache");
  EXPECT_EQ(result.outcome.verdict, Verdict::kViolation);
}

}  // namespace
}  // namespace kill9

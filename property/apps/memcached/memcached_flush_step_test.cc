// A flush comes at one instruction after another of a set: what somebody else set after the flush
// is never lost by it.
#include "apps/memcached/items/items.h"
#include "gtest/gtest.h"
#include "property/scaffold/trap_steps.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

class MemcachedFlushStep : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    options.max_participants = 16;
    options.hash_seed = TestSeed();
    options.keeps_terms = true;
    segment_ = *design_.Create(options);
    stores_ = *server::Cluster::Attach(design_, {segment_});
  }

  // As a worker's: of its own participant, at this time.
  memcached::Items ItemsOf(server::Cluster& stores) {
    memcached::Items items(stores, true);
    items.set_now_ms(Expiry::Now().unix_ns() / 1'000'000);
    return items;
  }
  static void Set(memcached::Items& items, const std::string& data) {
    uint64_t cas = 0;
    EXPECT_EQ(items.Set("key", 0, memcached::Envelope::kNever, data, &cas),
              memcached::Stored::kStored);
  }

  // False: the set has fewer instructions.
  bool Try(uint64_t steps) {
    memcached::Items mine = ItemsOf(*stores_);
    if (GetParam()) {
      Set(mine, "before");
    } else {
      mine.Remove("key");
    }
    Child child([&](Line& parent) {
      const auto stores = server::Cluster::Attach(design_, {segment_});
      CHILD_REQUIRE(stores.ok());
      memcached::Items its = ItemsOf(**stores);
      const std::string data = "its";
      uint64_t cas = 0;
      const memcached::Stored stored = RunWithSteps(steps, SIGSTOP, [&] {
        return its.Set("key", 0, memcached::Envelope::kNever, data, &cas);
      });
      CHILD_REQUIRE(stored == memcached::Stored::kStored);
      parent.Tell(trap_steps::left == 0);
      return 0;
    });
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(child.pid()), &info, WSTOPPED | WEXITED | WNOWAIT);
    const bool stopped = info.si_code == CLD_STOPPED;
    if (stopped) {
      mine.Flush();
      Set(mine, "mine");
      child.Signal(SIGCONT);
    }
    EXPECT_EQ(child.ExitStatus(), 0);
    memcached::Item item;
    EXPECT_TRUE(mine.Get("key", &item)) << "stopped after " << steps << " instructions";
    return stopped;
  }

  const Variant& design_ = *FindStoreDesign("cas_slots");
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<server::Cluster> stores_;
};

TEST_P(MemcachedFlushStep, ASetThatIsUnderWayTakesNoPlaceOfWhatCameAfterTheFlush) {
  const TrapSteps steps(131);
  uint64_t flushes = 0;
  for (uint64_t step = steps.first; Try(step) && !HasFailure(); step = steps.Next(step)) ++flushes;
  EXPECT_GE(flushes, 3u) << "no flush came in the middle";
}

INSTANTIATE_TEST_SUITE_P(Present, MemcachedFlushStep, testing::Bool(),
                         [](const auto& one) { return one.param ? "was_there" : "was_absent"; });

#endif

}  // namespace
}  // namespace kill9

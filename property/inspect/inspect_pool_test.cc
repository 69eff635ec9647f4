// kill9 inspect tells of pools of buffers: whose holds there are, the dead's too, and what is on
// its way in messages.
#include <utility>

#include "property/inspect/inspect_fixture.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class InspectedPool : public InspectFixture {};
INSTANTIATE_TEST_SUITE_P(Pools, InspectedPool, ::testing::Values(&BufferPoolDesign()),
                         DesignTestName);

TEST_P(InspectedPool, TellsWhoseHoldsThereAreAndWhatIsOnItsWay) {
  constexpr Deadline kNow = Deadline::None();
  Make(*GetParam());
  const std::unique_ptr<BufferPool> pool = Attach<BufferPool>();
  ASSERT_NE(pool, nullptr);
  SegmentOptions options;
  options.size_bytes = 256 << 10;
  options.max_participants = 4;
  const auto& design = static_cast<const ChannelDesign&>(*FindDesign("slot_ring"));
  const std::shared_ptr<Segment> channel_segment = *design.Create(options);
  const std::unique_ptr<Channel> channel = *design.Attach(channel_segment, {});

  Buffer mine = *pool->Allocate(1000, kNow);
  const Buffer again = *mine.Share();
  for (const uint32_t box : {3u, 5u, 5u}) {
    ASSERT_TRUE(pool->SendShared(*channel, mine, "", kNow, box).ok());
  }
  Child victim([&](Line& parent) {
    const std::unique_ptr<BufferPool> its = Attach<BufferPool>();
    CHILD_REQUIRE(its != nullptr);
    const Buffer one = *its->Allocate(2000, kNow), two = *its->Allocate(3000, kNow);
    parent.Tell();
    parent.Await();
    return 0;
  });
  ASSERT_TRUE(victim.Await());

  const auto look = [&](const char* state) {
    const std::string before = Bytes();
    const Json run = InspectQuiet();
    EXPECT_EQ(Bytes(), before);
    EXPECT_EQ(run["object"], "pool");
    EXPECT_EQ(RowOf(run, 0)["buffers_held"], 2);
    EXPECT_EQ(RowOf(run, 1)["buffers_held"], 2);
    EXPECT_EQ(RowOf(run, 1)["state"], state);
    const Json& told = run["pool"];
    EXPECT_EQ(told["buffers"], 3);
    EXPECT_EQ(told["holds"], 7);
    EXPECT_EQ(told["live_bytes"], 6000);
    EXPECT_EQ(told["holds_of_messages"],
              Json::parse(R"([{"box": 3, "holds": 1}, {"box": 5, "holds": 2}])"));
    EXPECT_THAT(run["damage"], IsEmpty()) << Dump(run["damage"]);
    const std::string text = inspect::AsText(run);
    EXPECT_THAT(text, HasSubstr("has 2 holds of buffers"));
    EXPECT_THAT(text, HasSubstr("on their way in messages: 1 hold to box 3, 2 holds to box 5"));
  };
  look("alive");
  victim.KillAndReap();
  look("dead");
  ASSERT_TRUE(pool->Recover().ok());
  EXPECT_EQ(InspectQuiet()["pool"]["holds"], 5);
}

// Who looks takes the place of one of them in its copy: of the buffers all is told.
TEST_P(InspectedPool, TellsOfAllBuffersWhereNoPlaceIsLeft) {
  constexpr Deadline kNow = Deadline::None();
  constexpr uint32_t kAll = 3;
  Make(*GetParam(), kAll);
  std::vector<std::unique_ptr<BufferPool>> pools;
  std::vector<Buffer> buffers;
  for (uint32_t n = 0; n < kAll; ++n) {
    pools.push_back(Attach<BufferPool>());
    ASSERT_NE(pools.back(), nullptr);
    for (uint32_t one = 0; one <= n; ++one) buffers.push_back(*pools[n]->Allocate(1000, kNow));
  }
  ASSERT_EQ(Attach<BufferPool>(), nullptr);  // the premise
  const Json run = InspectQuiet();
  for (uint32_t n = 0; n < kAll; ++n) {
    EXPECT_EQ(RowOf(run, pools[n]->id().slot)["buffers_held"], n + 1);
  }
  EXPECT_EQ(run["pool"]["buffers"], buffers.size());
  EXPECT_EQ(run["pool"]["holds"], buffers.size());
  EXPECT_EQ(run["pool"]["live_bytes"], 1000 * buffers.size());
  EXPECT_THAT(run["damage"], IsEmpty()) << Dump(run["damage"]);
}

}  // namespace
}  // namespace kill9

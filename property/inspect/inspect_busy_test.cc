// kill9 inspect beside processes that work: it changes nothing, waits for nobody, and says that
// what it tells is of several moments.
#include <sys/mman.h>

#include <cstring>

#include "property/inspect/inspect_fixture.h"
#include "property/scaffold/stepped_child.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Step n of a series that is the same each time.
bool Work(const Design& design, SharedObject& object, uint64_t n,
          std::vector<BlockHandle>& blocks) {
  constexpr size_t kBlocks = 16;
  if (design.kind() == Variant::kKind) {
    Store& store = static_cast<Store&>(object);
    return store.Put(absl::StrCat("key-", n % 50), std::string(n % 900, 'v')).ok();
  }
  if (design.kind() == ChannelDesign::kKind) {
    Channel& channel = static_cast<Channel&>(object);
    std::string message;
    return channel.Send(std::string(n % 900, 'm'), Deadline::None()).ok() &&
           channel.Receive(&message, Deadline::None()).ok();
  }
  if (design.kind() == kPoolKind) {
    absl::StatusOr<Buffer> buffer =
        static_cast<BufferPool&>(object).Allocate(n % 5000, Deadline::None());
    return buffer.ok() && buffer->Share().ok() && buffer->Append("more", Deadline::None()).ok();
  }
  Heap& heap = static_cast<Heap&>(object);
  if (blocks.size() == kBlocks) {
    if (!heap.Free(blocks[n % kBlocks]).ok()) return false;
    blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(n % kBlocks));
  }
  const absl::StatusOr<BlockHandle> block = heap.Allocate(n % 5000, Deadline::None());
  if (block.ok()) blocks.push_back(*block);
  return block.ok();
}

class InspectedBusy : public InspectFixture {
 protected:
  // The segment's bytes after the series, beside which somebody inspects, or nobody.
  std::string BytesAfterWork(bool inspected) {
    constexpr uint64_t kAtLeast = 2000;
    constexpr int kInspections = 5;
    constexpr int kLooksMost = 10'000;  // against one that does nothing more
    Make(*GetParam(), 8, 1 << 18, SegmentKind::kFile);
    Shared<std::atomic<uint64_t>> done;
    Shared<std::atomic<bool>> enough;
    Child child([&](Line& parent) {
      const auto object = Attach<SharedObject>();
      CHILD_REQUIRE(object != nullptr);
      parent.Tell();
      std::vector<BlockHandle> blocks;
      // As many steps as the first time, so that the bytes are the same.
      const uint64_t steps = steps_;
      for (uint64_t n = 0; steps == 0 ? n < kAtLeast || !enough->load() : n < steps; ++n) {
        CHILD_REQUIRE(Work(*design_, *object, n, blocks));
        done->store(n + 1);
      }
      parent.Tell();
      parent.Await();  // it lives on, so that its leaving changes nothing
      return 0;
    });
    EXPECT_TRUE(child.Await());
    if (inspected) {
      // The premise: the other has worked meanwhile. Where it had no CPU, nothing was shown.
      int met = 0;
      for (int look = 0; met < kInspections && look < kLooksMost; ++look) {
        const uint64_t before = done->load();
        const Json run = Inspect();
        met += done->load() > before ? 1 : 0;
        EXPECT_EQ(RowOf(run, 0)["state"], "alive");
        EXPECT_THAT(run["damage"], IsEmpty()) << Dump(run["damage"]);
        if (HasFailure()) break;
      }
      EXPECT_EQ(met, kInspections);
    }
    enough->store(true);
    EXPECT_TRUE(child.Await());
    steps_ = done->load();
    const std::string bytes = Bytes();
    child.KillAndReap();
    std::filesystem::remove(where_);
    return bytes;
  }

  uint64_t steps_ = 0;
};

TEST_P(InspectedBusy, LeavesEveryByteAsItWouldHaveBeen) {
  const std::string inspected = BytesAfterWork(true);
  const std::string alone = BytesAfterWork(false);
  ASSERT_EQ(inspected.size(), alone.size());
  const auto differs = std::mismatch(inspected.begin(), inspected.end(), alone.begin());
  EXPECT_EQ(differs.first, inspected.end())
      << "at " << differs.first - inspected.begin() << " after " << steps_ << " steps";
}

// A process that stands, or has died, anywhere in an operation: in a critical section, too.
TEST_P(InspectedBusy, WhoStandsOrDiesWithinAnOperationIsNoDamage) {
  Make(*GetParam(), 8, 1 << 18);
  int inspected = 0;
  constexpr uint64_t kApart = 151;
  for (uint64_t stop_at = kApart; inspected < 12; stop_at += kApart) {
    Shared<std::atomic<bool>> is_over;
    std::unique_ptr<SharedObject> object;
    std::vector<BlockHandle> blocks;
    SteppedChild child(
        [&] {
          const bool worked = Work(*design_, *object, 901, blocks);
          is_over->store(true);
          return worked ? 0 : 1;
        },
        [&] {
          object = Attach<SharedObject>();
          // What is done once in a process comes before.
          return object != nullptr && Work(*design_, *object, 900, blocks);
        });
    uint64_t steps = 0;
    ASSERT_TRUE(child.StepUntil([&] { return steps++ == stop_at || is_over->load(); }));
    if (is_over->load()) break;  // the operation has fewer steps
    for (const char* const state : {"stopped", "dead"}) {
      if (state == std::string_view("dead")) child.Kill();
      const Json run = InspectQuiet();
      EXPECT_THAT(run["damage"], IsEmpty()) << stop_at << " " << Dump(run["damage"]);
      EXPECT_EQ(RowOf(run, 0)["state"], state) << stop_at << " " << Dump(run, 2);
    }
    ++inspected;
    const auto survivor = Attach<SharedObject>();
    ASSERT_TRUE(survivor->Recover().ok());
  }
  EXPECT_GE(inspected, 3);
}

INSTANTIATE_TEST_SUITE_P(Designs, InspectedBusy, ::testing::ValuesIn(SoundDesigns()),
                         DesignTestName);

}  // namespace
}  // namespace kill9

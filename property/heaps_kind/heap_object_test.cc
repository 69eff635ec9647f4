// Heaps join what every object must do (property/conformance/object_conformance.h). What a process
// has in a heap is given back with it: a change leaves nothing, and nothing must be found.
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "property/conformance/object_conformance.h"
#include "variants/heap.h"

namespace kill9 {
namespace {

absl::Status AllocateAndFree(SharedObject& object, uint64_t n) {
  Heap& heap = static_cast<Heap&>(object);
  const absl::StatusOr<BlockHandle> block = heap.Allocate(n % 5000, Deadline::None());
  if (!block.ok()) return block.status();
  const absl::StatusOr<std::span<char>> data = heap.Data(*block);
  if (!data.ok()) return data.status();
  if (data->size() != n % 5000) return absl::DataLossError(absl::StrCat(data->size(), " bytes"));
  return heap.Free(*block);
}

// Without a recovery, which is the suite's to call: the dead may own what they owned.
absl::Status FindNothing(SharedObject& object, bool, uint64_t, uint64_t) {
  const absl::StatusOr<HeapAccount> account = static_cast<Heap&>(object).Account();
  if (!account.ok()) return account.status();
  const uint64_t sum = account->accounted_bytes();
  if (sum == account->room_bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(sum, " of ", account->room_bytes, " bytes"));
}

std::vector<absl::Status> CallEach(SharedObject& object) {
  Heap& heap = static_cast<Heap&>(object);
  const BlockHandle block{.offset = 4096, .generation = 1};
  return {heap.Allocate(1, Deadline::None()).status(),
          heap.AllocateAt(4096, 1).status(),
          heap.Reserve(1, 1, Deadline::None()).status(),
          heap.Free(block),
          heap.Share(block, {}),
          heap.Transfer(block, {}),
          heap.Data(block).status(),
          heap.Owners(block).status(),
          heap.ForEach([](const HeapBlock&) { return true; }),
          heap.Look().status(),
          heap.Account().status()};
}

const ObjectKind kHeaps = {HeapDesign::kKind, AllocateAndFree, FindNothing, CallEach};

INSTANTIATE_TEST_SUITE_P(Heaps, ObjectConformance, ::testing::ValuesIn(CasesOf(kHeaps)),
                         ObjectTestName);

// Whoever made the segment need not keep it.
TEST(HeapHandles, KeepTheirSegmentMappedToTheirEnd) {
  for (const HeapDesign* design : AllHeaps()) {
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    absl::StatusOr<std::shared_ptr<Segment>> segment = design->Create(options);
    ASSERT_TRUE(segment.ok()) << design->name() << segment.status();
    absl::StatusOr<std::unique_ptr<Heap>> heap = design->Attach(*std::move(segment));
    ASSERT_TRUE(heap.ok()) << design->name() << heap.status();
    EXPECT_TRUE((*heap)->Allocate(100, Deadline::None()).ok()) << design->name();
    heap->reset();
  }
}

}  // namespace
}  // namespace kill9

#include "harness/heap_driver/shape/draw_heap_shape.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "harness/torture/shape/draw_segment.h"

namespace kill9 {
namespace {

constexpr uint64_t kKiB = 1u << 10;
constexpr uint64_t kMiB = 1u << 20;
// Of the largest block: enough for all who take part to have some.
constexpr uint64_t kLeastLargestBlock = 48 * kKiB;
constexpr int kTries = 24;

uint64_t DrawSegment(Random& random, const HeapShapeBounds& bounds, uint64_t usual) {
  constexpr SegmentRange kAny[] = {{50, 384 * kKiB, 4 * kMiB},
                                   {30, 4 * kMiB, 16 * kMiB},
                                   {17, 16 * kMiB, 48 * kMiB},
                                   {2, 48 * kMiB, 160 * kMiB},
                                   {1, 160 * kMiB, 640 * kMiB}};
  const SegmentRange full[] = {{100, usual * 6 / 10, usual * 11 / 10}};
  const std::span<const SegmentRange> ranges =
      bounds.always_full ? std::span<const SegmentRange>(full) : kAny;
  return DrawSegmentBytes(random, ranges, bounds.most_segment_bytes);
}

void DrawBlocks(Random& random, uint64_t max_block_bytes, HeapShape* shape) {
  const uint64_t most = std::min<uint64_t>(max_block_bytes, std::numeric_limits<uint32_t>::max());
  const std::array<uint64_t, 10> largest = {512,      8,         16,   200,      1000,
                                            4 * kKiB, 64 * kKiB, 9000, 1 * kMiB, most};
  shape->largest_bytes = static_cast<uint32_t>(std::min(Draw(random, largest), most));
  shape->smallest_bytes = 0;
  const uint64_t how = random.Below(10);
  shape->sizes = how < 5 ? BlockSizes::kEdges : BlockSizes::kSpread;
  if (how >= 8 && shape->largest_bytes <= 9000) shape->sizes = BlockSizes::kUniform;
  // Of one size only where there is room for some: who hands over blocks has them.
  if (how == 9 && shape->largest_bytes <= max_block_bytes / 16) {
    shape->smallest_bytes = shape->largest_bytes;
  }
  shape->most_held = Draw<uint32_t>(random, std::array{12u, 1u, 3u, 60u, 300u}, 3);
  shape->most_reserved = Draw<uint32_t>(random, std::array{6u, 1u, 30u}, 2);
}

uint32_t DrawAbsent(Random& random, uint32_t kept) {
  uint32_t without = 0;
  for (uint32_t action = 0; action < kHeapActions; ++action) {
    if (random.Chance(250)) without |= 1u << action;
  }
  return without & ~kept;
}

// The rounding says how much more a block of the size could have had.
absl::StatusOr<std::vector<uint32_t>> EdgesOf(Heap& heap) {
  std::vector<uint32_t> edges;
  const uint64_t most =
      std::min<uint64_t>(heap.max_block_bytes(), std::numeric_limits<uint32_t>::max());
  for (uint64_t bytes = 1; bytes < most;) {
    const absl::StatusOr<BlockHandle> block = heap.Allocate(bytes, Deadline::None());
    // A design that refuses a block in an empty heap is wrong, which is for the run to say.
    if (absl::IsDeadlineExceeded(block.status())) break;
    if (!block.ok()) return block.status();
    const absl::StatusOr<HeapAccount> account = heap.Account();
    if (absl::Status status = heap.Free(*block); !status.ok()) return status;
    if (!account.ok()) return account.status();
    const uint64_t edge = bytes + account->rounding_bytes;
    if (edge >= most) break;
    edges.push_back(static_cast<uint32_t>(edge));
    // A design with an edge at each few bytes has them all alike.
    bytes = std::max(edge + 1, edge * 9 / 8);
  }
  return edges;
}

}  // namespace

HeapShapeBounds HeapBoundsOf(const Scenario& scenario) {
  HeapShapeBounds bounds{.may_idle = !scenario.named_segment && !scenario.inherit_handle,
                         .always_full = scenario.needs.refusals};
  if (scenario.name == "owners_die") {
    bounds.kept = WithoutBit(HeapAction::kShare) | WithoutBit(HeapAction::kTransfer) |
                  WithoutBit(HeapAction::kLook);
  }
  // An audit after each death: of a large segment there would be few.
  if (scenario.name == "kill_one_at_a_time") bounds.most_segment_bytes = 4 * kMiB;
  if (scenario.name == "reserves_used_up") bounds.kept = WithoutBit(HeapAction::kReserve);
  if (scenario.name == "wait_for_room") bounds.kept = WithoutBit(HeapAction::kWait);
  if (scenario.name == "last_room" || scenario.nobody_dies) {
    bounds.keeps_work = true;
    bounds.most_segment_bytes = 2 * kMiB;  // its only block is as large
  }
  return bounds;
}

absl::StatusOr<HeapShapeTrial> TryShape(const HeapDesign& design, const HeapShape& shape,
                                        uint64_t seed) {
  SegmentOptions options;
  ApplyTo(shape, &options);
  options.size_bytes = std::min(options.size_bytes, kMostTrialHeapBytes);
  options.hash_seed = seed;
  absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::unique_ptr<Heap>> heap = design.Attach(*segment);
  if (!heap.ok()) return heap.status();
  HeapShapeTrial trial{.max_block_bytes = (*heap)->max_block_bytes()};
  if (!design.traits().has_audit) return trial;
  absl::StatusOr<std::vector<uint32_t>> edges = EdgesOf(**heap);
  if (!edges.ok()) return edges.status();
  trial.edges = *std::move(edges);
  return trial;
}

absl::StatusOr<HeapShapeTrial> FitShape(const HeapDesign& design, const HeapShape& shape,
                                        uint64_t seed, const HeapShapeBounds& bounds) {
  if (absl::Status status = CheckParticipants(shape.participants, shape.idle,
                                              bounds.least_participants, bounds.most_participants);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<HeapShapeTrial> trial = TryShape(design, shape, seed);
  if (!trial.ok() || shape.largest_bytes <= trial->max_block_bytes) return trial;
  return absl::InvalidArgumentError(absl::StrCat("blocks: of up to ", shape.largest_bytes,
                                                 " bytes; such a segment has room for ",
                                                 trial->max_block_bytes, " at most"));
}

absl::StatusOr<DrawnHeapShape> DrawShape(const HeapDesign& design, const HeapShape& usual,
                                         uint64_t hash_seed, const HeapShapeBounds& bounds,
                                         Random& random) {
  HeapShape shape = usual;
  if (random.Chance(850)) shape.segment_bytes = DrawSegment(random, bounds, usual.segment_bytes);
  if (random.Chance(850)) {
    shape.participants = DrawParticipants(random, usual.participants, bounds.least_participants,
                                          bounds.most_participants);
  }
  if (!bounds.keeps_work) shape.without = DrawAbsent(random, bounds.kept);
  const uint64_t least = std::max<uint64_t>(kLeastLargestBlock, shape.largest_bytes);
  for (int tries = 0;; ++tries) {
    absl::StatusOr<HeapShapeTrial> trial = TryShape(design, shape, hash_seed);
    if (trial.ok() && trial->max_block_bytes >= least) {
      if (bounds.always_full && !bounds.keeps_work && random.Chance(500)) {
        shape.sizes = BlockSizes::kEdges;
      }
      if (!bounds.always_full && !bounds.keeps_work) {
        DrawBlocks(random, trial->max_block_bytes, &shape);
      }
      shape.idle =
          bounds.may_idle ? DrawIdle(random, shape.participants, bounds.least_participants) : 0;
      return DrawnHeapShape{shape, *std::move(trial)};
    }
    if (!trial.ok() && !absl::IsInvalidArgument(trial.status())) return trial.status();
    if (tries == kTries) {
      return absl::InternalError(
          absl::StrCat("no room is enough for the shape ", ShapeText(shape)));
    }
    // Less of a table, or more room; what shall be full gets more only for those who need it.
    if (shape.participants > bounds.least_participants &&
        (bounds.always_full || random.Chance(500))) {
      shape.participants = std::max(bounds.least_participants, shape.participants / 4);
    } else {
      shape.segment_bytes += shape.segment_bytes / 2;
    }
  }
}

}  // namespace kill9

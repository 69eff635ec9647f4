// Shapes of runs on heaps, drawn from a seed (swarm testing: Groce et al. 2012), and whether a
// design can have one.
#ifndef KILL9_HARNESS_HEAP_DRIVER_SHAPE_DRAW_HEAP_SHAPE_H_
#define KILL9_HARNESS_HEAP_DRIVER_SHAPE_DRAW_HEAP_SHAPE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/base/random.h"
#include "harness/heap_driver/shape/heap_shape.h"
#include "harness/torture/scenario.h"
#include "variants/heap.h"

namespace kill9 {

// What a drawn shape must leave as it is.
struct HeapShapeBounds {
  uint32_t least_participants = 1;  // take part at a time
  uint32_t most_participants = 4096;
  bool may_idle = false;            // participants that do nothing are no matter
  bool keeps_work = false;          // sizes, what is held, and operations
  bool always_full = false;         // far more is allocated than there is room for: keeps sizes
  uint32_t kept = 0;                // bits of the actions that are never absent
  uint64_t most_segment_bytes = 0;  // 0: what the machine has free allows
};
HeapShapeBounds HeapBoundsOf(const Scenario& scenario);

// What a heap in a segment of the shape tells.
struct HeapShapeTrial {
  uint64_t max_block_bytes = 0;
  // The largest block of each of the ways that the design goes: one byte more costs another block
  // size. As its account tells them; growing, some of them left out where there are many.
  std::vector<uint32_t> edges = {};
};
// In a segment of at most kMostTrialHeapBytes.
inline constexpr uint64_t kMostTrialHeapBytes = 64u << 20;
absl::StatusOr<HeapShapeTrial> TryShape(const HeapDesign& design, const HeapShape& shape,
                                        uint64_t seed);
// Whether the run fits: its participants, its blocks. kInvalidArgument says why not.
absl::StatusOr<HeapShapeTrial> FitShape(const HeapDesign& design, const HeapShape& shape,
                                        uint64_t seed, const HeapShapeBounds& bounds);

// Some of what `usual` says, replaced at random; it fits the design.
struct DrawnHeapShape {
  HeapShape shape;
  HeapShapeTrial trial;
};
absl::StatusOr<DrawnHeapShape> DrawShape(const HeapDesign& design, const HeapShape& usual,
                                         uint64_t hash_seed, const HeapShapeBounds& bounds,
                                         Random& random);

}  // namespace kill9

#endif  // KILL9_HARNESS_HEAP_DRIVER_SHAPE_DRAW_HEAP_SHAPE_H_

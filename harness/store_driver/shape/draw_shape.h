// Shapes drawn from a seed (swarm testing: Groce et al. 2012), and whether a design can have one.
#ifndef KILL9_HARNESS_STORE_DRIVER_SHAPE_DRAW_SHAPE_H_
#define KILL9_HARNESS_STORE_DRIVER_SHAPE_DRAW_SHAPE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "harness/base/random.h"
#include "harness/store_driver/shape/shape.h"
#include "harness/torture/scenario.h"
#include "variants/registry.h"

namespace kill9 {

// What a drawn shape must leave as it is.
struct ShapeBounds {
  uint32_t least_participants = 1;  // take part at a time
  uint32_t most_participants = 4096;
  bool keeps_work = false;    // keys, values and operations
  bool keeps_choice = false;  // which keys are hot
  bool always_full = false;   // far more is put than there is room for
  bool large_values = false;
  bool keeps_terms = false;         // as the run's segment, which has less room then
  uint64_t most_segment_bytes = 0;  // 0: what the machine has free allows
};
ShapeBounds BoundsOf(const Scenario& scenario);

// A segment of the shape, at most kMostTrialBytes of it, that tells whether the design takes it.
struct ShapeTrial {
  std::shared_ptr<Segment> segment;
  uint64_t max_value_bytes = 0;
  uint64_t capacity_bytes = 0;
};
inline constexpr uint64_t kMostTrialBytes = 64u << 20;
absl::StatusOr<ShapeTrial> TryShape(const Variant& variant, const StoreShape& shape, uint64_t seed,
                                    bool keeps_terms = false);
// Whether the run fits: its participants, its values. kInvalidArgument says why not.
absl::StatusOr<ShapeTrial> FitShape(const Variant& variant, const StoreShape& shape, uint64_t seed,
                                    const ShapeBounds& bounds);

// Some of what `usual` says, replaced at random; it fits the design.
struct DrawnShape {
  StoreShape shape;
  ShapeTrial trial;
};
absl::StatusOr<DrawnShape> DrawShape(const Variant& variant, const StoreShape& usual,
                                     uint64_t hash_seed, const ShapeBounds& bounds, Random& random);

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_SHAPE_DRAW_SHAPE_H_

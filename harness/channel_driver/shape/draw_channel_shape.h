// Shapes of runs on channels, drawn from a seed (swarm testing: Groce et al. 2012), and whether a
// design can have one.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_SHAPE_DRAW_CHANNEL_SHAPE_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_SHAPE_DRAW_CHANNEL_SHAPE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "harness/base/random.h"
#include "harness/channel_driver/shape/channel_shape.h"
#include "harness/torture/scenario.h"
#include "variants/channel.h"

namespace kill9 {

// What a drawn shape must leave as it is.
struct ChannelShapeBounds {
  uint32_t least_participants = 1;  // take part at a time
  uint32_t most_participants = 4096;
  bool may_idle = false;            // participants that do nothing are no matter
  bool keeps_work = false;          // sizes, what is held, roles and operations
  bool keeps_sizes = false;         // of messages, and who sends and receives
  bool keeps_segment = false;       // its size
  uint32_t kept = 0;                // bits of the actions that are never absent
  uint64_t most_segment_bytes = 0;  // 0: what the machine has free allows
};
ChannelShapeBounds ChannelBoundsOf(const Scenario& scenario);

// The most bytes of a message in a segment of the shape.
absl::StatusOr<uint64_t> TryShape(const ChannelDesign& design, const ChannelShape& shape,
                                  uint64_t seed);
// Whether the run fits: its participants, its messages. kInvalidArgument says why not.
absl::Status FitShape(const ChannelDesign& design, const ChannelShape& shape, uint64_t seed,
                      const ChannelShapeBounds& bounds);

// Some of what `usual` says, replaced at random; it fits the design.
absl::StatusOr<ChannelShape> DrawShape(const ChannelDesign& design, const ChannelShape& usual,
                                       uint64_t hash_seed, const ChannelShapeBounds& bounds,
                                       Random& random);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_SHAPE_DRAW_CHANNEL_SHAPE_H_

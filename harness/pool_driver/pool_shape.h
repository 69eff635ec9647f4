// The shape of a run on a pool of buffers: how large its segment is and how many buffers there can
// be, how large they are and how many are kept, through which channel they are passed on, and what
// is absent.
//
// As text, which --shape= takes and a run prints:
//
//     segment=1048583,participants=8,idle=0,buffers=300,bytes=0..9000,held=12,
//     channel=mutex_vector,without=share+grow
#ifndef KILL9_HARNESS_POOL_DRIVER_POOL_SHAPE_H_
#define KILL9_HARNESS_POOL_DRIVER_POOL_SHAPE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "harness/base/random.h"
#include "harness/pool_driver/pool_workload.h"
#include "harness/torture/scenario.h"
#include "harness/torture/shape/shape_ranges.h"
#include "variants/segment.h"

namespace kill9 {

// What a run can lack.
enum class PoolAction : uint8_t { kShare, kWrite, kGrow, kSendShared, kSeat, kWait };
inline constexpr std::string_view kPoolActionNames[] = {"share",       "write", "grow",
                                                        "send_shared", "seat",  "wait"};

// Of one order, the oldest first: whose history says the same of both.
inline constexpr std::string_view kPoolChannels[] = {"slot_ring", "mutex_vector"};

struct PoolShape {
  uint64_t segment_bytes = 4u << 20;
  uint32_t participants = 0;  // room for so many; 0: some to spare
  uint32_t idle = 0;          // of them: that are there, and do nothing
  uint32_t buffers = 0;       // that there can be; 0: as the segment has room
  uint32_t smallest_bytes = 0;
  uint32_t largest_bytes = 1000;
  uint32_t most_held = 10;
  uint32_t channel = 0;  // of kPoolChannels
  uint32_t without = 0;  // a bit for each PoolAction that is absent

  bool lacks(PoolAction action) const { return (without >> static_cast<int>(action) & 1) != 0; }
  friend bool operator==(const PoolShape&, const PoolShape&) = default;
};

// What a drawn shape must leave as it is.
struct PoolShapeBounds {
  uint32_t least_participants = 1;
  uint32_t most_participants = 4096;
  bool may_idle = false;
  bool keeps_work = false;
  bool always_full = false;
  uint64_t most_segment_bytes = 0;  // 0: what the machine has free allows
};
PoolShapeBounds PoolBoundsOf(const Scenario& scenario);

std::string ShapeText(const PoolShape& shape);
// Changes of *shape what the text names. kInvalidArgument says what is wrong with it.
absl::Status ParseShape(std::string_view text, PoolShape* shape);
PoolShape UsualShape(const PoolWorkload& workload, uint64_t segment_bytes, uint32_t participants);
PoolWorkload Shaped(const PoolWorkload& workload, const PoolShape& shape);
void ApplyTo(const PoolShape& shape, SegmentOptions* options);
// Whether the run fits: its participants, its buffers. kInvalidArgument says why not.
absl::Status FitShape(const PoolShape& shape, uint64_t seed, const PoolShapeBounds& bounds);
PoolShape DrawShape(const PoolShape& usual, const PoolShapeBounds& bounds, Random& random);

// By which results tell what was covered: all that there are, and those of one shape.
std::vector<ShapeDimension> AllPoolShapeClasses();
std::vector<ShapeDimension> ClassesOf(const PoolShape& shape, uint32_t participants);

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_POOL_SHAPE_H_

// The shape of a run on a heap: how large its segment is, how large blocks are and how many are
// kept, and which operations are absent.
//
// As text, which --shape= takes and a run prints:
//
//     segment=1048583,participants=8,idle=0,blocks=0..9000,sizes=edges,held=12,reserve=6,
//     without=transfer+place
#ifndef KILL9_HARNESS_HEAP_DRIVER_SHAPE_HEAP_SHAPE_H_
#define KILL9_HARNESS_HEAP_DRIVER_SHAPE_HEAP_SHAPE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "harness/heap_driver/heap_workload.h"
#include "harness/torture/shape/shape_ranges.h"
#include "variants/segment.h"

namespace kill9 {

// What a run can lack.
enum class HeapAction : uint8_t {
  kShare,
  kTransfer,
  kReserve,
  kPlace,   // AllocateAt
  kOwners,  // asked of blocks of one's own
  kLook,    // going through all blocks, but for that of audits
  kMisuse,
  kWait,
};
inline constexpr std::string_view kHeapActionNames[] = {"share",  "transfer", "reserve", "place",
                                                        "owners", "look",     "misuse",  "wait"};
inline constexpr uint32_t kHeapActions = std::size(kHeapActionNames);

struct HeapShape {
  uint64_t segment_bytes = 4u << 20;
  uint32_t participants = 0;    // room for so many; 0: some to spare
  uint32_t idle = 0;            // of them: that are there, and do nothing
  uint32_t smallest_bytes = 0;  // of a block
  uint32_t largest_bytes = 512;
  BlockSizes sizes = BlockSizes::kSpread;
  uint32_t most_held = 12;     // blocks of a participant
  uint32_t most_reserved = 6;  // blocks of a reserve
  uint32_t without = 0;        // a bit for each HeapAction that is absent

  bool lacks(HeapAction action) const { return (without >> static_cast<int>(action) & 1) != 0; }
  friend bool operator==(const HeapShape&, const HeapShape&) = default;
};
constexpr uint32_t WithoutBit(HeapAction action) { return 1u << static_cast<int>(action); }

std::string ShapeText(const HeapShape& shape);
// Changes of *shape what the text names. kInvalidArgument says what is wrong with it.
absl::Status ParseShape(std::string_view text, HeapShape* shape);

// The shape in which a workload is by itself.
HeapShape UsualShape(const HeapWorkload& workload, uint64_t segment_bytes, uint32_t participants);
// The workload in a shape.
HeapWorkload Shaped(const HeapWorkload& workload, const HeapShape& shape);
void ApplyTo(const HeapShape& shape, SegmentOptions* options);

// By which results tell what was covered: all that there are, and those of one shape.
// `participants`: that take part at a time.
std::vector<ShapeDimension> AllHeapShapeClasses();
std::vector<ShapeDimension> ClassesOf(const HeapShape& shape, uint32_t participants);

}  // namespace kill9

#endif  // KILL9_HARNESS_HEAP_DRIVER_SHAPE_HEAP_SHAPE_H_

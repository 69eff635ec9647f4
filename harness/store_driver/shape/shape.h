// The shape of a run on a store: how large its segment is and how it is cut up, which keys and
// values it has, and which operations are absent.
//
// As text, which --shape= takes and a run prints:
//
//     segment=3145829,entries=0,stripes=64,participants=8,keys=256,family=ends,choose=one_hot,
//     values=0..9000,sizes=edges,without=erase+pin
#ifndef KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_H_
#define KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/store_driver/shape/key_family.h"
#include "harness/store_driver/workload.h"
#include "variants/segment.h"
#include "variants/store.h"

namespace kill9 {

struct StoreShape {
  uint64_t segment_bytes = 4u << 20;
  uint64_t expected_entries = 0;  // 0: the design chooses
  uint32_t stripes = 0;           // 0: the design chooses
  uint32_t participants = 0;      // room for so many; 0: some to spare
  uint64_t keys = 256;
  KeyFamily family = KeyFamily::kPlain;
  KeyDistribution distribution = KeyDistribution::kUniform;
  ValueSizes sizes = {24, 160, false, false};
  uint32_t without = 0;  // a bit for each Action that is absent

  bool lacks(Action action) const { return (without >> static_cast<int>(action) & 1) != 0; }
  friend bool operator==(const StoreShape&, const StoreShape&) = default;
};

// The actions that a shape can lack.
inline constexpr Action kOptionalActions[] = {
    Action::kGet, Action::kPut,   Action::kErase,  Action::kCompareAndSwap,
    Action::kPin, Action::kDraft, Action::kForEach};
std::string_view ActionText(Action action);  // of an optional one: "compare_and_swap"

// Whether it can have values of so many bytes. Of an object with files of its own, which has no
// trial, the last edge is its longest value.
bool TakesValuesOf(const Traits& traits, uint64_t bytes);

// The names of the actions that are absent, or "none" alone.
std::vector<std::string> AbsentOf(const StoreShape& shape);

std::string ShapeText(const StoreShape& shape);
// Changes of *shape what the text names. kInvalidArgument says what is wrong with it.
absl::Status ParseShape(std::string_view text, StoreShape* shape);
// Whether a run can have the shape at all; that it fits its design and segment is FitShape's to say
// (draw_shape.h).
absl::Status CheckShape(const StoreShape& shape);

void ApplyTo(const StoreShape& shape, SegmentOptions* options);
// The mix without what is absent: the others are chosen so much more often.
Mix WithoutAbsent(const Mix& mix, const StoreShape& shape);

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_H_

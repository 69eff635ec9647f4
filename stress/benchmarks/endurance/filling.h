// Objects that are filled: a segment of gigabytes, a table of many entries. What is there must be
// as it was put. kResourceExhausted: it was, and the segment is too small for what was to be shown.
#ifndef KILL9_STRESS_BENCHMARKS_ENDURANCE_FILLING_H_
#define KILL9_STRESS_BENCHMARKS_ENDURANCE_FILLING_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "harness/result/result.h"
#include "variants/object.h"

namespace kill9::endurance {

// Values or blocks of a megabyte, until nothing fits any more.
absl::StatusOr<Json> FillLarge(const Design& design, uint64_t segment_bytes);

struct Table {
  uint64_t entries = 1'000'000;
  uint64_t entry_bytes = 144;  // of the segment, for each of them
  uint64_t steps = 8;          // points of a curve
  uint64_t seed = 1;
};
// What a Put and a Get cost beside the first ones.
absl::StatusOr<Json> FillTable(const Design& design, const Table& table);

}  // namespace kill9::endurance

#endif  // KILL9_STRESS_BENCHMARKS_ENDURANCE_FILLING_H_

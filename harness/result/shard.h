// A run in parts: shard I of N does its own units of the work, on whatever machine and day; merge.h
// makes one result of them again.
//
// A unit is what is run on its own: a scenario of a design, a cell of the sweep, a planted bug.
#ifndef KILL9_HARNESS_RESULT_SHARD_H_
#define KILL9_HARNESS_RESULT_SHARD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/result/result.h"

namespace kill9 {

struct Shard {
  uint32_t index = 1;  // from 1 to `of`
  uint32_t of = 1;
  bool whole() const { return of == 1; }
};
inline constexpr uint32_t kMostShards = 1'000'000;

// "3/16". kInvalidArgument says what it should be.
absl::StatusOr<Shard> ParseShard(std::string_view text);

// The indices of the shard's units, in their order. Each unit is one shard's, and shards differ by
// one unit at most. Whose a unit is follows from the names that there are, not from their order.
// kInvalidArgument: there are more shards than units. REQUIRES: each name is there once.
absl::StatusOr<std::vector<size_t>> ShareOf(const Shard& shard, std::span<const std::string> units);

// The field "shard" of a shard's result, from which merge.h knows what is missing. Each of its runs
// names its "unit".
Json DescribeShard(const Shard& shard, std::span<const std::string> units);

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_SHARD_H_

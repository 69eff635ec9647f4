// --shard=I/N, of the commands whose work can be divided.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_SHARDS_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_SHARDS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "harness/result/shard.h"
#include "stress/command/arguments/options.h"

namespace kill9 {

inline constexpr char kShardHelp[] =
    "do one of N disjoint parts, as 3/16; kill9 merge makes one result of them";

// Empty: the whole. Throws UsageError.
inline Shard ChooseShard(const std::string& given) {
  if (given.empty()) return {};
  const absl::StatusOr<Shard> shard = ParseShard(given);
  if (!shard.ok()) throw UsageError("--shard: " + std::string(shard.status().message()));
  return *shard;
}

// Of a command that draws a seed where none (0) is given: the parts of a run have one.
inline Shard ChooseShard(const std::string& given, uint64_t seed) {
  const Shard shard = ChooseShard(given);
  if (shard.whole() || seed != 0) return shard;
  throw UsageError("--shard needs --seed: the parts of a run have one seed");
}

// As ShareOf. Throws UsageError where some shard would have nothing to do.
inline std::vector<size_t> ChooseShare(const Shard& shard, std::span<const std::string> units) {
  absl::StatusOr<std::vector<size_t>> share = ShareOf(shard, units);
  if (!share.ok()) throw UsageError("--shard: " + std::string(share.status().message()));
  return *std::move(share);
}

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_SHARDS_H_

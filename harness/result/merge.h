// One result of the results of all shards of a run.
#ifndef KILL9_HARNESS_RESULT_MERGE_H_
#define KILL9_HARNESS_RESULT_MERGE_H_

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"

namespace kill9 {

struct ShardResult {
  std::string file;  // as messages name it
  Json json;
};

// The runs of all shards, in the order in which a whole run has them, in a frame that says what the
// whole run's says. A unit without a run, because its shard is missing or was interrupted, is a run
// of its own, `undecided`, with the reason. Of the sweep's coverage what cannot be added up (counts
// of addresses) is left out.
//
// kInvalidArgument, with the names of two files: they are not of one run (kind, seed, options,
// units, number of shards), or are the same shard; their builds differ; or the string instructions
// of their processors do, so that the same call is not the same way through the machine.
absl::StatusOr<Json> MergeShards(std::span<const ShardResult> shards);

// What a gate's answers come to, of one that ran whole and of one that was merged.
struct GateCount {
  size_t passed = 0;
  size_t wrong = 0;
  size_t undecided = 0;

  void Add(Verdict verdict);
  // Nothing passed, or `interrupted`: that is no pass.
  int exit_code(bool interrupted) const;
  std::string Conclusion(int exit_code) const;  // its last words
};

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_MERGE_H_

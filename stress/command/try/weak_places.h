// Where an object breaks: what the sweep found, for people.
#ifndef KILL9_STRESS_COMMAND_TRY_WEAK_PLACES_H_
#define KILL9_STRESS_COMMAND_TRY_WEAK_PLACES_H_

#include <string>
#include <vector>

#include "harness/result/result.h"
#include "stress/command/try/tiers.h"

namespace kill9 {

// An operation in one state, which somebody does not survive a death in.
struct WeakPlace {
  std::string operation, state;
  Verdict verdict = Verdict::kViolation;  // of the first death
  // At so many instructions, of those that were judged, of all that the operation has. All 0: it
  // fails in this state as it is.
  uint64_t not_survived = 0, judged = 0, instructions = 0;
  std::string line;    // "cells_map.cc:38", where the first death is; empty: not known
  std::string source;  // what stands there; empty: it cannot be read
  Json run;            // as in result files, with its counterexample

  std::string Text() const;  // for people
  Json Fields() const;       // for the result
};

// Of each operation that failed the run that tells most, killed in every state in spite of
// failures, as far as `seconds` (0: no limit) and bounds of work allow; in the order of the
// object's operations, those that tell no instruction last.
std::vector<WeakPlace> FindWeakPlaces(const Design& design, const Json& sweep_runs,
                                      const TryOptions& options, double seconds);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TRY_WEAK_PLACES_H_

// Linearizability by trying everything, written apart from the checker: its own models, its own
// search, no memoisation, no pruning. For histories of a few operations on one key.
#ifndef KILL9_PROPERTY_CHECKER_BRUTE_FORCE_H_
#define KILL9_PROPERTY_CHECKER_BRUTE_FORCE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/checker/search/condition.h"
#include "harness/history/history.h"

namespace kill9 {

// Whether some subset of the crashed operations, with all completed ones, can be put in an order
// that respects real time, the condition and the model ("register", "cas-register", "map", "cache",
// "queue").
bool BruteForceLinearizable(std::string_view model, Condition condition,
                            const std::vector<Operation>& history);

}  // namespace kill9

#endif  // KILL9_PROPERTY_CHECKER_BRUTE_FORCE_H_

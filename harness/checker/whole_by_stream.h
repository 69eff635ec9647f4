// A whole history by the algorithm that goes along with a run: for models that have no other.
#ifndef KILL9_HARNESS_CHECKER_WHOLE_BY_STREAM_H_
#define KILL9_HARNESS_CHECKER_WHOLE_BY_STREAM_H_

#include <vector>

#include "harness/checker/model_checker.h"
#include "harness/checker/search/prepare.h"

namespace kill9 {

// As ModelChecker::Check. `stream`: new, with room for all of `recorded`.
inline SearchResult CheckWholeByStream(StreamChecker&& stream, Condition condition,
                                       const Recoveries& recoveries, const KeyHistory& recorded,
                                       Counterexample* counterexample) {
  std::vector<Operation> operations(recorded.operations.begin(), recorded.operations.end());
  ExtendFinishes(condition, recoveries, &operations);
  SearchResult answer = SearchResult::kLinearizable;
  for (const Operation& operation : operations) {
    answer = stream.Add(operation);
    if (answer != SearchResult::kLinearizable) break;
  }
  if (answer == SearchResult::kLinearizable) answer = stream.Finish();
  if (answer == SearchResult::kViolated && counterexample != nullptr) {
    *counterexample = stream.Explain();
    counterexample->condition = condition;
  }
  return answer;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_WHOLE_BY_STREAM_H_

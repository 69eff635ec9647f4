// The checker of the queue model. Where every value is enqueued once, a history is linearizable
// exactly if it has none of four faults (Henzinger, Sezgin and Vafeiadis, "Aspect-oriented
// linearizability proofs", 2013):
//
//   Q1  a value is dequeued that was not enqueued, or before its enqueue was called;
//   Q2  a value is dequeued twice;
//   Q3  a was enqueued before b, and b's dequeue returned before a's was called (or a's never was);
//   Q4  a dequeue found the queue empty, and at each moment of it some value surely was in the
//       queue: its enqueue had returned and its dequeue was not yet called.
//
// Each is found by sorting, so the time is near linear. An enqueue cut off by a crash took place if
// its value was dequeued; a dequeue cut off by a crash may have taken any value that is missing:
// those that must have been taken are tried with each such dequeue. Where values repeat, the
// engine's search decides.
#ifndef KILL9_HARNESS_CHECKER_MODELS_QUEUE_CHECKER_H_
#define KILL9_HARNESS_CHECKER_MODELS_QUEUE_CHECKER_H_

#include <memory>
#include <span>
#include <string_view>

#include "harness/checker/model_checker.h"
#include "harness/checker/models/queue.h"

namespace kill9 {

class QueueChecker : public ModelChecker {
 public:
  std::string_view name() const override { return QueueModel::kName; }
  std::string_view summary() const override { return QueueModel::kSummary; }
  bool Accepts(Function function) const override { return QueueModel::Accepts(function); }
  SearchResult Check(Condition condition, const Recoveries& recoveries, const EngineLimits& limits,
                     const KeyHistory& recorded, Counterexample* counterexample) const override;
  std::unique_ptr<StreamChecker> NewStream(bool has_versions,
                                           const EngineLimits& limits) const override;
};

// `operations`: by invoke, each value enqueued once, ends as ExtendFinishes gives them.
SearchResult CheckDistinctQueue(std::span<const Operation> operations);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_QUEUE_CHECKER_H_

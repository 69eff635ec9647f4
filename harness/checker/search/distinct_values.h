// A register without versions to which each value is written at most once, decided exactly and in
// near linear time, however many operations overlap (Gibbons and Korach, "Testing shared memories",
// 1997).
//
// A write and the reads of its value are a cluster. Its value is there at the least from the first
// return among them to the last call: if the return comes first, the cluster is *forward* and holds
// the register for that time; else it is *backward* and needs one moment between the last call and
// the first return. A history is linearizable exactly if
//
//   Z1  no read sees a value that nobody wrote, or returned before its write was called;
//   Z2  no two forward clusters hold the register at one time;
//   Z3  no backward cluster has all its moments within the time of a forward one.
//
// The value at the beginning is a cluster written before everything. Where the register may become
// absent by itself, each read of nothing is a backward cluster of its own. A write cut off by a
// crash is a part of the history exactly if its value was read.
#ifndef KILL9_HARNESS_CHECKER_SEARCH_DISTINCT_VALUES_H_
#define KILL9_HARNESS_CHECKER_SEARCH_DISTINCT_VALUES_H_

#include <optional>
#include <span>
#include <vector>

#include "harness/checker/search/engine.h"
#include "harness/history/history.h"

namespace kill9 {

struct DistinctValuesResult {
  SearchResult answer = SearchResult::kLinearizable;  // or kViolated
  std::vector<Operation> violating;  // then: a part of the history that violates, by invoke
};

// `operations`: by invoke, ends as ExtendFinishes gives them, versions not looked at; the key is
// absent before them. Nothing: there is more than writes and reads, or a value is written twice.
std::optional<DistinctValuesResult> CheckDistinctValues(bool lossy,
                                                        std::span<const Operation> operations);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_DISTINCT_VALUES_H_

#include "harness/checker/search/distinct_values.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "harness/checker/search/versioned_value.h"

namespace kill9 {
namespace {

constexpr size_t kNoOperation = ~size_t{0};

// A write and the reads of its value, as numbers of operations.
struct Cluster {
  size_t write = kNoOperation;  // none: of a read of nothing, of the value at the beginning
  size_t first_return = kNoOperation;
  size_t last_call = kNoOperation;
  size_t read = kNoOperation;  // one of them: what makes a crashed write a part of the history
};

class Clusters {
 public:
  Clusters(bool lossy, std::span<const Operation> operations)
      : lossy_(lossy), operations_(operations) {}

  // False: it is another kind of history.
  bool Collect() {
    for (size_t i = 0; i < operations_.size(); ++i) {
      const Operation& operation = operations_[i];
      const FunctionRow& row = RowOf(operation.function);
      if (row.target != Target::kValue || row.expected != Field::kUnused) return false;
      if (Reads(operation)) {
        reads_.push_back(i);
      } else if (!Writes(operation)) {
        return false;
      } else if (operation.argument != kUnreadValue) {
        if (operation.argument == kNothing || !AddWrite(i)) return false;
      }
    }
    return true;
  }

  DistinctValuesResult Decide() {
    for (const size_t read : reads_) {
      if (!AddRead(read)) return Violated();
    }
    for (const auto& [value, cluster] : by_value_) {
      if (cluster.read == kNoOperation && IsOptional(operations_[cluster.write])) continue;
      (IsForward(cluster) ? forward_ : backward_).push_back(cluster);
    }
    return FindConflict() ? Violated() : DistinctValuesResult{};
  }

 private:
  uint64_t FirstReturn(const Cluster& cluster) const {
    return cluster.first_return == kNoOperation ? 0 : operations_[cluster.first_return].finish;
  }
  uint64_t LastCall(const Cluster& cluster) const { return operations_[cluster.last_call].invoke; }
  bool IsForward(const Cluster& cluster) const { return FirstReturn(cluster) < LastCall(cluster); }

  bool AddWrite(size_t i) {
    return by_value_.try_emplace(operations_[i].argument, Cluster{i, i, i}).second;
  }

  // False: Z1, and conflict_ says which.
  bool AddRead(size_t i) {
    const Operation& read = operations_[i];
    if (read.result == kNothing) {
      if (lossy_) {
        backward_.push_back({.first_return = i, .last_call = i});
      } else {
        initial_.last_call = i;  // the last one so far
      }
      return true;
    }
    const auto found = by_value_.find(read.result);
    if (found == by_value_.end()) {
      conflict_ = {{.first_return = i, .last_call = i}};
      return false;
    }
    Cluster& cluster = found->second;
    cluster.read = i;
    if (read.finish < operations_[cluster.write].invoke) {
      conflict_ = {{.write = cluster.write, .first_return = i, .last_call = i}};
      return false;
    }
    if (read.finish < operations_[cluster.first_return].finish) cluster.first_return = i;
    if (read.invoke > operations_[cluster.last_call].invoke) cluster.last_call = i;
    return true;
  }

  // Z2 and Z3.
  bool FindConflict() {
    std::sort(forward_.begin(), forward_.end(),
              [&](const Cluster& a, const Cluster& b) { return FirstReturn(a) < FirstReturn(b); });
    if (initial_.last_call != kNoOperation) forward_.insert(forward_.begin(), initial_);
    std::vector<size_t> latest;  // of the first so many: the one that holds the register longest
    for (size_t i = 0; i < forward_.size(); ++i) {
      if (i > 0 && FirstReturn(forward_[i]) < LastCall(forward_[latest.back()])) {
        conflict_ = {forward_[latest.back()], forward_[i]};
        return true;
      }
      const bool later = i == 0 || LastCall(forward_[i]) > LastCall(forward_[latest.back()]);
      latest.push_back(later ? i : latest.back());
    }
    for (const Cluster& cluster : backward_) {
      const auto after =
          std::partition_point(forward_.begin(), forward_.end(), [&](const Cluster& one) {
            return one.first_return == kNoOperation || FirstReturn(one) < LastCall(cluster);
          });
      if (after == forward_.begin()) continue;
      const Cluster& around = forward_[latest[static_cast<size_t>(after - forward_.begin()) - 1]];
      if (FirstReturn(cluster) >= LastCall(around)) continue;
      conflict_ = {around, cluster};
      return true;
    }
    return false;
  }

  DistinctValuesResult Violated() const {
    std::vector<size_t> numbers;
    for (const Cluster& cluster : conflict_) {
      for (const size_t i :
           {cluster.write, cluster.read, cluster.first_return, cluster.last_call}) {
        if (i != kNoOperation) numbers.push_back(i);
      }
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    DistinctValuesResult answer{.answer = SearchResult::kViolated, .violating = {}};
    for (const size_t i : numbers) answer.violating.push_back(operations_[i]);
    return answer;
  }

  bool lossy_;
  std::span<const Operation> operations_;
  absl::flat_hash_map<uint64_t, Cluster> by_value_;
  std::vector<size_t> reads_;
  Cluster initial_;  // forward, from before everything
  std::vector<Cluster> forward_;
  std::vector<Cluster> backward_;
  std::vector<Cluster> conflict_;
};

}  // namespace

std::optional<DistinctValuesResult> CheckDistinctValues(bool lossy,
                                                        std::span<const Operation> operations) {
  Clusters clusters(lossy, operations);
  if (!clusters.Collect()) return std::nullopt;
  return clusters.Decide();
}

}  // namespace kill9

#include "harness/checker/counterexample/shrink.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "harness/checker/search/shown.h"

namespace kill9 {
namespace {

// Whether the target may hold nothing after it, although it held something before.
bool Removes(const Operation& operation) {
  if (RowOf(operation.function).effect == Effect::kRemoves) return !ShowsAbsence(operation);
  return Writes(operation) && operation.argument == kNothing;
}

class Dependence {
 public:
  explicit Dependence(std::span<const Operation> operations) : operations_(operations) {
    for (size_t i = 0; i < operations.size(); ++i) {
      const Operation& operation = operations[i];
      if (const uint64_t value = SeenValue(operation); value != kNothing) {
        by_value_[value].push_back(i);
      }
      if (const uint64_t version = ShownVersion(operation); version != 0) {
        by_version_[version].push_back(i);
      }
      if (ShowsSomeValue(operation)) presence_.push_back(i);
      if (ShowsAbsence(operation)) absence_.push_back(i);
      if (RowOf(operation.function).result == Field::kNumber) sums_.push_back(i);
      if (Writes(operation) && operation.result_version != 0) {
        known_versions_.insert(operation.result_version);
      }
    }
  }

  std::vector<Operation> Without(std::vector<bool> drop) {
    std::vector<bool> weaken(drop.size(), false);
    std::vector<size_t> work;
    for (size_t i = 0; i < drop.size(); ++i) {
      if (drop[i]) work.push_back(i);
    }
    auto miss = [&](size_t i) {
      if (drop[i]) return;
      if (Writes(operations_[i]) || Removes(operations_[i])) {
        weaken[i] = true;
      } else {
        drop[i] = true;
        work.push_back(i);
      }
    };
    while (!work.empty()) {
      size_t i = work.back();
      work.pop_back();
      if (RowOf(operations_[i].function).target == Target::kQueue) {
        DropFromQueue(i, &drop, &work);
      } else {
        Miss(i, miss);
      }
    }
    std::vector<Operation> rest;
    for (size_t i = 0; i < drop.size(); ++i) {
      if (drop[i]) continue;
      rest.push_back(operations_[i]);
      if (weaken[i]) Weaken(&rest.back());
    }
    return rest;
  }

 private:
  // Tells of every operation that may have relied on the effect of i.
  template <typename Visit>
  void Miss(size_t i, Visit miss) {
    const Operation& gone = operations_[i];
    if (Writes(gone)) {
      for (size_t j : by_value_[gone.argument]) miss(j);
      if (gone.result_version != 0) {
        for (size_t j : by_version_[gone.result_version]) miss(j);
      }
      for (size_t j : presence_) {
        if (operations_[j].finish > gone.invoke && MayHaveSeen(i, j)) miss(j);
      }
    }
    if (Removes(gone)) {
      for (size_t j : absence_) {
        if (operations_[j].finish > gone.invoke) miss(j);
      }
    }
    if (RowOf(gone.function).effect == Effect::kAdds) {
      for (size_t j : sums_) {
        if (operations_[j].finish > gone.invoke) miss(j);
      }
    }
  }

  static uint64_t QueuedValue(const Operation& operation) {
    return Writes(operation) ? operation.argument : operation.result;
  }

  // A value goes as a whole, enqueue and dequeue. Without a dequeue that crashed, or one that found
  // nothing, the others may still be explained; without the value that a crashed one took, they may
  // not.
  void DropFromQueue(size_t i, std::vector<bool>* drop, std::vector<size_t>* work) {
    const Operation& gone = operations_[i];
    const uint64_t value = QueuedValue(gone);
    const bool crashed = !Writes(gone) && IsOptional(gone);
    for (size_t j = 0; j < operations_.size(); ++j) {
      const Operation& other = operations_[j];
      const bool same = value != kNothing && QueuedValue(other) == value;
      // Which value a crashed dequeue took is not known: it stays unless all go.
      if ((same || crashed) && !(*drop)[j]) {
        (*drop)[j] = true;
        work->push_back(j);
      }
    }
  }

  // Whether j, which saw some value present, may have seen that of i.
  bool MayHaveSeen(size_t i, size_t j) {
    const uint64_t seen = ShownVersion(operations_[j]);
    if (seen == 0) return true;
    uint64_t written = operations_[i].result_version;
    return written != 0 ? seen == written : !known_versions_.contains(seen);
  }

  std::span<const Operation> operations_;
  absl::flat_hash_map<uint64_t, std::vector<size_t>> by_value_;
  absl::flat_hash_map<uint64_t, std::vector<size_t>> by_version_;
  absl::flat_hash_set<uint64_t> known_versions_;
  std::vector<size_t> presence_;
  std::vector<size_t> absence_;
  std::vector<size_t> sums_;  // what shows a number to which others have added
};

}  // namespace

void Weaken(Operation* operation) {
  operation->reserved = 1;
  if (RowOf(operation->function).result == Field::kWasThere) {
    operation->result = kErasedUntold;
  } else {
    operation->function = Function::kPut;
    operation->expected = 0;
  }
}

std::vector<Operation> WithoutDependents(std::span<const Operation> operations,
                                         std::vector<bool> drop) {
  return Dependence(operations).Without(std::move(drop));
}

std::vector<Operation> Shrink(std::vector<Operation> operations, int tries_limit,
                              absl::FunctionRef<bool(std::span<const Operation>)> violates) {
  size_t chunk = std::max<size_t>(1, operations.size() / 2);
  int tries = 0;
  for (;;) {
    bool shrunk = false;
    for (size_t begin = 0; begin < operations.size() && tries < tries_limit;) {
      std::vector<bool> drop(operations.size(), false);
      for (size_t i = begin; i < std::min(begin + chunk, operations.size()); ++i) drop[i] = true;
      std::vector<Operation> rest = WithoutDependents(operations, std::move(drop));
      ++tries;
      if (!rest.empty() && violates(rest)) {
        operations = std::move(rest);
        shrunk = true;
      } else {
        begin += chunk;
      }
    }
    if (tries >= tries_limit) return operations;
    if (chunk > 1) {
      chunk = (chunk + 1) / 2;
    } else if (!shrunk) {
      return operations;
    }
  }
}

}  // namespace kill9

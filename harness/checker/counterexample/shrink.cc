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

bool Inserts(const Operation& operation) {
  return RowOf(operation.function).effect == Effect::kInserts;
}

// Whether it asks for a lock, or for more of it.
bool Asks(const Operation& operation) {
  return RowOf(operation.function).result == Field::kAcquired;
}

bool Acquires(const Operation& operation) {
  return Asks(operation) && operation.function != Function::kRenew &&
         (IsOptional(operation) || operation.result != kHeldByOther);
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
      if (RowOf(operation.function).result == Field::kNumber ||
          RowOf(operation.function).effect == Effect::kTakes) {
        sums_.push_back(i);
      }
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
      if (Writes(operations_[i]) || Removes(operations_[i]) || Inserts(operations_[i])) {
        weaken[i] = true;
      } else {
        drop[i] = true;
        work.push_back(i);
      }
    };
    while (!work.empty()) {
      size_t i = work.back();
      work.pop_back();
      const Target target = RowOf(operations_[i].function).target;
      if (target == Target::kQueue) {
        DropFromQueue(i, &drop, &work);
      } else if (target == Target::kLock) {
        DropHold(i, &drop, &weaken, &work);
      } else if (target == Target::kList) {
        DropFromList(i, &drop, &work);
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
    }
    if (Writes(gone) || Inserts(gone)) {
      for (size_t j : presence_) {
        if (operations_[j].finish > gone.invoke && MayHaveSeen(i, j)) miss(j);
      }
    }
    if (Removes(gone)) {
      for (size_t j : absence_) {
        if (operations_[j].finish > gone.invoke) miss(j);
      }
    }
    const Effect effect = RowOf(gone.function).effect;
    if (effect == Effect::kAdds || effect == Effect::kTakes) {
      for (size_t j : sums_) {
        const bool needs_it =
            effect == Effect::kAdds || RowOf(operations_[j].function).effect != Effect::kTakes;
        if (operations_[j].finish > gone.invoke && needs_it) miss(j);
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

  // Without one item, others stand elsewhere: all that comes later goes, but for appends.
  void DropFromList(size_t i, std::vector<bool>* drop, std::vector<size_t>* work) {
    const Operation& gone = operations_[i];
    if (RowOf(gone.function).effect == Effect::kNone) return;
    for (size_t j = 0; j < operations_.size(); ++j) {
      if (Writes(operations_[j]) || (*drop)[j] || operations_[j].finish <= gone.invoke) continue;
      (*drop)[j] = true;
      work->push_back(j);
    }
  }

  // A lock is taken, kept and given back, or not at all. Who found it held goes, too, and who took
  // it afterwards does not tell any more whether its last holder died.
  void DropHold(size_t i, std::vector<bool>* drop, std::vector<bool>* weaken,
                std::vector<size_t>* work) {
    const Operation& gone = operations_[i];
    const bool is_told_no = Asks(gone) && !IsOptional(gone) && gone.result == kHeldByOther;
    if (is_told_no) return;
    const size_t taken = TakenBy(i);
    const size_t given = Asks(gone) ? GivenBackOf(i) : i;
    const uint64_t begin = operations_[taken].invoke;
    const uint64_t end = given < operations_.size() ? operations_[given].finish : kNever;
    for (size_t j = 0; j < operations_.size(); ++j) {
      const Operation& other = operations_[j];
      const bool is_of_the_hold = j == taken || j == given ||
                                  (other.function == Function::kRenew && j > taken && j < given &&
                                   other.process == gone.process);
      const bool found_it_held =
          Asks(other) && !Acquires(other) && other.finish > begin && other.invoke < end;
      if ((is_of_the_hold || found_it_held) && !(*drop)[j]) {
        (*drop)[j] = true;
        work->push_back(j);
      }
      if (Acquires(other) && other.finish > begin && !IsHeldBetween(end, other.invoke, *drop)) {
        (*weaken)[j] = true;
      }
    }
  }

  // The acquisition by which the caller of i, which gives a lock back, has it; i if there is none.
  size_t TakenBy(size_t i) const {
    if (Acquires(operations_[i])) return i;
    for (size_t j = i; j-- > 0;) {
      if (operations_[j].process == operations_[i].process && Acquires(operations_[j])) return j;
    }
    return i;
  }
  // Where what i acquires is given back; operations_.size() if it is not.
  size_t GivenBackOf(size_t i) const {
    size_t j = i + 1;
    while (j < operations_.size() && (operations_[j].process != operations_[i].process ||
                                      operations_[j].function == Function::kAcquire ||
                                      operations_[j].function == Function::kRenew)) {
      ++j;
    }
    return j;
  }
  // Whether somebody took the lock and gave it back, unharmed, within a time.
  bool IsHeldBetween(uint64_t begin, uint64_t end, const std::vector<bool>& drop) const {
    for (size_t j = 0; j < operations_.size(); ++j) {
      if (drop[j] || !Acquires(operations_[j]) || operations_[j].invoke <= begin) continue;
      const size_t given = GivenBackOf(j);
      if (given == operations_.size() || drop[given] || operations_[given].finish >= end) continue;
      if (operations_[given].function == Function::kRelease && !IsOptional(operations_[given])) {
        return true;
      }
    }
    return false;
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
  std::vector<size_t> sums_;  // what shows a number to which others have added, or takes of it
};

}  // namespace

void Weaken(Operation* operation) {
  const Field result = RowOf(operation->function).result;
  operation->reserved = 1;
  if (result == Field::kAcquired) {
    operation->result = kAcquiredUntold;
  } else if (result == Field::kWasThere || result == Field::kWasNew) {
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

#include "harness/checker/counterexample/shrink.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "harness/checker/search/engine.h"
#include "harness/checker/search/versioned_value.h"

namespace kill9 {
namespace {

// What an operation does to the key, and what it tells of it, apart from any model's state.
struct Role {
  bool writes = false;
  bool removes = false;
  bool sees_presence = false;  // of a value that it does not name
  bool sees_absence = false;
  uint64_t value_seen = kNothing;
  uint64_t version_seen = 0;
};

Role RoleOf(const Operation& operation) {
  Role role;
  const bool failed = operation.outcome == Outcome::kFail;
  switch (operation.function) {
    case Function::kPut:
    case Function::kCommit:
    case Function::kEnqueue:
      role.writes = true;
      role.removes = operation.argument == kNothing;
      break;
    case Function::kGet:
    case Function::kPin:
    case Function::kDequeue:
      role.value_seen = operation.result;
      role.version_seen = operation.result_version;
      role.sees_absence = operation.result == kNothing;
      break;
    case Function::kErase: {
      const bool told = operation.outcome == Outcome::kOk;
      role.removes = !(told && operation.result == 0);
      role.sees_presence = told && operation.result == 1;
      role.sees_absence = told && operation.result == 0;
      break;
    }
    case Function::kCompareAndSwap:
      role.writes = !failed;
      role.version_seen = failed ? operation.result_version : operation.expected;
      role.sees_absence = role.version_seen == 0;
      role.sees_presence = role.version_seen != 0;
      break;
    case Function::kCompareAndSwapValue:
      role.writes = true;
      role.value_seen = operation.expected;
      role.sees_absence = operation.expected == kNothing;
      break;
    default:
      break;
  }
  return role;
}

class Dependence {
 public:
  explicit Dependence(std::span<const Operation> operations) : operations_(operations) {
    for (size_t i = 0; i < operations.size(); ++i) {
      roles_.push_back(RoleOf(operations[i]));
      const Role& role = roles_.back();
      if (role.value_seen != kNothing) by_value_[role.value_seen].push_back(i);
      if (role.version_seen != 0) by_version_[role.version_seen].push_back(i);
      if (role.sees_presence) presence_.push_back(i);
      if (role.sees_absence) absence_.push_back(i);
      if (role.writes && operations[i].result_version != 0) {
        known_versions_[operations[i].result_version] = true;
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
      if (roles_[i].writes || roles_[i].removes) {
        weaken[i] = true;
      } else {
        drop[i] = true;
        work.push_back(i);
      }
    };
    while (!work.empty()) {
      size_t i = work.back();
      work.pop_back();
      if (operations_[i].function == Function::kEnqueue ||
          operations_[i].function == Function::kDequeue) {
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
    if (roles_[i].writes) {
      for (size_t j : by_value_[gone.argument]) miss(j);
      if (gone.result_version != 0) {
        for (size_t j : by_version_[gone.result_version]) miss(j);
      }
      for (size_t j : presence_) {
        if (operations_[j].finish > gone.invoke && MayHaveSeen(i, j)) miss(j);
      }
    }
    if (roles_[i].removes) {
      for (size_t j : absence_) {
        if (operations_[j].finish > gone.invoke) miss(j);
      }
    }
  }

  // A value goes as a whole, enqueue and dequeue. Without a dequeue that crashed, or one that found
  // nothing, the others may still be explained; without the value that a crashed one took, they may
  // not.
  void DropFromQueue(size_t i, std::vector<bool>* drop, std::vector<size_t>* work) {
    const Operation& gone = operations_[i];
    const uint64_t value = gone.function == Function::kEnqueue ? gone.argument : gone.result;
    const bool crashed = gone.function == Function::kDequeue && IsOptional(gone);
    for (size_t j = 0; j < operations_.size(); ++j) {
      const Operation& other = operations_[j];
      bool same =
          value != kNothing &&
          (other.function == Function::kEnqueue ? other.argument == value : other.result == value);
      // Which value a crashed dequeue took is not known: it stays unless all go.
      if ((same || crashed) && !(*drop)[j]) {
        (*drop)[j] = true;
        work->push_back(j);
      }
    }
  }

  // Whether j, which saw some value present, may have seen that of i.
  bool MayHaveSeen(size_t i, size_t j) {
    uint64_t seen = roles_[j].version_seen;
    if (seen == 0) return true;
    uint64_t written = operations_[i].result_version;
    return written != 0 ? seen == written : !known_versions_.contains(seen);
  }

  std::span<const Operation> operations_;
  std::vector<Role> roles_;
  absl::flat_hash_map<uint64_t, std::vector<size_t>> by_value_;
  absl::flat_hash_map<uint64_t, std::vector<size_t>> by_version_;
  absl::flat_hash_map<uint64_t, bool> known_versions_;
  std::vector<size_t> presence_;
  std::vector<size_t> absence_;
};

}  // namespace

void Weaken(Operation* operation) {
  operation->reserved = 1;
  if (operation->function == Function::kErase) {
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

#include "harness/checker/search/prepare.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "harness/checker/search/engine.h"
#include "harness/checker/search/versioned_value.h"

namespace kill9 {
namespace {

bool IsRead(const Operation& operation) {
  return operation.function == Function::kGet || operation.function == Function::kPin;
}

bool Writes(const Operation& operation) {
  switch (operation.function) {
    case Function::kPut:
    case Function::kCommit:
    case Function::kCompareAndSwapValue:
      return true;
    case Function::kCompareAndSwap:
      return operation.outcome != Outcome::kFail;
    default:
      return false;
  }
}

// What the operations of a key show of the effects of others.
class Sightings {
 public:
  explicit Sightings(const std::vector<Operation>& operations) {
    for (const Operation& operation : operations) {
      if (Writes(operation)) {
        ++values_[operation.argument].writers;
        if (operation.result_version != 0) known_versions_.insert(operation.result_version);
      }
    }
    for (const Operation& operation : operations) Look(operation);
  }

  // Shortens the time of an optional operation. False: nobody can have seen its effect.
  bool Tighten(bool lossy, Operation* operation) const {
    if (operation->function == Function::kErase || operation->argument == kNothing) {
      return !lossy && absence_;
    }
    const Sighting& sighting = values_.at(operation->argument);
    if (!sighting.seen) {
      if (!presence_) return false;
      operation->argument = kUnreadValue;
      return true;
    }
    if (sighting.writers == 1) {
      operation->finish = std::min(operation->finish, sighting.first_finish);
    } else if (!presence_) {
      // Of several writers of one value any may be the one that was seen, also by nothing but its
      // presence.
      operation->finish = std::min(operation->finish, sighting.last_finish);
    }
    return true;
  }

 private:
  struct Sighting {
    uint32_t writers = 0;
    bool seen = false;
    uint64_t first_finish = kNever;  // of those that must have seen it
    uint64_t last_finish = 0;        // of those that may have
  };

  void Look(const Operation& operation) {
    if (IsRead(operation)) {
      See(operation.result, operation);
    } else if (operation.function == Function::kCompareAndSwapValue) {
      See(operation.expected, operation);
    } else if (operation.function == Function::kErase && operation.outcome == Outcome::kOk) {
      if (operation.result == 0) absence_ = true;
      if (operation.result == 1) presence_ = true;
    } else if (operation.function == Function::kCompareAndSwap) {
      uint64_t version =
          operation.outcome == Outcome::kFail ? operation.result_version : operation.expected;
      if (version == 0) {
        absence_ = true;
      } else if (!known_versions_.contains(version)) {
        presence_ = true;
      }
    }
  }

  void See(uint64_t value, const Operation& operation) {
    if (value == kNothing) {
      absence_ = true;
      return;
    }
    Sighting& sighting = values_[value];
    sighting.seen = true;
    if (!IsOptional(operation)) {
      sighting.first_finish = std::min(sighting.first_finish, operation.finish);
    }
    sighting.last_finish = std::max(sighting.last_finish, operation.finish);
  }

  absl::flat_hash_map<uint64_t, Sighting> values_;
  absl::flat_hash_set<uint64_t> known_versions_;  // of completed writes
  bool absence_ = false;                          // somebody saw the key absent
  bool presence_ = false;                         // somebody saw it present, and not which value
};

}  // namespace

Recoveries::Recoveries(std::span<const Operation> history, uint64_t known_from)
    : known_from_(known_from) {
  for (const Operation& operation : history) {
    if (operation.function == Function::kRecover && operation.outcome == Outcome::kOk) {
      recoveries_.push_back({operation.invoke, operation.finish});
    }
  }
  std::sort(recoveries_.begin(), recoveries_.end(),
            [](const Recovery& a, const Recovery& b) { return a.invoke < b.invoke; });
  for (size_t i = recoveries_.size(); i-- > 1;) {
    recoveries_[i - 1].finish = std::min(recoveries_[i - 1].finish, recoveries_[i].finish);
  }
}

uint64_t Recoveries::EndAfter(uint64_t death) const {
  if (recoveries_.empty() || death < known_from_) return death;
  auto next = std::upper_bound(
      recoveries_.begin(), recoveries_.end(), death,
      [](uint64_t time, const Recovery& recovery) { return time < recovery.invoke; });
  return next == recoveries_.end() ? kNever : next->finish;
}

bool IsKeyed(Function function) {
  switch (function) {
    case Function::kRecover:
    case Function::kAttach:
    case Function::kDetach:
    case Function::kForEach:
      return false;
    default:
      return true;
  }
}

bool TellsNothing(const Operation& operation) {
  switch (operation.outcome) {
    case Outcome::kRefused:
      return true;
    case Outcome::kFail:
      return operation.function != Function::kCompareAndSwap;
    case Outcome::kCrashed:
    case Outcome::kUnknown:
      return IsRead(operation);
    default:
      return false;
  }
}

bool ExtendFinishes(Condition condition, const Recoveries& recoveries,
                    std::vector<Operation>* operations) {
  bool extended = false;
  for (Operation& operation : *operations) {
    uint64_t end = operation.finish;
    if (operation.outcome == Outcome::kUnknown) {
      end = kNever;
      extended = true;
    } else if (operation.outcome == Outcome::kCrashed && condition != Condition::kStrict) {
      end = condition == Condition::kPending ? kNever : recoveries.EndAfter(operation.finish);
      extended |= end != operation.finish;
    }
    operation.finish = end;
  }
  return extended;
}

void DropUnseen(bool lossy, std::vector<Operation>* operations) {
  Sightings sightings(*operations);
  std::erase_if(*operations, [&](Operation& operation) {
    return IsOptional(operation) && !sightings.Tighten(lossy, &operation);
  });
}

}  // namespace kill9

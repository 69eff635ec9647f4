#include "harness/checker/search/prepare.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "harness/checker/search/shown.h"
#include "harness/checker/search/versioned_value.h"

namespace kill9 {
namespace {

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
    if (WrittenValue(*operation) == kNothing) {
      return !lossy && absence_;
    }
    const Sighting& sighting = values_.at(operation->argument);
    if (!sighting.seen) {
      // What nobody read may have taken another value's place, and then have met its deadline.
      const bool may_fade = !lossy && absence_ && operation->function == Function::kPutUntil;
      if (!presence_ && !may_fade) return false;
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
    if (const uint64_t value = SeenValue(operation); value != kNothing) See(value, operation);
    if (ShowsAbsence(operation)) absence_ = true;
    if (ShowsSomeValue(operation) && !known_versions_.contains(ShownVersion(operation))) {
      presence_ = true;
    }
  }

  void See(uint64_t value, const Operation& operation) {
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

// The implementation of brute_force.h; included by the one test that uses it.
#ifndef KILL9_PROPERTY_CHECKER_BRUTE_FORCE_SEARCH_H_
#define KILL9_PROPERTY_CHECKER_BRUTE_FORCE_SEARCH_H_

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "property/checker/brute_force.h"

namespace kill9 {
namespace brute_force {

constexpr uint64_t kEndless = std::numeric_limits<uint64_t>::max();

// Versions, by the letter: every write gets a positive integer greater than those of all writes
// before it in the order. The versions that no operation reported are free; here they are found by
// trying. `assigned` is the version of each write of the order so far, 0 while it is not yet known.
struct Cell {
  bool present = false;
  uint64_t value = 0;
  size_t write = 0;    // index into the versions, of the write that is present
  uint64_t fades = 0;  // from then on it may be absent; 0: it has no deadline
};

// What a counter, a set's member, a lock, ... is; of one history it is one of them.
struct Object {
  uint64_t sum = 0;
  bool member = false;
  uint64_t holder = 0;  // who has the lock; 0: nobody
  bool left_by_dead = false;
  bool left_by_living = true;          // both: it is not known
  std::vector<uint64_t> permits = {};  // who has one, in any order
  std::vector<uint64_t> dead = {};     // of a lock or a semaphore
  uint64_t wake_ups = 0;
  std::vector<uint64_t> list = {};
  // Who has the lease, while a clock surely reads less than `lasts` and at most to `ends`.
  uint32_t lent_to = 0;
  bool is_lent = false;
  uint64_t lasts = 0, ends = 0;
};

class Search {
 public:
  Search(std::string_view model, Condition condition, const std::vector<Operation>& history)
      : lossy_(model == "cache"),
        queue_(model == "queue"),
        robust_(model == "robust-mutex"),
        lease_(model == "lease"),
        semaphore_(model == "semaphore") {
    for (const Operation& operation : history) {
      if (operation.function == Function::kRecover && operation.outcome == Outcome::kOk) {
        recoveries_.push_back(operation);
      }
    }
    for (const Operation& operation : history) {
      if (operation.function == Function::kRecover) continue;
      if (operation.outcome == Outcome::kRefused) continue;
      if (operation.outcome == Outcome::kFail && operation.function != Function::kCompareAndSwap) {
        continue;
      }
      Item item{operation, operation.finish, false};
      if (operation.outcome == Outcome::kUnknown) {
        item.optional = true;
        item.end = kEndless;
      } else if (operation.outcome == Outcome::kCrashed) {
        item.optional = true;
        item.end = End(condition, operation.finish);
      }
      items_.push_back(item);
      if (operation.result_version != 0 ||
          (operation.function == Function::kCompareAndSwap && operation.expected != 0)) {
        versioned_ = true;
      }
    }
  }

  bool Run() {
    used_.assign(items_.size(), false);
    return Place(0);
  }

 private:
  struct Item {
    Operation operation;
    uint64_t end;
    bool optional;
  };

  uint64_t End(Condition condition, uint64_t death) const {
    if (condition == Condition::kStrict) return death;
    if (condition == Condition::kPending) return kEndless;
    if (recoveries_.empty()) return death;
    uint64_t end = kEndless;
    for (const Operation& recovery : recoveries_) {
      if (recovery.invoke > death && recovery.finish < end) end = recovery.finish;
    }
    return end;
  }

  // Tries every operation as the next of the order. `latest` is the greatest call so far: an effect
  // can come no earlier, so everything that ended before it and is not yet placed can never be.
  bool Place(uint64_t latest) {
    bool all = true;
    for (size_t i = 0; i < items_.size(); ++i) all = all && (used_[i] || items_[i].optional);
    if (all && VersionsFit()) return true;
    for (size_t i = 0; i < items_.size(); ++i) {
      if (used_[i]) continue;
      uint64_t now = std::max(latest, items_[i].operation.invoke);
      if (items_[i].end < now) continue;
      bool overtakes = false;
      for (size_t j = 0; j < items_.size(); ++j) {
        overtakes |= !used_[j] && j != i && !items_[j].optional && items_[j].end < now;
      }
      if (overtakes) continue;
      used_[i] = true;
      // A lossy key may have been forgotten just before, or not; a deadline may have been over, and
      // then it is that late.
      const uint64_t faded = lossy_ ? now : std::max(now, cell_.fades);
      const bool may_go = cell_.present && (lossy_ || cell_.fades != 0) && items_[i].end >= faded;
      bool found = Try(i, now, false) || (may_go && Try(i, faded, true));
      used_[i] = false;
      if (found) return true;
    }
    return false;
  }

  bool Try(size_t i, uint64_t now, bool forget_first) {
    Cell cell = cell_;
    const std::vector<uint64_t> queue = queue_items_;
    const Object object = object_;
    const std::vector<uint64_t> versions = versions_;
    if (forget_first) cell_.present = false;
    const size_t items = items_.size();
    bool found = Apply(items_[i].operation, items_[i].optional);
    if (found && items_[i].optional && items_[i].operation.function == Function::kAcquire) {
      FreeLater(items_[i]);
    }
    found = found && Place(now);
    items_.resize(items);
    used_.resize(items);
    cell_ = cell;
    queue_items_ = queue;
    object_ = object;
    versions_ = versions;
    return found;
  }

  // Who does not return from an acquisition has what it got until its death, or until nobody knows.
  void FreeLater(const Item& acquisition) {
    Item death = acquisition;
    death.operation.function = Function::kDie;
    death.optional = false;
    items_.push_back(death);
    used_.push_back(false);
  }

  // The version of the write that is present is `version`.
  bool Learn(uint64_t version) {
    if (version == 0 || !versioned_) return true;
    uint64_t& known = versions_[cell_.write];
    if (known != 0 && known != version) return false;
    known = version;
    return true;
  }

  bool Write(const Operation& operation) {
    cell_.present = operation.argument != kNothing;
    cell_.value = operation.argument;
    cell_.write = versions_.size();
    cell_.fades = operation.function == Function::kPutUntil ? operation.expected : 0;
    versions_.push_back(operation.result_version);
    return true;
  }

  bool Apply(const Operation& operation, bool crashed) {
    if (queue_) return ApplyToQueue(operation, crashed);
    switch (operation.function) {
      case Function::kPut:
      case Function::kCommit:
        return Write(operation);
      case Function::kGet:
      case Function::kPin:
        if (crashed) return true;
        if (operation.result == kNothing) return !cell_.present;
        return cell_.present && cell_.value == operation.result && Learn(operation.result_version);
      case Function::kErase:
        if (!crashed && operation.result < 2 && cell_.present != (operation.result == 1))
          return false;
        cell_.present = false;
        return true;
      case Function::kCompareAndSwap:
        if (operation.outcome == Outcome::kFail) {
          if (operation.result_version == operation.expected) return false;
          if (operation.result_version == 0) return !cell_.present;
          return cell_.present && Learn(operation.result_version);
        }
        if (operation.expected == 0 ? cell_.present : !cell_.present) return false;
        if (operation.expected != 0 && !Learn(operation.expected)) return false;
        return Write(operation);
      case Function::kCompareAndSwapValue:
        if (operation.expected == kNothing ? cell_.present
                                           : !cell_.present || cell_.value != operation.expected) {
          return false;
        }
        return Write(operation);
      case Function::kAdd:
        object_.sum += operation.argument;
        return true;
      case Function::kRead:
        return crashed || operation.result == object_.sum;
      case Function::kAddMember:
        if (!crashed && operation.result < 2 && object_.member == (operation.result == 1)) {
          return false;
        }
        object_.member = true;
        return true;
      case Function::kRemoveMember:
        if (!crashed && operation.result < 2 && object_.member != (operation.result == 1)) {
          return false;
        }
        object_.member = false;
        return true;
      case Function::kContains:
        return crashed || object_.member == (operation.result == 1);
      case Function::kAcquire:
      case Function::kRelease:
      case Function::kDie:
        return semaphore_ ? ApplyToSemaphore(operation)
               : lease_   ? ApplyToLease(operation)
                          : ApplyToLock(operation);
      case Function::kAcquireFor:
      case Function::kRenew:
        return ApplyToLease(operation);
      case Function::kWait:
        return object_.wake_ups > 0 && object_.wake_ups-- > 0;
      case Function::kSignal:
      case Function::kBroadcast:
        object_.wake_ups += operation.argument;
        return true;
      case Function::kWakeUps:
        return crashed || operation.result == object_.wake_ups;
      case Function::kAppend:
        object_.list.push_back(operation.argument);
        return true;
      case Function::kAt:
        if (crashed) return true;
        if (operation.result == kNothing) return object_.list.size() <= operation.argument;
        return object_.list.size() > operation.argument &&
               object_.list[operation.argument] == operation.result;
      case Function::kRemoveItem:
        return ApplyRemoval(operation, crashed);
      default:
        return operation.function == Function::kPutUntil && Write(operation);
    }
  }

  // A death comes after all that its process did.
  bool IsDead(uint64_t caller) const {
    return std::find(object_.dead.begin(), object_.dead.end(), caller) != object_.dead.end();
  }

  bool ApplyToLock(const Operation& operation) {
    const uint64_t caller = uint64_t{operation.process} + 1;
    const bool told = operation.outcome == Outcome::kOk;
    if (operation.function == Function::kDie) {
      object_.dead.push_back(caller);
      // Where nobody was told that it had it, nobody need know that it died with it.
      if (object_.holder != caller) return true;
      object_.holder = 0;
      object_.left_by_dead = true;
      object_.left_by_living = !told;
      return true;
    }
    if (operation.function == Function::kRelease) {
      if (object_.holder != caller) return false;
      object_.holder = 0;
      object_.left_by_dead = !told;
      object_.left_by_living = true;
      return true;
    }
    if (told && operation.result == kHeldByOther) {
      return object_.holder != 0 && object_.holder != caller;
    }
    if (object_.holder != 0 || IsDead(caller)) return false;
    if (told && operation.result == kAcquiredOfDead && !object_.left_by_dead) return false;
    if (told && operation.result == kAcquired && robust_ && !object_.left_by_living) return false;
    object_.holder = caller;
    object_.left_by_dead = false;
    object_.left_by_living = true;
    return true;
  }

  bool ApplyToSemaphore(const Operation& operation) {
    const uint64_t caller = uint64_t{operation.process} + 1;
    std::vector<uint64_t>& permits = object_.permits;
    if (operation.function == Function::kDie) object_.dead.push_back(caller);
    if (operation.function != Function::kAcquire) {
      for (auto one = permits.begin(); one != permits.end(); ++one) {
        if (*one != caller) continue;
        permits.erase(one);
        return true;
      }
      return operation.function == Function::kDie;
    }
    const bool told = operation.outcome == Outcome::kOk;
    if (told && operation.result == kHeldByOther) return permits.size() == 2;
    if (permits.size() == 2 || (told && operation.result == kAcquiredOfDead)) return false;
    if (IsDead(caller)) return false;
    permits.push_back(caller);
    return true;
  }

  bool ApplyRemoval(const Operation& operation, bool crashed) {
    for (size_t i = 0; i < object_.list.size(); ++i) {
      if (object_.list[i] != operation.argument) continue;
      object_.list.erase(object_.list.begin() + static_cast<std::ptrdiff_t>(i));
      return crashed || operation.result != 0;
    }
    return crashed || operation.result != 1;
  }

  // The clock that was read at the call and at the return goes on with time: a term that was
  // granted between the two ends between the first reading and the term, and the last one and the
  // term.
  bool ApplyToLease(const Operation& operation) {
    Object& now = object_;
    const uint32_t caller = operation.process;
    const bool living = operation.outcome == Outcome::kOk;
    const bool mine = now.is_lent && now.lent_to == caller;
    if (operation.function == Function::kDie || operation.function == Function::kRelease) {
      if (!mine) return true;
      now.lasts = 0;
      if (operation.function == Function::kRelease && living) now.is_lent = false;
      return true;
    }
    const uint64_t latest = operation.result_version == 0 ? kEndless : operation.result_version;
    const bool over = !now.is_lent || latest >= now.lasts;  // it may be, of who had it
    const bool refused = living && operation.result == kHeldByOther;
    if (operation.function == Function::kRenew && refused) return !mine || over;
    if (refused) return now.is_lent && operation.expected <= now.ends;
    if (operation.function == Function::kRenew ? !mine : !mine && !over) return false;
    uint64_t ends = latest == kEndless ? kEndless : latest + operation.argument;
    if (!living && mine) ends = std::max(ends, now.ends);
    now.is_lent = true;
    now.lent_to = caller;
    now.lasts = living ? operation.expected + operation.argument : 0;
    now.ends = ends;
    return true;
  }

  bool ApplyToQueue(const Operation& operation, bool crashed) {
    if (operation.function == Function::kEnqueue) {
      queue_items_.push_back(operation.argument);
      return true;
    }
    if (operation.function != Function::kDequeue) return false;
    if (!crashed && operation.result == kNothing) return queue_items_.empty();
    if (queue_items_.empty()) return crashed;
    if (!crashed && queue_items_.front() != operation.result) return false;
    queue_items_.erase(queue_items_.begin());
    return true;
  }

  // Whether the versions that nobody reported can be filled in so that all grow.
  bool VersionsFit() const {
    if (!versioned_) return true;
    uint64_t least = 0;
    for (uint64_t version : versions_) {
      ++least;
      if (version == 0) continue;
      if (version < least) return false;
      least = version;
    }
    return true;
  }

  bool lossy_;
  bool queue_;
  bool robust_;
  bool lease_;
  bool semaphore_;
  bool versioned_ = false;
  std::vector<Operation> recoveries_;
  std::vector<Item> items_;
  std::vector<bool> used_;
  Cell cell_;
  std::vector<uint64_t> queue_items_;
  Object object_;
  std::vector<uint64_t> versions_;
};

}  // namespace brute_force

inline bool BruteForceLinearizable(std::string_view model, Condition condition,
                                   const std::vector<Operation>& history) {
  return brute_force::Search(model, condition, history).Run();
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_CHECKER_BRUTE_FORCE_SEARCH_H_

// Heaps by trying everything, written apart from the checker: a whole heap, its blocks with their
// places and owners, deaths as moves of their own. For histories of a few operations.
#ifndef KILL9_PROPERTY_HEAPS_KIND_HEAP_BRUTE_FORCE_H_
#define KILL9_PROPERTY_HEAPS_KIND_HEAP_BRUTE_FORCE_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "harness/checker/models/heap.h"
#include "harness/history/history.h"

namespace kill9 {

class HeapBruteForce {
 public:
  explicit HeapBruteForce(std::vector<Operation> history) : history_(std::move(history)) {
    for (const Operation& operation : history_) {
      const uint64_t owner = CallerOf(operation);
      if (operation.outcome == Outcome::kOk) {
        uint64_t& last = last_return_[owner];
        last = std::max(last, operation.finish);
      }
    }
    placed_.assign(history_.size(), false);
  }

  bool Linearizable() { return Place(0); }

 private:
  struct Block {
    uint64_t begin = 0;
    uint64_t end = 0;
    std::set<uint64_t> owners;
  };
  using Blocks = std::map<uint64_t, Block>;

  // `now`: the latest call so far, or the earliest moment at which what was placed can have been.
  bool Place(uint64_t now) {
    bool all = true;
    for (size_t i = 0; i < history_.size(); ++i) {
      all = all && (placed_[i] || history_[i].outcome == Outcome::kCrashed);
    }
    if (all) return true;
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!placed_[i] && PlaceOne(i, now)) return true;
    }
    return Bury(now);
  }

  bool PlaceOne(size_t i, uint64_t now) {
    const Operation& operation = history_[i];
    const uint64_t moment = std::max(now, operation.invoke);
    if (operation.finish < moment || dead_.contains(CallerOf(operation)) || Overtakes(moment)) {
      return false;
    }
    const Blocks before = blocks_;
    placed_[i] = true;
    const bool found = Apply(operation) && Place(moment);
    placed_[i] = false;
    blocks_ = before;
    return found;
  }

  // Whether something that must be placed could not be after that moment.
  bool Overtakes(uint64_t moment) const {
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!placed_[i] && history_[i].outcome == Outcome::kOk && history_[i].finish < moment) {
        return true;
      }
    }
    return false;
  }

  // One owner is dead from then on, and one of its blocks is taken from it.
  bool Bury(uint64_t now) {
    const Blocks before = blocks_;
    for (const auto& [name, block] : before) {
      for (const uint64_t owner : block.owners) {
        if (StillReturns(owner)) continue;
        const auto last = last_return_.find(owner);
        const uint64_t moment = std::max(now, last == last_return_.end() ? 0 : last->second);
        if (Overtakes(moment)) continue;
        const bool fresh = dead_.insert(owner).second;
        Drop(name, owner);
        const bool found = Place(moment);
        blocks_ = before;
        if (fresh) dead_.erase(owner);
        if (found) return true;
      }
    }
    return false;
  }

  bool StillReturns(uint64_t owner) const {
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!placed_[i] && history_[i].outcome == Outcome::kOk && CallerOf(history_[i]) == owner) {
        return true;
      }
    }
    return false;
  }

  void Drop(uint64_t name, uint64_t owner) {
    Block& block = blocks_[name];
    block.owners.erase(owner);
    if (block.owners.empty()) blocks_.erase(name);
  }

  bool Apply(const Operation& operation) {
    const uint64_t caller = CallerOf(operation);
    const uint64_t name = operation.argument;
    const bool crashed = operation.outcome == Outcome::kCrashed;
    const auto entry = blocks_.find(name);
    if (operation.function == Function::kAllocate) {
      if (crashed) return true;  // nobody knows where it is
      const Block fresh{operation.result, operation.result + SizeOrOwnerOf(operation), {caller}};
      for (const auto& [other_name, other] : blocks_) {
        if (other.begin < fresh.end && fresh.begin < other.end) return false;
      }
      return blocks_.emplace(name, fresh).second;
    }
    if (operation.function == Function::kOwners) {
      uint64_t bits = 0;
      if (entry != blocks_.end()) {
        for (const uint64_t owner : entry->second.owners) bits |= OwnerBit(owner);
      }
      return bits == operation.result;
    }
    const bool owns = entry != blocks_.end() && entry->second.owners.contains(caller);
    if (!crashed && operation.result == 0) return !owns;
    if (!owns) return false;
    if (operation.function != Function::kFree)
      entry->second.owners.insert(SizeOrOwnerOf(operation));
    const bool keeps = operation.function == Function::kShare || SizeOrOwnerOf(operation) == caller;
    if (operation.function == Function::kFree || !keeps) Drop(name, caller);
    return true;
  }

  std::vector<Operation> history_;
  std::map<uint64_t, uint64_t> last_return_;
  std::vector<bool> placed_;
  std::set<uint64_t> dead_;
  Blocks blocks_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_HEAPS_KIND_HEAP_BRUTE_FORCE_H_

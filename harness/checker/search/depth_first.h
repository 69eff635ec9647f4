// The search for one linearization, depth first (Wing and Gong 1993; with Lowe's memory of what was
// tried, 2017): it places one operation after the other and goes back where none fits. Where many
// operations overlap it finds in a history that is legal what engine.h, which keeps every way at
// once, has no room for; and where little is left to try it shows that a history is illegal.
//
// D1  An observer that fits the state and leaves it as it is is placed at once, unless a crashed
//     operation would come too late by that: everything else can follow it as well.
// D2  Of operations that are alike the one that returns first is placed first (as E5 of engine.h),
//     if no crashed operation would come too late by that.
// D3  A value that a completed operation still has to see is not overwritten if nobody is left who
//     writes it.
// D4  A set of placed operations with the state that they led to is tried once.
// D5  Tried first: what nobody has to see; then what has to be seen soonest. It is a guess, which
//     decides how long the search takes, never its answer.
#ifndef KILL9_HARNESS_CHECKER_SEARCH_DEPTH_FIRST_H_
#define KILL9_HARNESS_CHECKER_SEARCH_DEPTH_FIRST_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "harness/checker/search/engine.h"
#include "harness/checker/search/shown.h"
#include "harness/history/history.h"

namespace kill9 {

// For models whose state is a VersionedValue (harness/checker/search/versioned_value.h).
template <typename Model>
class DepthFirst {
 public:
  using State = typename Model::State;

  // `operations`: by invoke, ends as ExtendFinishes gives them.
  explicit DepthFirst(std::span<const Operation> operations) : operations_(operations) {
    const uint32_t count = static_cast<uint32_t>(operations.size());
    next_.resize(count + 1);
    previous_.resize(count + 1);
    for (uint32_t i = 0; i <= count; ++i) {
      next_[i] = i == count ? 0 : i + 1;
      previous_[i] = i == 0 ? count : i - 1;
    }
    if (count > 0) next_[count] = 0;
    placed_.assign(count / 64 + 1, 0);
    for (const Operation& operation : operations) {
      required_ += !IsOptional(operation);
      if (const uint64_t value = WrittenValue(operation); value != kNothing) {
        ++values_[value].writers;
      }
      if (const uint64_t value = SeenValue(operation);
          value != kNothing && !IsOptional(operation)) {
        Value& seen = values_[value];
        ++seen.readers;
        seen.first_seen = std::min(seen.first_seen, operation.finish);
      }
    }
  }

  // Of the limits: how many operations are placed at the most, and looked at. Called once.
  SearchResult Run(const State& initial, const EngineLimits& limits) {
    if (!Spend(limits, operations_.size())) return SearchResult::kUndecided;
    for (const auto& [value, use] : values_) {
      if (use.readers > 0 && use.writers == 0 && value != initial.value)
        return SearchResult::kViolated;
    }
    state_ = initial;
    Open();
    for (uint64_t steps = limits.steps; required_ > 0;) {
      Frame& frame = frames_.back();
      if (frame.next == choices_.size()) {
        if (frames_.size() == 1) return SearchResult::kViolated;
        choices_.resize(frame.first);
        frames_.pop_back();
        TakeBack();
        continue;
      }
      if (steps-- == 0 || !Spend(limits, std::exchange(looked_at_, 0))) {
        return SearchResult::kUndecided;
      }
      const uint32_t choice = choices_[frame.next++].operation;
      Place(choice);
      if (!tried_.insert(Key()).second) {
        TakeBack();
        continue;
      }
      Open();
    }
    return SearchResult::kLinearizable;
  }

 private:
  struct Value {  // how many are left
    uint32_t writers = 0;
    uint32_t readers = 0;  // that must see it
    uint64_t first_seen = kNever;
  };
  struct Choice {
    uint64_t seen_by;  // D5
    uint64_t finish;
    uint32_t operation;
    bool operator<(const Choice& other) const {
      return std::tie(seen_by, finish, operation) <
             std::tie(other.seen_by, other.finish, other.operation);
    }
  };
  // What can come next: choices_ from `first` to the next frame's.
  struct Frame {
    size_t first;
    size_t next;
  };
  struct Placement {
    uint32_t operation;
    State state;  // before it
    uint64_t latest;
  };

  uint32_t End() const { return static_cast<uint32_t>(operations_.size()); }

  // A new frame, with what can come next.
  void Open() {
    const size_t first = choices_.size();
    frames_.push_back({first, first});
    uint64_t first_return = kNever;    // of those that must be placed
    uint64_t first_too_late = kNever;  // of the optional ones that can be
    for (uint32_t i = next_[End()]; i != End(); i = next_[i]) {
      const Operation& operation = operations_[i];
      ++looked_at_;
      if (operation.invoke > first_return) break;
      if (!IsOptional(operation)) {
        first_return = std::min(first_return, operation.finish);
      } else if (operation.finish >= latest_) {
        first_too_late = std::min(first_too_late, operation.finish);
      } else {
        continue;
      }
      choices_.push_back({0, operation.finish, i});
    }
    size_t kept = first;
    for (size_t i = first; i < choices_.size(); ++i) {
      const Operation& operation = operations_[choices_[i].operation];
      State after = state_;
      if (!Model::Step(operation, &after)) continue;
      if (Model::IsObserver(operation) && !IsOptional(operation) && after == state_ &&
          operation.invoke <= std::max(latest_, first_too_late)) {
        choices_[first] = choices_[i];  // D1
        choices_.resize(first + 1);
        return;
      }
      if (IsLost(operation, after)) continue;
      choices_[kept] = choices_[i];
      const auto value = values_.find(WrittenValue(operation));
      if (value != values_.end() && value->second.readers > 0) {
        choices_[kept].seen_by = value->second.first_seen;
      }
      ++kept;
    }
    choices_.resize(kept);
    std::sort(choices_.begin() + static_cast<ptrdiff_t>(first), choices_.end());
    LeaveOutAlike(first, first_too_late);
  }

  // D3.
  bool IsLost(const Operation& operation, const State& after) const {
    if (after.value == state_.value || state_.value == kNothing) return false;
    const auto value = values_.find(state_.value);
    if (value == values_.end() || value->second.writers > 0) return false;
    return value->second.readers > (SeenValue(operation) == state_.value && !IsOptional(operation));
  }

  // D2. Those that are alike follow each other as far as D5 orders them alike.
  void LeaveOutAlike(size_t first, uint64_t first_too_late) {
    size_t kept = first;
    for (size_t i = first; i < choices_.size(); ++i) {
      bool second = false;
      for (size_t j = kept; j-- > first && !second;) {
        if (choices_[j].seen_by != choices_[i].seen_by) break;
        ++looked_at_;
        const Operation& before = operations_[choices_[j].operation];
        const Operation& after = operations_[choices_[i].operation];
        second = AreAlike(before, after) &&
                 before.invoke <= std::max({latest_, after.invoke, first_too_late});
      }
      if (!second) choices_[kept++] = choices_[i];
    }
    choices_.resize(kept);
  }

  void Place(uint32_t i) {
    const Operation& operation = operations_[i];
    path_.push_back({i, state_, latest_});
    Model::Step(operation, &state_);
    latest_ = std::max(latest_, operation.invoke);
    next_[previous_[i]] = next_[i];
    previous_[next_[i]] = previous_[i];
    placed_[i / 64] |= 1ull << (i % 64);
    Count(operation, -1);
  }

  void TakeBack() {
    const Placement& placement = path_.back();
    const uint32_t i = placement.operation;
    state_ = placement.state;
    latest_ = placement.latest;
    next_[previous_[i]] = i;
    previous_[next_[i]] = i;
    placed_[i / 64] &= ~(1ull << (i % 64));
    Count(operations_[i], 1);
    path_.pop_back();
  }

  void Count(const Operation& operation, int by) {
    const auto add = [by](auto* count) {
      *count += static_cast<std::remove_pointer_t<decltype(count)>>(by);
    };
    if (!IsOptional(operation)) add(&required_);
    if (const uint64_t value = WrittenValue(operation); value != kNothing)
      add(&values_[value].writers);
    if (const uint64_t value = SeenValue(operation); value != kNothing && !IsOptional(operation)) {
      add(&values_[value].readers);
    }
  }

  // The placed ones: all before the first that is not, and some of those from there to the last
  // placed one's word; and the state.
  std::string Key() {
    const uint32_t first = next_[End()];
    most_placed_ = std::max(most_placed_, path_.back().operation);
    size_t last = most_placed_ / 64;
    while (last > first / 64 && placed_[last] == 0) --last;
    std::string key(reinterpret_cast<const char*>(&state_), sizeof state_);
    key.append(reinterpret_cast<const char*>(&first), sizeof first);
    if (first / 64 < placed_.size() && last >= first / 64) {
      key.append(reinterpret_cast<const char*>(&placed_[first / 64]),
                 (last - first / 64 + 1) * sizeof placed_[0]);
    }
    return key;
  }
  static_assert(std::has_unique_object_representations_v<State>);

  std::span<const Operation> operations_;
  State state_{};
  uint64_t latest_ = 0;     // the last call among those placed
  uint64_t required_ = 0;   // to be placed yet
  uint64_t looked_at_ = 0;  // since the last step
  uint32_t most_placed_ = 0;
  std::vector<uint32_t> next_, previous_;  // the rest, a ring by invoke; the last is its anchor
  std::vector<uint64_t> placed_;           // a bit each
  absl::flat_hash_map<uint64_t, Value> values_;
  std::vector<Placement> path_;
  std::vector<Frame> frames_;
  std::vector<Choice> choices_;
  absl::flat_hash_set<std::string> tried_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_DEPTH_FIRST_H_

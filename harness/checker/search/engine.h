// The search for a linearization, just in time (after Lowe, "Testing for linearizability", 2017):
// it goes through the history once, in the order of time, and keeps the set of configurations that
// some linearization of the history so far may have led to. Nothing is undone, so its memory does
// not grow with the history.
//
// A configuration is a state of the object and the set of the open operations that have taken
// effect in it.
//
// E1  An operation is made to take effect no earlier than it must: when it, or another one that
//     needs it, returns. Every linearization can be brought to that form: what is placed after the
//     returning operation in the same gap between returns can be placed in the next gap as well.
// E2  An observer takes effect at once in every configuration whose state it fits and leaves as it
//     is: placed there it hinders nothing.
// E3  An operation that crashed is optional: at its end the configurations in which it has not
//     taken effect stay.
// E4  A configuration is dropped only if it is empty of futures (an open operation is doomed in it)
//     or if another one dominates it: same effects still owed, at least as much still possible.
// E5  Operations that are alike (same call, same results) take effect in the order of their ends:
//     any linearization can be renamed so.
//
// So the set is empty exactly if there is no linearization; where the set outgrows its limit, more
// operations are open than the mask has bits, or no work is left, the answer is undecided.
#ifndef KILL9_HARNESS_CHECKER_SEARCH_ENGINE_H_
#define KILL9_HARNESS_CHECKER_SEARCH_ENGINE_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "harness/checker/search/mask.h"
#include "harness/checker/search/shown.h"
#include "harness/history/history.h"

namespace kill9 {

enum class SearchResult : uint8_t { kLinearizable, kViolated, kUndecided };

// E5. Of a crashed one it does not matter when it crashed.
inline bool AreAlike(const Operation& a, const Operation& b) {
  return a.argument == b.argument && a.function == b.function && a.expected == b.expected &&
         a.result == b.result && a.result_version == b.result_version &&
         (IsOptional(a) ? IsOptional(b) : a.outcome == b.outcome);
}

struct EngineLimits {
  uint64_t steps = 1u << 20;  // tried for one return
  size_t configurations = 1u << 16;
  size_t stream_window = 16;  // a stream is cut no shorter than this: there are many streams
  // How many configurations all who share it may still look at, and steps try; null: no bound.
  // Relaxed, everywhere: a count.
  std::atomic<uint64_t>* work_left = nullptr;
};

// Limits with work of their own.
struct BoundedLimits {
  std::atomic<uint64_t> work_left;
  EngineLimits limits;
  BoundedLimits(const EngineLimits& others, uint64_t work) : work_left(work), limits(others) {
    limits.work_left = &work_left;
  }
};

// False: so much is not left; then nothing is.
inline bool Spend(const EngineLimits& limits, uint64_t work) {
  if (limits.work_left == nullptr) return true;
  const uint64_t left = limits.work_left->load(std::memory_order_relaxed);
  limits.work_left->store(left - std::min(left, work), std::memory_order_relaxed);
  return left >= work;
}

// `traced`: each configuration remembers the order of effects that led to it, for counterexamples.
template <typename Model, typename Mask = uint64_t, bool traced = false>
class Engine {
 public:
  using State = typename Model::State;
  struct Configuration {
    State state;
    Mask done;
    uint32_t node = 0;  // traced: the last effect, in nodes()
    bool operator==(const Configuration& other) const {
      return done == other.done && state == other.state;
    }
  };
  struct Node {  // an effect and the one before it; node 0 is none
    uint32_t before = 0;
    uint32_t operation = 0;  // counted as invoked
  };

  explicit Engine(const std::vector<State>& initial, const EngineLimits& limits = {},
                  const Model& model = {})
      : model_(model), limits_(limits), nodes_(1) {
    for (const State& state : initial) configurations_.push_back({state, Mask{}, 0});
  }

  // The next operation's call. REQUIRES: in the order of `invoke`; its `finish` is when it
  // returned, at the latest took effect, or kNever.
  SearchResult Invoke(const Operation& operation) {
    SearchResult answer = ReturnAllBefore(operation.invoke);
    if (answer != SearchResult::kLinearizable) return answer;
    int slot = Traits::FirstZero(open_);
    if (slot < 0) return SearchResult::kUndecided;
    if (static_cast<size_t>(slot) == slots_.size()) slots_.emplace_back();
    Slot& mine = slots_[static_cast<size_t>(slot)];
    mine.operation = operation;
    mine.number = invoked_++;
    mine.alike = -1;
    LookForAlike(mine.operation);
    Traits::Set(&open_, slot);
    if (operation.finish < next_finish_) {
      next_finish_ = operation.finish;
      next_slot_ = slot;
    }
    if (IsOptional(operation)) {
      Traits::Set(&optional_, slot);
      return SearchResult::kLinearizable;
    }
    bool observer = model_.IsObserver(operation);
    if (observer) Traits::Set(&observers_, slot);
    if (observer) {
      for (Configuration& configuration : configurations_) TakeEffectIfFree(&configuration, slot);
    }
    if (configurations_.size() == 1) return SearchResult::kLinearizable;
    if (!Spend(limits_, configurations_.size())) return SearchResult::kUndecided;
    auto doomed = [&](const Configuration& configuration) {
      return !Traits::Test(configuration.done, slot) &&
             model_.Doomed(operation, configuration.state);
    };
    if (std::all_of(configurations_.begin(), configurations_.end(), doomed)) {
      before_failure_ = configurations_;
      return Fail(slot);
    }
    std::erase_if(configurations_, doomed);
    return SearchResult::kLinearizable;
  }

  // No more operations: everything returns. What ends at kNever just stays possible.
  SearchResult Finish() { return ReturnAllBefore(kNever); }

  // Returns of what finished before `time`, in order.
  SearchResult ReturnAllBefore(uint64_t time) {
    while (next_finish_ < time) {
      SearchResult answer = Return(next_slot_);
      if (answer != SearchResult::kLinearizable) return answer;
    }
    return SearchResult::kLinearizable;
  }

  bool quiescent() const { return open_ == Mask{}; }
  // The states after a quiescent cut.
  std::vector<State> states() const {
    std::vector<State> states;
    for (const Configuration& configuration : configurations_)
      states.push_back(configuration.state);
    return states;
  }
  // After kViolated: the operation that could not be placed, and the configurations just before.
  const Operation& failed_operation() const {
    return slots_[static_cast<size_t>(failed_)].operation;
  }
  uint32_t failed_number() const { return slots_[static_cast<size_t>(failed_)].number; }
  const std::vector<Configuration>& last_configurations() const { return before_failure_; }
  const std::vector<Configuration>& configurations() const { return configurations_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  size_t largest_set() const { return largest_set_; }

 private:
  using Traits = MaskTraits<Mask>;
  struct Slot {
    Operation operation;
    uint32_t number = 0;
    int alike = -1;  // E5: the slot of the one that takes effect before it; see FindAlike
  };

  SearchResult Fail(int slot) {
    failed_ = slot;
    return SearchResult::kViolated;
  }

  // Most operations are like none that is open: then no order among them is looked for. Observers
  // do not count: they are placed as soon as they can be.
  void LookForAlike(const Operation& operation) {
    if (open_ == Mask{}) has_alike_ = false;
    knows_alike_ = false;
    if (has_alike_ || model_.IsObserver(operation)) return;
    Traits::ForEach(open_, [&](int other) {
      has_alike_ |= AreAlike(slots_[static_cast<size_t>(other)].operation, operation);
    });
  }

  // E5. Of those of one end, the one called first.
  void FindAlike() {
    if (!has_alike_ || knows_alike_) return;
    knows_alike_ = true;
    const auto before = [](const Slot& a, const Slot& b) {
      return a.operation.finish != b.operation.finish ? a.operation.finish < b.operation.finish
                                                      : a.number < b.number;
    };
    Traits::ForEach(open_, [&](int slot) {
      Slot& mine = slots_[static_cast<size_t>(slot)];
      mine.alike = -1;
      Traits::ForEach(open_, [&](int other) {
        const Slot& theirs = slots_[static_cast<size_t>(other)];
        if (!AreAlike(theirs.operation, mine.operation) || !before(theirs, mine)) return;
        if (mine.alike < 0 || before(slots_[static_cast<size_t>(mine.alike)], theirs)) {
          mine.alike = other;
        }
      });
    });
  }

  void Trace(Configuration* configuration, int slot) {
    if constexpr (traced) {
      nodes_.push_back({configuration->node, slots_[static_cast<size_t>(slot)].number});
      configuration->node = static_cast<uint32_t>(nodes_.size() - 1);
    }
  }

  void TakeEffectIfFree(Configuration* configuration, int slot) {
    State state = configuration->state;
    if (model_.Step(slots_[static_cast<size_t>(slot)].operation, &state) &&
        state == configuration->state) {
      Traits::Set(&configuration->done, slot);
      Trace(configuration, slot);
    }
  }

  // Lets `slot` take effect in the configuration, and the observers that now fit. False: it cannot,
  // or then an open operation is doomed.
  bool TakeEffect(int slot, Configuration* configuration) {
    if (!model_.Step(slots_[static_cast<size_t>(slot)].operation, &configuration->state)) {
      return false;
    }
    Traits::Set(&configuration->done, slot);
    Trace(configuration, slot);
    bool alive = true;
    Traits::ForEach(Traits::Without(open_, configuration->done), [&](int other) {
      if (Traits::Test(observers_, other)) TakeEffectIfFree(configuration, other);
      if (Traits::Test(configuration->done, other)) return;
      const Operation& operation = slots_[static_cast<size_t>(other)].operation;
      if (!IsOptional(operation) && model_.Doomed(operation, configuration->state)) alive = false;
    });
    return alive;
  }

  SearchResult Return(int slot) {
    const bool optional = IsOptional(slots_[static_cast<size_t>(slot)].operation);
    next_.clear();
    steps_ = 0;
    bool alone = Traits::IsOnly(open_, slot);
    if (!alone) FindAlike();
    for (Configuration& configuration : configurations_) {
      bool done = Traits::Test(configuration.done, slot);
      if (done || optional) {
        Configuration kept = configuration;
        Traits::Clear(&kept.done, slot);
        Keep(kept);
        if (done) continue;
      }
      if (alone) {
        Configuration after = configuration;
        if (TakeEffect(slot, &after)) {
          Traits::Clear(&after.done, slot);
          Keep(after);
        }
      } else if (!Explore(configuration, slot)) {
        return SearchResult::kUndecided;
      }
    }
    if (next_.empty()) {
      before_failure_ = configurations_;
      return Fail(slot);
    }
    if (next_.size() > limits_.configurations) return SearchResult::kUndecided;
    if (!Spend(limits_, steps_ + WorkOfKeeping(next_.size()))) return SearchResult::kUndecided;
    known_.clear();
    std::swap(configurations_, next_);
    Prune(&configurations_);
    largest_set_ = std::max(largest_set_, configurations_.size());
    Traits::Clear(&open_, slot);
    knows_alike_ = false;
    Traits::Clear(&observers_, slot);
    Traits::Clear(&optional_, slot);
    next_finish_ = kNever;
    Traits::ForEach(open_, [&](int other) {
      uint64_t finish = slots_[static_cast<size_t>(other)].operation.finish;
      if (finish < next_finish_) {
        next_finish_ = finish;
        next_slot_ = other;
      }
    });
    return SearchResult::kLinearizable;
  }

  // Comparing two of them (Prune) is a small part of a step.
  static uint64_t WorkOfKeeping(size_t configurations) {
    constexpr uint64_t kComparisonsOfAStep = 16;
    const bool prunes = configurations <= kMany;
    return configurations + (prunes ? configurations * configurations / kComparisonsOfAStep : 0);
  }

  // Every way from `from` over open operations that ends with `last` taking effect. False: too
  // many.
  bool Explore(const Configuration& from, int last) {
    ways_.clear();
    ways_known_.clear();
    ways_.push_back(from);
    for (size_t i = 0; i < ways_.size(); ++i) {
      Configuration end = ways_[i];
      if (TakeEffect(last, &end)) {
        Traits::Clear(&end.done, last);
        Keep(end);
      }
      Mask candidates = Traits::Without(open_, ways_[i].done);
      Traits::Clear(&candidates, last);
      bool enough = false;
      Traits::ForEach(candidates, [&](int slot) {
        int alike = slots_[static_cast<size_t>(slot)].alike;
        if (alike >= 0 && !Traits::Test(ways_[i].done, alike)) return;
        if (++steps_ > limits_.steps) {
          enough = true;
          return;
        }
        Configuration way = ways_[i];
        if (TakeEffect(slot, &way)) Insert(way, &ways_, &ways_known_);
      });
      if (enough) return false;
    }
    return true;
  }

  // Whether whatever can still become of b can become of a as well.
  bool Dominates(const Configuration& a, const Configuration& b) const {
    if (!(a.done == b.done)) {
      // What only a has done must be a burden lifted; what only b has done, a chance spent.
      if (!Traits::Contains(observers_, Traits::Without(a.done, b.done))) return false;
      if (!Traits::Contains(optional_, Traits::Without(b.done, a.done))) return false;
    }
    return model_.Dominates(a.state, b.state);
  }

  void Keep(const Configuration& configuration) { Insert(configuration, &next_, &known_); }

  struct HashOf {
    size_t operator()(const Configuration& configuration) const {
      uint64_t hash = Model::Hash(configuration.state) ^
                      (Traits::Hash(configuration.done) * 0x27d4eb2f165667c5u);
      return static_cast<size_t>(hash ^ (hash >> 29));
    }
  };
  using Set = absl::flat_hash_set<Configuration, HashOf>;

  // E4: among few by pairs, among many only what is equal.
  void Insert(const Configuration& configuration, std::vector<Configuration>* into, Set* known) {
    if (into->size() < kFew) {
      for (const Configuration& other : *into) {
        if (Dominates(other, configuration)) return;
      }
    } else {
      if (known->empty()) known->insert(into->begin(), into->end());
      if (!known->insert(configuration).second) return;
    }
    into->push_back(configuration);
  }

  // Among the configurations that are kept, the dominated ones go in both directions.
  void Prune(std::vector<Configuration>* configurations) const {
    if (configurations->size() < 2 || configurations->size() > kMany) return;
    size_t kept = 0;
    for (size_t i = 0; i < configurations->size(); ++i) {
      bool dominated = false;
      for (size_t j = 0; j < configurations->size() && !dominated; ++j) {
        const Configuration& other = (*configurations)[j];
        // Of two that dominate each other the first stays.
        if (i == j || (j >= kept && j < i)) continue;
        dominated = Dominates(other, (*configurations)[i]) &&
                    (j < i || !Dominates((*configurations)[i], other));
      }
      if (!dominated) {
        if (kept != i) (*configurations)[kept] = (*configurations)[i];
        ++kept;
      }
    }
    configurations->resize(kept);
  }

  static constexpr size_t kFew = 32;
  static constexpr size_t kMany = 512;

  [[no_unique_address]] Model model_;
  EngineLimits limits_;
  std::vector<Configuration> configurations_;
  std::vector<Configuration> next_;
  std::vector<Configuration> ways_;
  std::vector<Configuration> before_failure_;
  Set known_;
  Set ways_known_;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
  Mask open_{};
  Mask observers_{};
  Mask optional_{};
  bool has_alike_ = false;    // since nothing was open
  bool knows_alike_ = false;  // then: the slots' `alike` is up to date
  uint64_t next_finish_ = kNever;
  int next_slot_ = -1;
  int failed_ = -1;
  uint32_t invoked_ = 0;
  uint64_t steps_ = 0;
  size_t largest_set_ = 1;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_ENGINE_H_

#include "harness/checker/models/queue_checker.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "harness/checker/models/checkers.h"
#include "harness/checker/window.h"

namespace kill9 {
namespace {

constexpr int kTriesMost = 20000;
// Above this many operations a smaller counterexample is not looked for one by one.
constexpr size_t kTracedMost = 200;

// The life of one value.
struct Item {
  uint64_t enqueue_invoke = 0;
  uint64_t enqueue_finish = 0;
  uint64_t dequeue_invoke = kNever;  // kNever: it was not dequeued
  uint64_t dequeue_finish = kNever;
};

struct Interval {
  uint64_t begin;
  uint64_t end;
};

// What a set of items shows: nothing wrong, or a fault and those missing items of which one must
// have been taken by a crashed dequeue for the fault to go away (none: it cannot).
struct Finding {
  bool fault = false;
  std::vector<size_t> suspects;
};

class DistinctQueue {
 public:
  // False: Q1 or Q2.
  bool Collect(std::span<const Operation> operations) {
    absl::flat_hash_map<uint64_t, size_t> index;
    std::vector<const Operation*> unsettled;
    for (const Operation& operation : operations) {
      if (operation.function != Function::kEnqueue) continue;
      index[operation.argument] = items_.size();
      items_.push_back({operation.invoke, operation.finish, kNever, kNever});
      optional_.push_back(IsOptional(operation));
    }
    for (const Operation& operation : operations) {
      if (operation.function != Function::kDequeue) continue;
      if (IsOptional(operation)) {
        crashed_dequeues_.push_back({operation.invoke, operation.finish});
      } else if (operation.result == kNothing) {
        empty_.push_back({operation.invoke, operation.finish});
      } else {
        auto found = index.find(operation.result);
        if (found == index.end()) return false;
        Item& item = items_[found->second];
        if (item.dequeue_invoke != kNever || operation.finish < item.enqueue_invoke) return false;
        item.dequeue_invoke = operation.invoke;
        item.dequeue_finish = operation.finish;
        item.enqueue_finish = std::min(item.enqueue_finish, operation.finish);
      }
    }
    DropUnseenEnqueues();
    return true;
  }

  SearchResult Decide() {
    tries_ = 0;
    taken_by_.assign(crashed_dequeues_.size(), false);
    bool possible = Try();
    if (possible) return SearchResult::kLinearizable;
    return tries_ > kTriesMost ? SearchResult::kUndecided : SearchResult::kViolated;
  }

 private:
  // A crashed enqueue whose value was not dequeued need not have taken place.
  void DropUnseenEnqueues() {
    size_t kept = 0;
    for (size_t i = 0; i < items_.size(); ++i) {
      if (optional_[i] && items_[i].dequeue_invoke == kNever) continue;
      items_[kept++] = items_[i];
    }
    items_.resize(kept);
    for (size_t i = 0; i < items_.size(); ++i) by_return_.push_back(i);
    std::sort(by_return_.begin(), by_return_.end(), [&](size_t a, size_t b) {
      return items_[a].enqueue_finish < items_[b].enqueue_finish;
    });
  }

  bool Try() {
    if (++tries_ > kTriesMost) return false;
    Finding finding = FindDisorder();
    if (!finding.fault) finding = FindWrongEmpty();
    if (!finding.fault) return true;
    for (size_t suspect : finding.suspects) {
      for (size_t i = 0; i < crashed_dequeues_.size(); ++i) {
        if (taken_by_[i] || crashed_dequeues_[i].end < items_[suspect].enqueue_invoke) continue;
        taken_by_[i] = true;
        items_[suspect].dequeue_invoke = crashed_dequeues_[i].begin;
        items_[suspect].dequeue_finish = crashed_dequeues_[i].end;
        if (Try()) return true;
        items_[suspect].dequeue_invoke = items_[suspect].dequeue_finish = kNever;
        taken_by_[i] = false;
        if (tries_ > kTriesMost) return false;
      }
    }
    return false;
  }

  // Q3. The items are in the order of their enqueues' calls.
  Finding FindDisorder() const {
    size_t next = 0;
    size_t latest = items_.size();  // the item, enqueued before, whose dequeue is called last
    for (size_t b = 0; b < items_.size(); ++b) {
      for (; next < by_return_.size() &&
             items_[by_return_[next]].enqueue_finish < items_[b].enqueue_invoke;
           ++next) {
        size_t a = by_return_[next];
        if (latest == items_.size() || items_[a].dequeue_invoke > items_[latest].dequeue_invoke) {
          latest = a;
        }
      }
      if (latest == items_.size() || items_[b].dequeue_finish >= items_[latest].dequeue_invoke) {
        continue;
      }
      Finding finding{true, {}};
      if (items_[latest].dequeue_invoke == kNever) finding.suspects.push_back(latest);
      return finding;
    }
    return {};
  }

  // Q4.
  Finding FindWrongEmpty() const {
    if (empty_.empty()) return {};
    std::vector<Interval> sure;  // some value surely is in the queue
    for (size_t i : by_return_) {
      const Item& item = items_[i];
      if (item.enqueue_finish >= item.dequeue_invoke) continue;
      if (!sure.empty() && item.enqueue_finish < sure.back().end) {
        sure.back().end = std::max(sure.back().end, item.dequeue_invoke);
      } else {
        sure.push_back({item.enqueue_finish, item.dequeue_invoke});
      }
    }
    for (const Interval& empty : empty_) {
      auto after = std::lower_bound(
          sure.begin(), sure.end(), empty.begin,
          [](const Interval& interval, uint64_t time) { return interval.begin < time; });
      if (after == sure.begin()) continue;
      const Interval& around = *(after - 1);
      if (around.end <= empty.end) continue;
      Finding finding{true, {}};
      for (size_t i = 0; i < items_.size(); ++i) {
        if (items_[i].dequeue_invoke == kNever && items_[i].enqueue_finish < empty.end) {
          finding.suspects.push_back(i);
        }
      }
      return finding;
    }
    return {};
  }

  std::vector<Item> items_;
  std::vector<bool> optional_;
  std::vector<size_t> by_return_;
  std::vector<Interval> empty_;
  std::vector<Interval> crashed_dequeues_;
  std::vector<bool> taken_by_;
  int tries_ = 0;
};

bool AreDistinct(std::span<const Operation> operations) {
  absl::flat_hash_set<uint64_t> values;
  for (const Operation& operation : operations) {
    if (operation.function == Function::kEnqueue && !values.insert(operation.argument).second) {
      return false;
    }
  }
  return true;
}

}  // namespace

SearchResult CheckDistinctQueue(std::span<const Operation> operations) {
  DistinctQueue queue;
  if (!queue.Collect(operations)) return SearchResult::kViolated;
  return queue.Decide();
}

SearchResult QueueChecker::Check(Condition condition, const Recoveries& recoveries,
                                 const EngineLimits& limits, const KeyHistory& recorded,
                                 Counterexample* counterexample) const {
  if (!AreDistinct(recorded.operations)) {
    return EngineChecker<QueueModel>().Check(condition, recoveries, limits, recorded,
                                             counterexample);
  }
  std::vector<Operation> operations =
      Prepare<QueueModel>(condition, recoveries, recorded.operations);
  SearchResult answer = CheckDistinctQueue(operations);
  if (answer != SearchResult::kViolated || counterexample == nullptr) return answer;
  operations = Shrink(std::move(operations), kShrinkTries, [](std::span<const Operation> some) {
    return CheckDistinctQueue(some) == SearchResult::kViolated;
  });
  if (operations.size() <= kTracedMost) {
    *counterexample = ExplainWindow(QueueModel(), condition, {QueueModel::State{}}, operations,
                                    recorded.operations, limits);
  }
  if (counterexample->operations.empty()) {
    counterexample->condition = condition;
    counterexample->key = operations.front().key;
    counterexample->failed = operations.size() - 1;
    counterexample->unplaceable = {counterexample->failed};
    counterexample->operations = std::move(operations);
  }
  counterexample->model = name();
  return answer;
}

std::unique_ptr<StreamChecker> QueueChecker::NewStream(bool has_versions,
                                                       const EngineLimits& limits) const {
  return std::make_unique<EngineStream<QueueModel>>(name(), has_versions, limits);
}

const ModelChecker& TheQueueChecker() {
  static const QueueChecker checker;
  return checker;
}

}  // namespace kill9

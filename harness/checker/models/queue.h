// A first-in first-out queue: enqueue, and dequeue of the oldest, or of nothing where it is empty.
#ifndef KILL9_HARNESS_CHECKER_MODELS_QUEUE_H_
#define KILL9_HARNESS_CHECKER_MODELS_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/checker/search/shown.h"
#include "harness/history/history.h"

namespace kill9 {

struct QueueModel {
  using State = std::vector<uint64_t>;  // the oldest first
  static constexpr std::string_view kName = "queue";
  static constexpr std::string_view kSummary = "first in, first out: enqueue, dequeue";

  static bool Accepts(Function function) {
    return function == Function::kEnqueue || function == Function::kDequeue;
  }
  static State Init(bool) { return {}; }

  static bool Step(const Operation& operation, State* state) {
    if (operation.function == Function::kEnqueue) {
      state->push_back(operation.argument);
      return true;
    }
    const bool told = operation.outcome == Outcome::kOk;
    if (told && operation.result == kNothing) return state->empty();
    if (state->empty() || (told && state->front() != operation.result)) return false;
    state->erase(state->begin());
    return true;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kDequeue && operation.outcome == Outcome::kOk &&
           operation.result == kNothing;
  }
  static bool Doomed(const Operation&, const State&) { return false; }
  static bool Dominates(const State& a, const State& b) { return a == b; }
  static bool Holds(const State& state, uint64_t value) {
    return std::find(state.begin(), state.end(), value) != state.end();
  }
  static bool MayHaveSeen(const Operation& seer, const Operation& crashed) {
    return MayHaveSeenValue(seer, crashed);
  }
  static uint64_t Hash(const State& state) {
    uint64_t hash = state.size();
    for (uint64_t value : state) hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash;
  }
  static std::string DescribeState(const State& state) {
    std::string text = "[";
    for (uint64_t value : state)
      text += (text.size() > 1 ? " {" : "{") + std::to_string(value) + "}";
    return text + "]";
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_QUEUE_H_

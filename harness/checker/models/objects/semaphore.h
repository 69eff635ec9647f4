// A semaphore of two permits: two processes have it at a time, and a third one waits, or is refused
// while both are taken. Who dies gives back what it holds, by the moment of its death. Only who has
// a permit releases one.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SEMAPHORE_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SEMAPHORE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "harness/checker/models/objects/usual_rules.h"
#include "harness/history/history.h"

namespace kill9 {

struct SemaphoreModel : UsualRules {
  // Who has the permits, as Field::kCaller, the greater one first; 0: nobody.
  using State = std::array<uint64_t, 2>;
  static constexpr std::string_view kName = "semaphore";
  static constexpr std::string_view kSummary =
      "acquire, release, die; two permits, which a death gives back";

  static bool Accepts(Function function) {
    return function == Function::kAcquire || function == Function::kRelease ||
           function == Function::kDie;
  }
  static State Init(bool) { return {}; }

  static bool Step(const Operation& operation, State* state) {
    if (operation.function == Function::kAcquire) return Acquire(operation, state);
    const bool had_one = Take(operation.argument, state);
    return had_one || operation.function == Function::kDie;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kAcquire && operation.result == kHeldByOther;
  }
  static uint64_t Hash(const State& state) {
    return (state[0] * 0x9e3779b97f4a7c15u ^ state[1]) * 0x9e3779b97f4a7c15u;
  }
  static std::string DescribeState(const State& state) {
    if (state[0] == 0) return "free";
    const std::string first = "P" + std::to_string(state[0] - 1);
    if (state[1] == 0) return "one permit held by " + first;
    return "held by " + first + " and P" + std::to_string(state[1] - 1);
  }

 private:
  static bool Acquire(const Operation& operation, State* state) {
    const bool is_full = state->back() != 0;
    if (operation.outcome == Outcome::kOk) {
      if (operation.result == kHeldByOther) return is_full;
      if (operation.result == kAcquiredOfDead) return false;  // nobody is told of a permit's past
    }
    if (is_full) return false;
    if (operation.outcome == Outcome::kCrashed) return true;  // its death gives it back
    state->back() = operation.argument;
    Order(state);
    return true;
  }
  static bool Take(uint64_t holder, State* state) {
    for (uint64_t& one : *state) {
      if (one != holder) continue;
      one = 0;
      Order(state);
      return true;
    }
    return false;
  }
  static void Order(State* state) {
    if (state->front() < state->back()) std::swap(state->front(), state->back());
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SEMAPHORE_H_

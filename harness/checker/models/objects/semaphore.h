// A semaphore of two permits: two processes have it at a time, and a third one waits, or is refused
// while both are taken. Who dies gives back what it holds, by the moment of its death; so who dies
// while it acquires may have a permit until then. Only who has a permit releases one.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SEMAPHORE_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SEMAPHORE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "harness/checker/models/objects/usual_rules.h"
#include "harness/checker/search/shown.h"
#include "harness/history/history.h"

namespace kill9 {

struct SemaphoreModel : UsualRules {
  struct State {
    // Who has the permits, as Field::kCaller, the greater one first; 0: nobody; kLeftOver and a
    // time: who died in its acquisition may have it until then.
    std::array<uint64_t, 2> permits = {};
    TheDead dead = {};
    bool operator==(const State&) const = default;
  };
  static constexpr uint64_t kLeftOver = uint64_t{1} << 63;
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
    if (operation.function == Function::kDie) state->dead.Add(operation.argument);
    DropWhatIsGone(operation, state);
    const bool had_one = Take(operation.argument, state);
    return had_one || operation.function == Function::kDie;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kAcquire && operation.result == kHeldByOther;
  }
  static uint64_t Hash(const State& state) {
    const uint64_t permits = state.permits[0] * 0x9e3779b97f4a7c15u ^ state.permits[1];
    return (permits * 0x9e3779b97f4a7c15u ^ state.dead.Hash()) * 0x9e3779b97f4a7c15u;
  }
  static std::string DescribeState(const State& state) {
    const auto [first, second] = state.permits;
    if (first == 0) return "free";
    if (second == 0) return "one permit held by " + NameOf(first);
    return "held by " + NameOf(first) + " and " + NameOf(second);
  }

 private:
  static std::string NameOf(uint64_t permit) {
    return IsLeftOver(permit) ? "one who died in it" : "P" + std::to_string(permit - 1);
  }
  static bool IsLeftOver(uint64_t permit) { return permit >= kLeftOver; }
  static bool IsTaken(uint64_t permit, const Operation& refusal) {
    return IsLeftOver(permit) ? permit >= LeftUntil(refusal.invoke) : permit != 0;
  }
  static bool Acquire(const Operation& operation, State* state) {
    if (operation.outcome == Outcome::kOk) {
      if (operation.result == kHeldByOther) {
        return IsTaken(state->permits[0], operation) && IsTaken(state->permits[1], operation);
      }
      if (operation.result == kAcquiredOfDead) return false;  // nobody is told of a permit's past
    }
    if (state->dead.Has(operation.argument)) return false;
    DropWhatIsGone(operation, state);
    // What is free, or else what was left over and is gone first.
    uint64_t* permit = &state->permits[1];
    if (*permit != 0 && !IsLeftOver(*permit)) permit = &state->permits[0];
    if (*permit != 0 && !IsLeftOver(*permit)) return false;
    *permit = IsOptional(operation) ? LeftUntil(MayHaveItUntil(operation)) : operation.argument;
    Order(state);
    return true;
  }
  static uint64_t LeftUntil(uint64_t time) { return kLeftOver | time; }
  // Two that died one after the other did not both have a permit at one time.
  static void DropWhatIsGone(const Operation& next, State* state) {
    for (uint64_t& permit : state->permits) {
      if (IsLeftOver(permit) && permit < LeftUntil(next.invoke)) permit = 0;
    }
    Order(state);
  }
  static bool Take(uint64_t holder, State* state) {
    for (uint64_t& one : state->permits) {
      if (one != holder) continue;
      one = 0;
      Order(state);
      return true;
    }
    return false;
  }
  static void Order(State* state) {
    if (state->permits[0] < state->permits[1]) std::swap(state->permits[0], state->permits[1]);
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SEMAPHORE_H_

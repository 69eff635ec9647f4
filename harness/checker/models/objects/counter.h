// The model of a counter: what is read is the number of additions so far.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_COUNTER_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_COUNTER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/checker/models/objects/usual_rules.h"
#include "harness/history/history.h"

namespace kill9 {

struct CounterModel : UsualRules {
  using State = uint64_t;
  static constexpr std::string_view kName = "counter";
  static constexpr std::string_view kSummary = "add, read the sum";

  static bool Accepts(Function function) {
    return function == Function::kAdd || function == Function::kRead;
  }
  static State Init(bool) { return 0; }

  static bool Step(const Operation& operation, State* state) {
    if (operation.function == Function::kRead) return operation.result == *state;
    *state += operation.argument;
    return true;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kRead;
  }
  // The sum never falls.
  static bool Doomed(const Operation& operation, const State& state) {
    return operation.function == Function::kRead && operation.result < state;
  }
  static bool MayHaveSeen(const Operation& seer, const Operation& crashed) {
    return seer.function == Function::kRead && crashed.invoke <= seer.finish;
  }
  static uint64_t Hash(const State& state) { return state * 0x9e3779b97f4a7c15u; }
  static std::string DescribeState(const State& state) { return std::to_string(state); }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_COUNTER_H_

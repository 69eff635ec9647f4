// A condition: wake-ups that processes sleep for, as one waits with a condition variable for a
// number to be above zero. A signal makes one more, a broadcast some, and a wait ends when it has
// taken one. A wait that a death cut off has taken one before, or none: what its caller was chosen
// for is there for the others. That nobody sleeps while one is there cannot be seen in a history;
// the runner watches over it.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_CONDITION_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_CONDITION_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/checker/models/objects/usual_rules.h"
#include "harness/history/history.h"

namespace kill9 {

struct ConditionModel : UsualRules {
  using State = uint64_t;  // wake-ups that nobody has taken
  static constexpr std::string_view kName = "condition";
  static constexpr std::string_view kSummary =
      "wait, signal, broadcast, read the wake-ups that are there; nobody sleeps while one is";

  static bool Accepts(Function function) {
    return function == Function::kWait || function == Function::kSignal ||
           function == Function::kBroadcast || function == Function::kWakeUps;
  }
  static State Init(bool) { return 0; }

  static bool Step(const Operation& operation, State* state) {
    if (operation.function == Function::kWakeUps) return operation.result == *state;
    if (operation.function != Function::kWait) {
      *state += operation.argument;
      return true;
    }
    if (*state == 0) return false;
    --*state;
    return true;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kWakeUps;
  }
  static uint64_t Hash(const State& state) { return state * 0x9e3779b97f4a7c15u; }
  static std::string DescribeState(const State& state) {
    return std::to_string(state) + (state == 1 ? " wake-up" : " wake-ups");
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_CONDITION_H_

// A list in the order of its appends, as a log is: append, read by index, remove by value.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_LIST_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_LIST_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/checker/models/objects/object_model.h"
#include "harness/checker/models/objects/usual_rules.h"
#include "harness/history/history.h"

namespace kill9 {

struct ListModel : UsualRules {
  using State = ObjectState;
  static constexpr std::string_view kName = "list";
  static constexpr std::string_view kSummary =
      "append, read by index, remove by value; in the order of the appends";

  static bool Accepts(Function function) {
    return function == Function::kAppend || function == Function::kAt ||
           function == Function::kRemoveItem;
  }
  static State Init(bool) { return {}; }

  static bool Step(const Operation& operation, State* state) {
    if (operation.function == Function::kAppend) {
      state->push_back(operation.argument);
      return true;
    }
    if (operation.function == Function::kAt) {
      const bool is_there = operation.argument < state->size();
      return operation.result == (is_there ? (*state)[operation.argument] : kNothing);
    }
    const auto found = std::find(state->begin(), state->end(), operation.argument);
    const bool was_there = found != state->end();
    const bool told = operation.outcome == Outcome::kOk && operation.result != kErasedUntold;
    if (told && was_there != (operation.result == 1)) return false;
    if (was_there) state->erase(found);
    return true;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kAt ||
           (operation.function == Function::kRemoveItem && operation.outcome == Outcome::kOk &&
            operation.result == 0);
  }
  static bool Holds(const State& state, uint64_t value) {
    return std::find(state.begin(), state.end(), value) != state.end();
  }
  static uint64_t Hash(const State& state) {
    uint64_t hash = state.size();
    for (const uint64_t value : state) hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash;
  }
  static std::string DescribeState(const State& state) {
    std::string text = "[";
    for (const uint64_t value : state) {
      text += (text.size() > 1 ? " {" : "{") + std::to_string(value) + "}";
    }
    return text + "]";
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_LIST_H_

// A set, each member on its own: add, remove, contains.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SET_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SET_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/checker/models/objects/usual_rules.h"
#include "harness/checker/search/shown.h"
#include "harness/history/history.h"

namespace kill9 {

struct SetModel : UsualRules {
  using State = bool;  // whether it is a member
  static constexpr std::string_view kName = "set";
  static constexpr std::string_view kSummary = "add, remove, contains; every member on its own";

  static bool Accepts(Function function) {
    return function == Function::kAddMember || function == Function::kRemoveMember ||
           function == Function::kContains;
  }
  static State Init(bool) { return false; }

  static bool Step(const Operation& operation, State* state) {
    if (ShowsSomeValue(operation) && !*state) return false;
    if (ShowsAbsence(operation) && *state) return false;
    if (operation.function == Function::kAddMember) *state = true;
    if (operation.function == Function::kRemoveMember) *state = false;
    return true;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kContains;
  }
  static uint64_t Hash(const State& state) { return state ? 0x9e3779b97f4a7c15u : 1; }
  static std::string DescribeState(const State& state) { return state ? "a member" : "no member"; }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_SET_H_

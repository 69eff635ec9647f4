#include "harness/checker/search/condition.h"

#include <cstdlib>

namespace kill9 {

std::string_view ConditionName(Condition condition) {
  switch (condition) {
    case Condition::kStrict:
      return "strict";
    case Condition::kRecoverable:
      return "recoverable";
    case Condition::kPending:
      return "pending";
  }
  std::abort();
}

std::optional<Condition> ParseCondition(std::string_view name) {
  for (Condition condition : kConditions) {
    if (name == ConditionName(condition)) return condition;
  }
  return std::nullopt;
}

}  // namespace kill9

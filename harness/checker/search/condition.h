// How long after its process's death an operation may still take effect (docs/design.md).
#ifndef KILL9_HARNESS_CHECKER_SEARCH_CONDITION_H_
#define KILL9_HARNESS_CHECKER_SEARCH_CONDITION_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace kill9 {

// The stronger one first; each includes the next.
enum class Condition : uint8_t {
  kStrict,       // until the death (Aguilera and Frølund 2003)
  kRecoverable,  // until the end of the recovery: the earliest return of a Recover() that was
                 // called after the death. A history in which nobody recovers has nothing to wait
                 // for: then as strict
  kPending,      // at any later time (durable-pending)
};

inline constexpr Condition kConditions[] = {Condition::kStrict, Condition::kRecoverable,
                                            Condition::kPending};

std::string_view ConditionName(Condition condition);
std::optional<Condition> ParseCondition(std::string_view name);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_CONDITION_H_

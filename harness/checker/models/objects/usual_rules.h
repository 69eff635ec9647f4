// What most objects' models answer the search (models/checkers.h). A model of another mind has its
// own function by that name.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_USUAL_RULES_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_USUAL_RULES_H_

#include <cstdint>

#include "harness/history/history.h"

namespace kill9 {

struct UsualRules {
  template <typename State>
  static bool Doomed(const Operation&, const State&) {
    return false;
  }
  template <typename State>
  static bool Dominates(const State& a, const State& b) {
    return a == b;
  }
  // What a crashed call did cannot be told from what the object shows.
  template <typename State>
  static bool Holds(const State&, uint64_t) {
    return true;
  }
  static bool MayHaveSeen(const Operation& seer, const Operation& crashed) {
    return crashed.invoke <= seer.finish;
  }
};

// Of an acquisition that a death cut off: it frees what may have been got. When one is freed whose
// caller does not know whether it got it, is not known.
inline uint64_t MayHaveItUntil(const Operation& acquisition) {
  return acquisition.outcome == Outcome::kUnknown ? kNever : acquisition.finish;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_USUAL_RULES_H_

// What most objects' models answer the search (models/checkers.h). A model of another mind has its
// own function by that name.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_USUAL_RULES_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_USUAL_RULES_H_

#include <algorithm>
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

// Who died of late, as Field::kCaller: a death comes after all that its process did, though what
// that had been answered may be read later than it was killed. Of two at one time both are known.
struct TheDead {
  uint64_t latest = 0, earlier = 0;  // processes have growing numbers
  bool operator==(const TheDead&) const = default;

  bool Has(uint64_t caller) const { return caller == latest || caller == earlier; }
  void Add(uint64_t caller) {
    if (Has(caller)) return;
    earlier = std::max(earlier, std::min(latest, caller));
    latest = std::max(latest, caller);
  }
  uint64_t Hash() const { return latest * 0x9e3779b97f4a7c15u ^ earlier; }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_USUAL_RULES_H_

// From the operations of one key, as recorded, to what the engine is given under a condition: each
// operation with the time until which it may take effect, and without those that cannot matter.
#ifndef KILL9_HARNESS_CHECKER_SEARCH_PREPARE_H_
#define KILL9_HARNESS_CHECKER_SEARCH_PREPARE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "harness/checker/search/condition.h"
#include "harness/history/history.h"

namespace kill9 {

// When the recoveries of a history ended.
class Recoveries {
 public:
  Recoveries() = default;
  // Recoveries called before `known_from` may be missing: a death before it counts as strict.
  explicit Recoveries(std::span<const Operation> history, uint64_t known_from = 0);
  // Until when an operation cut off at `death` may take effect under kRecoverable.
  uint64_t EndAfter(uint64_t death) const;

 private:
  struct Recovery {
    uint64_t invoke;
    uint64_t finish;  // the earliest of this one's and all later ones'
  };
  std::vector<Recovery> recoveries_;  // by invoke
  uint64_t known_from_ = 0;
};

// Sets `finish` of every operation to the end of the time in which it may take effect. Returns
// whether any got longer than it was.
bool ExtendFinishes(Condition condition, const Recoveries& recoveries,
                    std::vector<Operation>* operations);

// Removes crashed and unknown operations whose effect nobody can have seen, and gives others the
// earliest end that loses no linearization. For models of harness/checker/search/versioned_value.h;
// `lossy` as there. The order is kept.
void DropUnseen(bool lossy, std::vector<Operation>* operations);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_PREPARE_H_

// Whether what all processes of a cell did is legal: one check of one history.
#ifndef KILL9_HARNESS_SWEEP_JUDGE_HISTORY_CHECK_H_
#define KILL9_HARNESS_SWEEP_JUDGE_HISTORY_CHECK_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "harness/checker/model_checker.h"
#include "harness/sweep/driver/driver.h"

namespace kill9::sweep {

// What the first victim's death did to its operation, as others saw it.
enum class DecidedOutcome : uint8_t { kNone, kDidNotHappen, kHappened };

class HistoryCheck {
 public:
  // `beginning`: what made the starting state.
  HistoryCheck(const Scene& scene, std::span<const Operation> beginning);

  struct Found {
    Verdict verdict = Verdict::kPass;  // or kViolation, kUndecided
    std::string message;
    std::string window;  // of a violation: the operations that have no legal order
  };
  // REQUIRES: no process is under way any more.
  Found Check(CellHistory& history);
  // After a pass. `completed`: the first victim's operation as a run without kills recorded it.
  // REQUIRES: it is the same in every call.
  DecidedOutcome OutcomeOf(const Operation& completed);

 private:
  void Gather(CellHistory& history);
  DecidedOutcome Decide(const Operation& completed);
  bool IsLegal(const Operation* instead);

  // Most deaths of a cell leave the same history: it is checked once. By a hash of all its
  // operations, which have the same times if the same was done in the same order.
  struct Legal {
    bool decided = false;
    DecidedOutcome outcome = DecidedOutcome::kNone;
  };
  absl::flat_hash_map<uint64_t, Legal> legal_;
  Legal* present_ = nullptr;  // of the history that was checked last

  const Scene& scene_;
  std::span<const Operation> beginning_;
  const ModelChecker* model_;
  std::vector<Operation> operations_;  // kept, so that a judge allocates them once
  std::vector<const Operation*> last_;
  std::vector<Operation> of_one_key_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_JUDGE_HISTORY_CHECK_H_

// Checks a whole history: splits it by key (P-compositionality: Horn and Kroening 2015), checks the
// keys on all cores, and says the strongest condition that held.
//
//     CheckOutcome outcome = CheckHistory(*FindModel("map"), history, {.condition =
//     Condition::kStrict}); if (outcome.verdict != Verdict::kPass) std::cout <<
//     RenderText(*outcome.counterexample, {});
#ifndef KILL9_HARNESS_CHECKER_CHECKER_H_
#define KILL9_HARNESS_CHECKER_CHECKER_H_

#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "harness/checker/counterexample/counterexample.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/search/condition.h"
#include "harness/history/history.h"
#include "harness/result/verdict.h"

namespace kill9 {

struct CheckOptions {
  Condition condition = Condition::kStrict;
  int threads = 0;  // 0: one for each core
  EngineLimits limits = {};
  bool explain = true;  // make a counterexample
};

struct CheckOutcome {
  Verdict verdict = Verdict::kUndecided;  // kPass, kViolation or kUndecided
  // The strongest condition shown to hold; nothing if none, or if it is undecided whether one does.
  std::optional<Condition> strongest;
  uint64_t operations = 0;
  uint64_t keys = 0;
  uint64_t keys_violating = 0;
  uint64_t keys_undecided = 0;
  std::optional<Counterexample> counterexample;  // of the asked condition, the first key by invoke
};

// kInvalidArgument: an operation that the model does not have, or one that is still open. The
// history need not be sorted.
absl::StatusOr<CheckOutcome> CheckHistory(const ModelChecker& model,
                                          std::span<const Operation> history,
                                          const CheckOptions& options);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_CHECKER_H_

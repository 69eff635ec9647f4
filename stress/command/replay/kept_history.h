// What torture kept of a failed run, shown and checked again.
#ifndef KILL9_STRESS_COMMAND_REPLAY_KEPT_HISTORY_H_
#define KILL9_STRESS_COMMAND_REPLAY_KEPT_HISTORY_H_

#include <optional>
#include <string>

#include "harness/checker/model_checker.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"

namespace kill9 {

// Says on standard error what the run's history, in `folder` or where the run says, is checked to
// be: the verdict of that. Nothing: there is none, or it cannot be checked (which is said).
std::optional<Verdict> CheckKeptHistory(const ModelChecker& model, const Json& run,
                                        const std::string& folder);

// Says who died last before the failure, and in what.
void ShowLastKills(const Json& run);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_REPLAY_KEPT_HISTORY_H_

// A campaign's file as the memory of a gate: what passed when, whoever ran it; and what the gate
// ran is added to it.
#ifndef KILL9_STRESS_COMMAND_CAMPAIGN_GATE_MEMORY_H_
#define KILL9_STRESS_COMMAND_CAMPAIGN_GATE_MEMORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/gate/plan/pass_history.h"
#include "harness/result/json_forward.h"

namespace kill9 {

// An absent file is made. kFailedPrecondition: this program was built without SQLite.
absl::StatusOr<gate::PassHistory> PassHistoryOf(const std::string& campaign_file);
absl::Status AddToCampaign(const std::string& campaign_file, const Json& result);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_CAMPAIGN_GATE_MEMORY_H_

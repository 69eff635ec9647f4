#include "harness/torture/supervisor/vacuity.h"

#include <algorithm>

#include "absl/strings/str_join.h"

namespace kill9 {

std::string WhyNotApplicable(const Scenario& scenario, const ObjectTraits& traits) {
  if (scenario.needs.kills_in_recovery && !traits.has_recovery) {
    return "this design has no recovery that one could be killed in";
  }
  if (scenario.needs.refusals && !traits.bounded) {
    return "this design takes room beyond its segment's size: it is never full";
  }
  return "";
}

uint64_t AtLeastRecovered(const SupervisorReport& report, uint64_t places) {
  const uint64_t killed_participants = report.kills_at(Activity::kBetween) +
                                       report.kills_at(Activity::kOperation) +
                                       report.kills_at(Activity::kRecovering);
  return killed_participants > places ? killed_participants - places : 0;
}

std::string WhatIsMissing(const RunContext& context, const SupervisorReport& report,
                          uint64_t overlapping_operations) {
  const Scenario::Needs& needs = context.scenario.needs;
  const ObjectTraits& traits = context.design.object_traits();
  const Control& control = context.control();
  std::vector<std::string> missing;
  const auto require = [&missing](bool needed, uint64_t happened, const char* what) {
    if (needed && happened == 0) missing.push_back(what);
  };
  const auto load = [](const std::atomic<uint64_t>& word) {
    return word.load(std::memory_order_relaxed);
  };
  uint64_t refused = 0;
  for (const WorkerBoard& board : control.boards) refused += load(board.refused);
  require(true, report.operations, "no operation was completed");
  require(true, overlapping_operations, "no two operations overlapped");
  require(needs.kills_in_operation, report.kills_at(Activity::kOperation),
          "nobody was killed in an operation");
  require(needs.kills_in_recovery, report.kills_at(Activity::kRecovering),
          "nobody was killed in a recovery");
  require(needs.kills_in_attach, report.kills_at(Activity::kAttaching),
          "nobody was killed while attaching");
  require(needs.recoveries && traits.tells_recovered,
          std::max(load(control.recovered_participants),
                   AtLeastRecovered(report, context.segment_options.max_participants)),
          "no dead participant was recovered");
  require(needs.stops, report.stops, "nobody was stopped");
  require(needs.refusals && traits.lossless, refused, "the segment was never full");
  require(needs.generations, report.generations, "there was only one generation");
  require(needs.reused_pids, report.reused_pids, "no PID was reused");
  require(needs.inherited, load(control.inherited_refusals), "no inherited handle was tried");
  require(traits.has_audit, load(control.audits), "there was no audit");
  if (std::string own = context.prepared.WhatIsMissing(); !own.empty()) {
    missing.push_back(std::move(own));
  }
  return absl::StrJoin(missing, "; ");
}

}  // namespace kill9

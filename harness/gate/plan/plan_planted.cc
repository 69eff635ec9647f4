// The steps of the planted bugs, from the manifest that the build writes (property/planted/).
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/gate/plan/plan.h"

namespace kill9::gate {
namespace {

constexpr double kMoreSeconds = 60;
constexpr double kTestOfBugSeconds = 180;

}  // namespace

// One tier is enough to catch a bug, and to let a control pass: the first of those that the patch
// declares, the deterministic one before the others.
absl::StatusOr<GateStep> Planner::PlantedStep(const PlantedBug& bug) const {
  GateStep step{.tier = Tier::kPlanted, .variant = bug.variant, .name = bug.name};
  step.format = ResultFormat::kExpected;
  step.source_file = bug.patch;
  step.target = bug.target;
  SetFiles(step);
  const auto take = [&](const char* tier, const std::string& result_file) {
    step.command =
        PlantedCommand(bug, tier, bug.budget_seconds, result_file, options_.output + "/logs");
  };
  if (bug.declares("sweep") || bug.declares("torture")) {
    step.result_file = step.log_file + ".json";
    take(bug.declares("sweep") ? "sweep" : "torture", step.result_file);
    step.limit_seconds = Limit(3 * bug.budget_seconds + kMoreSeconds);
    step.expected = absl::StrJoin(bug.verdicts, "|");
    return step;
  }
  if (bug.declares("explore") && bug.conformance_command.empty()) {
    step.target = bug.target_of_explorer();
    step.result_file = step.log_file + ".json";
    take("explore", step.result_file);
    step.limit_seconds = Limit(3 * bug.budget_seconds + kMoreSeconds);
    step.expected = absl::StrJoin(bug.verdicts, "|");
    if (!step.command.empty()) return step;
    step.skipped = "there is no explorer: it is built where there is a clang";
    return step;
  }
  step.has_own_memory = true;
  step.without_randomisation = bug.conformance_command.empty();
  take(step.without_randomisation ? "tsan" : "conformance", "");
  step.limit_seconds = Limit(kTestOfBugSeconds);
  step.expected = bug.control ? "pass" : "failed";
  if (!step.command.empty()) return step;
  return absl::InvalidArgumentError(
      absl::StrCat("the planted bug '", step.name, "' has no command for any of its tiers"));
}

absl::StatusOr<std::vector<GateStep>> Planner::Planted(bool only_built) const {
  const absl::StatusOr<std::vector<PlantedBug>> bugs = ReadPlantedBugs(options_.planted);
  if (!bugs.ok()) return bugs.status();
  std::vector<GateStep> steps;
  for (const PlantedBug& bug : *bugs) {
    absl::StatusOr<GateStep> step = PlantedStep(bug);
    if (!step.ok()) return step.status();
    const bool wanted =
        std::any_of(options_.designs.begin(), options_.designs.end(),
                    [&](const Design* variant) { return variant->name() == step->variant; });
    const bool is_built = !step->command.empty() && IsProgram(step->command[0]);
    if (wanted && (!only_built || is_built)) steps.push_back(*step);
  }
  if (steps.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("of the ", bugs->size(), " planted bugs of ",
                                                      options_.planted,
                                                      " none is built (./dev gate builds some)"));
  }
  return steps;
}

absl::StatusOr<std::vector<std::string>> Planner::PlantedTargets(const PassHistory& memory,
                                                                 size_t most) const {
  absl::StatusOr<std::vector<GateStep>> steps = Planted(/*only_built=*/false);
  if (!steps.ok()) return steps.status();
  memory.Order(*steps, options_.seed);
  std::vector<std::string> targets;
  for (const GateStep& step : FairShare(*steps, most)) targets.push_back(step.target);
  return targets;
}

}  // namespace kill9::gate

// The steps of the planted bugs, from the manifest that the build writes (property/planted/).
#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/gate/plan.h"

namespace kill9::gate {
namespace {

constexpr double kMoreSeconds = 60;
constexpr double kTestSeconds = 180;

std::vector<std::string> Words(const std::string& text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

bool Declares(const Json& bug, const char* tier) {
  const Json& tiers = bug.at("tiers");
  return std::find(tiers.begin(), tiers.end(), tier) != tiers.end();
}

}  // namespace

// One tier is enough to catch a bug, and to let a control pass: the first of those that the patch
// declares, the deterministic one before the others.
absl::StatusOr<Step> Planner::PlantedStep(const Json& bug) const {
  Step step{.tier = Tier::kPlanted,
            .variant = bug.at("variant").get<std::string>(),
            .name = bug.at("name").get<std::string>()};
  step.reading = Reading::kExpected;
  step.source_file = bug.at("patch").get<std::string>();
  step.target = bug.value("target", "");
  SetFiles(step);
  const double budget_seconds = bug.at("budget_s").get<double>();
  step.limit_seconds = 3 * budget_seconds + kMoreSeconds;
  const std::string program = bug.at("command").get<std::string>();
  const bool by_sweep = Declares(bug, "sweep");
  if (by_sweep || Declares(bug, "torture")) {
    const char* command = by_sweep ? "sweep" : "torture";
    step.command = {program, command, "--variant=" + step.variant};
    for (const std::string& word : Words(bug.value(command, ""))) step.command.push_back(word);
    if (!by_sweep) step.command.push_back(absl::StrFormat("--seconds=%g", budget_seconds));
    step.result_file = step.log_file + ".json";
    step.command.push_back("--json=" + step.result_file);
    step.expected = absl::StrJoin(bug.at("verdicts").get<std::vector<std::string>>(), "|");
    return step;
  }
  const bool by_tests = !bug.value("conformance_command", "").empty();
  step.command = Words(bug.value(by_tests ? "conformance_command" : "tsan_command", ""));
  step.without_randomisation = !by_tests;
  step.limit_seconds = kTestSeconds;
  step.expected = bug.value("control", false) ? "pass" : "failed";
  if (!step.command.empty()) return step;
  return absl::InvalidArgumentError(
      absl::StrCat("the planted bug '", step.name, "' has no command for any of its tiers"));
}

absl::StatusOr<std::vector<Step>> Planner::Planted(bool only_built) const {
  std::ifstream file(options_.planted);
  if (!file) {
    return absl::FailedPreconditionError(absl::StrCat("there is no ", options_.planted));
  }
  const Json manifest = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!manifest.is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", options_.planted, "' is no manifest of planted bugs"));
  }
  std::vector<Step> steps;
  try {
    for (const Json& bug : manifest) {
      absl::StatusOr<Step> step = PlantedStep(bug);
      if (!step.ok()) return step.status();
      const bool wanted =
          std::any_of(options_.variants.begin(), options_.variants.end(),
                      [&](const Variant* variant) { return variant->name() == step->variant; });
      if (wanted && (!only_built || IsProgram(step->command[0]))) steps.push_back(*step);
    }
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", options_.planted, "' is no manifest of planted bugs: ", error.what()));
  }
  if (steps.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("of the ", manifest.size(),
                                                      " planted bugs of ", options_.planted,
                                                      " none is built (./dev gate builds some)"));
  }
  return steps;
}

absl::StatusOr<std::vector<std::string>> Planner::PlantedTargets(const Memory& memory,
                                                                 size_t most) const {
  absl::StatusOr<std::vector<Step>> steps = Planted(/*only_built=*/false);
  if (!steps.ok()) return steps.status();
  memory.Order(*steps, options_.seed);
  std::vector<std::string> targets;
  for (const Step& step : FairShare(*steps, most)) targets.push_back(step.target);
  return targets;
}

}  // namespace kill9::gate

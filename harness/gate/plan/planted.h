// Planted bugs (property/planted): what they are, and running one of them through a tier.
#ifndef KILL9_HARNESS_GATE_PLAN_PLANTED_H_
#define KILL9_HARNESS_GATE_PLAN_PLANTED_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kill9 {

// One patch over a variant, as planted/manifest.json in the build folder lists it.
struct PlantedBug {
  std::string name;
  std::string variant;
  std::string what;  // one sentence
  std::string patch;
  std::string target;             // what to build
  bool control = false;           // looks suspicious and is harmless: must pass
  std::vector<uint32_t> classes;  // of docs/bug_classes.md
  // that are expected to catch it; of a control: that it must pass
  std::vector<std::string> tiers;
  std::vector<std::string> verdicts;  // that sweep, torture and explore may give
  double budget_seconds = 0;          // of each tier
  std::string command;                // the kill9 command with the bug
  std::string sweep, torture;         // arguments for these tiers
  std::string conformance_command, tsan_command;
  std::string explorer;  // kill9-explore with the bug; empty: this build has none
  std::string explore;   // its arguments, or kDefaultExplore

  bool declares(std::string_view tier) const;
  std::string target_of_explorer() const { return target + "_explore"; }
};

// In place of explore's arguments: what the command does by itself, for the bug's seconds.
inline constexpr std::string_view kDefaultExplore = "default";

// The manifest of the build that this program is part of.
std::string DefaultPlantedManifest();

// FailedPrecondition: there is no such file. InvalidArgument: it is no manifest. What only some
// bugs need, and what only people read, may be left out.
absl::StatusOr<std::vector<PlantedBug>> ReadPlantedBugs(const std::string& manifest);

// The words of the command that takes the bug through a tier. Sweep, torture and explore write
// `result`, and torture its counterexamples into `folder`. Empty: the bug has none for this tier.
std::vector<std::string> PlantedCommand(const PlantedBug& bug, std::string_view tier,
                                        double budget_seconds, const std::string& result,
                                        const std::string& folder);

// Builds what these tiers of these bugs need, by cmake. The tsan tier's programs are of another
// build folder: `./dev tsan` builds them. Output goes to standard error. Ends early when
// *interrupted is set.
absl::Status BuildPlanted(const std::vector<PlantedBug>& bugs, const std::string& manifest,
                          const volatile std::sig_atomic_t* interrupted);

struct TierOutcome {
  std::string tier;
  // As docs/design.md names them; of conformance: "failed", of tsan: "data_race" or "failed";
  // "not_built"; "error" (of usage or environment); "timeout" (no answer in the budget and a
  // grace); "interrupted".
  std::string verdict;
  std::string message;  // the failure's first words
  double seconds = 0;   // until the tier's answer: of a bug that is caught, the time to catch it

  bool caught() const;
  // Whether the tier came to a verdict at all, be it that nothing is wrong.
  bool answered() const;
  // Caught, and by a verdict that the bug declares.
  bool as_declared(const PlantedBug& bug) const;
};

// REQUIRES: `tier` is one of the bug's. Ends early when *interrupted is set; nothing is left
// behind. `look` is called many times a second, with how long it has been running.
TierOutcome RunPlantedTier(const PlantedBug& bug, std::string_view tier, uint64_t seed,
                           double budget_seconds, const volatile std::sig_atomic_t* interrupted,
                           std::function<void(double)> look = nullptr);

}  // namespace kill9

#endif  // KILL9_HARNESS_GATE_PLAN_PLANTED_H_

#include "harness/gate/plan/step.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "harness/base/text/shell_word.h"

namespace kill9::gate {
namespace {

constexpr std::array<std::string_view, kTiers> kTierNames = {
    "checker", "property", "tsan", "baselines", "sweep", "explore", "torture", "planted"};

// Two participants with one operation each, in the usual state.
bool IsPair(std::string_view scenario) {
  return std::count(scenario.begin(), scenario.end(), '+') == 1 &&
         scenario.find_first_of(",@") == std::string_view::npos;
}

}  // namespace

std::string_view TierName(Tier tier) { return kTierNames[static_cast<size_t>(tier)]; }

bool IsProgram(const std::string& path) {
  return std::filesystem::is_regular_file(path) && access(path.c_str(), X_OK) == 0;
}

std::string GateStep::Id() const {
  return absl::StrCat(std::string(TierName(tier)), ":", variant, ":", name);
}

GateStep StepOf(std::string_view tier, const std::string& variant, const std::string& name) {
  GateStep step{.variant = variant, .name = name};
  for (int n = 0; n < kTiers; ++n) {
    step.tier = static_cast<Tier>(n);
    if (TierName(step.tier) == tier) break;
  }
  if (step.tier == Tier::kSweep) step.name = kSweepSample;
  if (step.tier == Tier::kExplore) {
    const bool is_drawn = name.find(kExploreDrawn) != std::string::npos;
    step.name = is_drawn ? kExploreDrawn : IsPair(name) ? kExploreSample : kExploreWider;
  }
  return step;
}

std::string CommandLine(const GateStep& step) {
  std::string line;
  for (const std::vector<std::string>& words : {step.environment, step.command}) {
    for (const std::string& word : words)
      absl::StrAppend(&line, line.empty() ? "" : " ", ShellWord(word));
  }
  return line;
}

}  // namespace kill9::gate

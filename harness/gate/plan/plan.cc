#include "harness/gate/plan/plan.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/base/random.h"
#include "harness/base/stable_hash.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/stepper/process/tracee.h"
#include "harness/torture/driver.h"
#include "variants/registry.h"

namespace kill9::gate {
namespace {

constexpr double kLimitWithoutBudget = 1800;
// Longer than any bound by kills takes.
constexpr char kNoBoundByTime[] = "--seconds=1000000";
// Random kills enough to show a baseline's fault again and again.
constexpr char kBaselineKills[] = "--kills=20000";
// Some baselines hang, and are waited for so long.
constexpr char kBaselineWatchdog[] = "--watchdog=2";
constexpr double kListSeconds = 20;
constexpr double kTestSeconds = 240;
constexpr double kTsanSeconds = 240;
constexpr double kBaselineSeconds = 120;
// Beyond its own seconds a run needs time for its control, its audits and, if it proved nothing
// yet, as long again.
constexpr double kTortureMoreSeconds = 60;
constexpr double kSweepMoreSeconds = 90;
// No scene takes more than this part of explore's seconds: most are exhausted long before.
constexpr double kMostOfOneScene = 0.125;
// Of the wider ones most are not: what more time would find is for runs of their own.
constexpr double kMostSecondsOfWiderScene = 2;
constexpr double kMostSecondsOfDrawnScenes = 10;
constexpr uint64_t kSchedulesOfEachKill = 10;
constexpr char kNoBoundOfScenes[] = "--budget=1000000";

std::string FileName(const GateStep& step) {
  std::string name = step.Id();
  for (char& byte : name) {
    if (std::isalnum(static_cast<unsigned char>(byte)) == 0) byte = '_';
  }
  return name;
}

// Which test programs belong to a tier, by name: the conformance of stores, what the designs of all
// kinds share, and what begins with a kind's or a design's name.
bool Belongs(const std::string& name, Tier tier, const std::vector<const Design*>& designs) {
  if (!absl::EndsWith(name, "_test")) return false;
  if (tier == Tier::kChecker) {
    return absl::StartsWith(name, "checker_") || absl::StartsWith(name, "online_");
  }
  for (const char* start : {"conformance_", "model_property_", "segment_", "participants_",
                            "mutex_admission_", "robust_mutex_", "terms_", "lease", "buffer_"}) {
    if (absl::StartsWith(name, start)) return true;
  }
  return std::any_of(designs.begin(), designs.end(), [&](const Design* design) {
    return absl::StartsWith(name, std::string(design->name()) + "_") ||
           absl::StartsWith(name, std::string(design->kind()) + "_");
  });
}

}  // namespace

bool Planner::IsSample(Tier tier) {
  return tier == Tier::kTorture || tier == Tier::kSweep || tier == Tier::kExplore ||
         tier == Tier::kPlanted;
}

absl::StatusOr<std::vector<GateStep>> Planner::Plan(Tier tier) {
  switch (tier) {
    case Tier::kChecker:
    case Tier::kProperty:
    case Tier::kTsan:
      return Tests(tier);
    case Tier::kTorture:
      return Torture();
    case Tier::kSweep:
      return Sweep();
    case Tier::kExplore:
      return Explore();
    case Tier::kBaselines:
      return Baselines();
    case Tier::kPlanted:
      return Planted(/*only_built=*/true);
  }
  return absl::InternalError("no such tier");
}

double Planner::ShareOf(const GateStep& step) {
  constexpr double kOfWiderScenes = 1.0 / 3, kOfDrawnScenes = 1.0 / 3;
  if (step.tier != Tier::kExplore) return 1;
  return step.name == kExploreWider   ? kOfWiderScenes
         : step.name == kExploreDrawn ? kOfDrawnScenes
                                      : 1;
}

double Planner::Limit(double least_seconds) const {
  return std::max(least_seconds, std::isfinite(options_.budget_seconds)
                                     ? options_.budget_seconds / 2
                                     : kLimitWithoutBudget);
}

void Planner::SetSeconds(GateStep& step, double seconds) const {
  // They have no end: what is left is for ending them.
  if (step.name == kExploreDrawn) seconds = std::min(seconds / 2, kMostSecondsOfDrawnScenes);
  step.command.push_back(absl::StrFormat("--seconds=%.2f", seconds));
  if (step.tier == Tier::kExplore) {
    const double most = step.name == kExploreWider ? kMostSecondsOfWiderScene : seconds;
    step.command.push_back(
        absl::StrFormat("--budget=%.3f", std::min(most, seconds * kMostOfOneScene)));
  }
  step.limit_seconds =
      Limit(3 * seconds + (step.tier == Tier::kSweep ? kSweepMoreSeconds : kTortureMoreSeconds));
}

void Planner::SetWork(GateStep& step, uint64_t kills) const {
  if (step.tier == Tier::kSweep) {
    step.command.push_back(absl::StrCat("--cells=", options_.cells));
  } else if (step.tier == Tier::kExplore) {
    step.command.push_back(absl::StrCat("--schedules=", kills * kSchedulesOfEachKill));
    step.command.emplace_back(kNoBoundOfScenes);
  } else {
    step.command.push_back(absl::StrCat("--kills=", kills));
    step.command.emplace_back(kNoBoundByTime);
  }
  step.limit_seconds = Limit(0);
}

void Planner::SetFiles(GateStep& step) const {
  const std::string stem = absl::StrCat(options_.output, "/logs/", FileName(step));
  step.log_file = stem + ".log";
  if (step.format != ResultFormat::kExpected) step.result_file = stem + ".json";
}

GateStep Planner::Kill9(Tier tier, const std::string& variant, const std::string& name,
                        std::vector<std::string> arguments) const {
  GateStep step{.tier = tier, .variant = variant, .name = name};
  SetFiles(step);
  step.command = {options_.program};
  step.command.insert(step.command.end(), arguments.begin(), arguments.end());
  step.command.push_back("--variant=" + variant);
  // A seed of its own, so that not every variant is swept at the same cells.
  step.command.push_back(
      absl::StrCat("--seed=", 1 + Random(options_.seed, StableHash(step.Id())).Below(1u << 31)));
  step.command.push_back("--json=" + step.result_file);
  return step;
}

std::vector<GateStep> Planner::Torture() const {
  std::vector<GateStep> steps;
  for (const Design* design : options_.designs) {
    const TortureDriver* driver = FindTortureDriver(design->kind());
    if (driver == nullptr) continue;
    for (const Scenario& scenario : driver->scenarios()) {
      const std::string name(scenario.name);
      steps.push_back(Kill9(
          Tier::kTorture, std::string(design->name()), name,
          {"torture", "--scenario=" + name, "--counterexamples=" + options_.output + "/logs"}));
    }
  }
  return steps;
}

absl::StatusOr<std::vector<GateStep>> Planner::Sweep() const {
  if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) {
    return absl::FailedPreconditionError(why);
  }
  std::vector<GateStep> steps;
  for (const Design* design : options_.designs) {
    if (FindSweepDriver(design->kind()) == nullptr) continue;
    steps.push_back(Kill9(Tier::kSweep, std::string(design->name()), kSweepSample,
                          {"sweep", "--recovery", "--pairs=1"}));
  }
  return steps;
}

// Whoever brings designs of its own has an explorer beside it that knows none of them; of some
// kinds it has no scenes.
bool Planner::IsExplored(const std::string& explorer, std::string_view design) {
  GateStep ask{.tier = Tier::kExplore, .variant = std::string(design), .name = "question"};
  SetFiles(ask);
  ask.command = {explorer, "explore", absl::StrCat("--variant=", std::string(design)),
                 "--scenario=recover+recover", "--schedules=1"};
  ask.limit_seconds = kListSeconds;
  bool known = true;
  pool_.Run({ask}, 1, deadline_, [&known](const GateStep&, const Outcome& outcome) {
    if (outcome.ending != ExitReason::kByItself || !WIFEXITED(outcome.status)) return;
    const int code = WEXITSTATUS(outcome.status);
    known = code != kExitUsage && code != kExitUndecided;
  });
  std::filesystem::remove(ask.log_file);
  return known;
}

absl::StatusOr<std::vector<GateStep>> Planner::Explore() {
  const std::string explorer =
      std::filesystem::path(options_.program).replace_filename("kill9-explore");
  if (!IsProgram(explorer)) {
    return absl::FailedPreconditionError(
        absl::StrCat("there is no ", explorer,
                     ": it is built where there is a clang (./dev gate installs one)"));
  }
  std::vector<GateStep> steps;
  for (const Design* design : options_.designs) {
    if (design->role() == Design::Role::kPeer) continue;
    const bool is_explored = IsExplored(explorer, design->name());
    for (const std::string name : {kExploreSample, kExploreWider, kExploreDrawn}) {
      steps.push_back(Kill9(Tier::kExplore, std::string(design->name()), name,
                            // The gate runs several steps at once.
                            {"explore", "--scenario=" + name, "--jobs=1"}));
      if (is_explored) continue;
      steps.back().skipped = absl::StrCat(explorer, " does not explore it");
      break;  // told once
    }
  }
  if (!steps.empty()) return steps;
  return absl::FailedPreconditionError("none of these designs is explored: peers are not");
}

std::vector<GateStep> Planner::Baselines() const {
  std::vector<GateStep> steps;
  for (const Design* baseline : AllDesigns()) {
    if (baseline->role() != Design::Role::kBaseline) continue;
    std::vector<std::string> words = absl::StrSplit(std::string(baseline->shown_by()), ' ');
    const bool by_sweep = words[0] == "sweep";
    words.emplace_back(kBaselineWatchdog);
    if (!by_sweep) {
      words.insert(words.end(), {kBaselineKills, kNoBoundByTime,
                                 "--counterexamples=" + options_.output + "/logs"});
    }
    GateStep step = Kill9(Tier::kBaselines, std::string(baseline->name()), words[0], words);
    step.format = ResultFormat::kExpected;
    step.expected = std::string(baseline->expected_verdict());
    step.limit_seconds = Limit(kBaselineSeconds);
    if (const char* why = stepper::WhyPtraceIsForbidden(); by_sweep && why != nullptr) {
      step.skipped = why;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<Planner::TestGroup> Planner::GroupsOf(const std::string& program, Tier tier) {
  GateStep list{.tier = tier,
                .name = "list of " + std::filesystem::path(program).filename().string()};
  SetFiles(list);
  list.command = {program, "--gtest_list_tests"};
  list.without_randomisation = tier == Tier::kTsan;
  list.limit_seconds = kListSeconds;
  bool listed = false;
  pool_.Run({list}, 1, deadline_, [&listed](const GateStep&, const Outcome& outcome) {
    listed = outcome.ending == ExitReason::kByItself && outcome.status == 0;
  });
  // What cannot be listed is run as a whole, and says by its end what is wrong with it.
  if (!listed) return {{"", "*"}};
  std::set<std::string> suffixes;
  bool has_other_tests = false;
  std::ifstream file(list.log_file);
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, "  ")) continue;
    const std::string test = line.substr(2, line.find(' ', 2) - 2);
    const size_t slash = test.find('/');
    if (slash == std::string::npos) {
      has_other_tests = true;
    } else {
      suffixes.insert(test.substr(slash + 1));
    }
  }
  std::vector<TestGroup> groups;
  for (const std::string& suffix : suffixes) {
    const bool wanted = std::any_of(options_.designs.begin(), options_.designs.end(),
                                    [&](const Design* design) { return design->name() == suffix; });
    if (wanted) groups.push_back({suffix, "*/" + suffix});
    if (!wanted && FindDesign(suffix) == nullptr) has_other_tests = true;
  }
  std::vector<std::string> others;
  for (const Design* design : AllDesigns()) {
    others.push_back(absl::StrCat("*/", std::string(design->name())));
  }
  if (has_other_tests) groups.push_back({"", "*-" + absl::StrJoin(others, ":")});
  std::filesystem::remove(list.log_file);
  return groups;
}

absl::StatusOr<std::vector<GateStep>> Planner::Tests(Tier tier) {
  std::vector<std::string> programs;
  if (tier == Tier::kTsan) {
    if (!IsProgram(options_.tsan_program)) {
      return absl::FailedPreconditionError(
          absl::StrCat("there is no ", options_.tsan_program, " (./dev gate builds it)"));
    }
    programs.push_back(options_.tsan_program);
  } else if (std::filesystem::is_directory(options_.tests_directory)) {
    for (const auto& entry : std::filesystem::directory_iterator(options_.tests_directory)) {
      const std::string name = entry.path().filename().string();
      if (Belongs(name, tier, options_.designs) && IsProgram(entry.path())) {
        programs.push_back(entry.path().string());
      }
    }
  }
  if (programs.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "there are no test programs in ", options_.tests_directory, " (./dev gate builds them)"));
  }
  std::sort(programs.begin(), programs.end());
  std::vector<GateStep> steps;
  for (const std::string& program : programs) {
    for (const TestGroup& group : GroupsOf(program, tier)) {
      GateStep step{.tier = tier,
                    .variant = group.variant,
                    .name = std::filesystem::path(program).filename().string()};
      step.format = ResultFormat::kGoogleTest;
      step.without_randomisation = tier == Tier::kTsan;
      step.has_own_memory = true;
      SetFiles(step);
      step.command = {program, "--gtest_filter=" + group.filter, "--gtest_color=no",
                      "--gtest_output=json:" + step.result_file};
      step.environment = {absl::StrCat("KILL9_SEED=", options_.seed)};
      step.limit_seconds = Limit(tier == Tier::kTsan ? kTsanSeconds : kTestSeconds);
      steps.push_back(std::move(step));
    }
  }
  return steps;
}

}  // namespace kill9::gate

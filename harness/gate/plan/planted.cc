#include "harness/gate/plan/planted.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "harness/base/process_end/temporary_folder.h"
#include "harness/gate/run/process_pool.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"

namespace kill9 {
namespace {

constexpr double kGraceSeconds = 20;  // beyond the budget: a run's end, its audits, its checker
constexpr int kWatchdogSeconds = 15;  // that a test waits for what a bug keeps from it
constexpr double kBuildSeconds = 3600;
constexpr int kDataRaceExit = 66;  // ThreadSanitizer's

const volatile std::sig_atomic_t kNeverInterrupted = 0;

// Runs one command until it ends, its limit is over, or we are interrupted.
gate::Outcome RunAlone(const gate::GateStep& step, const volatile std::sig_atomic_t* interrupted,
                       std::function<void(double)> look = nullptr) {
  gate::ProcessPool pool(interrupted == nullptr ? &kNeverInterrupted : interrupted);
  if (look != nullptr) {
    pool.WhileRunning([&look](const gate::GateStep&, double seconds) { look(seconds); });
  }
  gate::Outcome outcome;
  pool.Run({step}, 1, std::numeric_limits<double>::infinity(),
           [&outcome](const gate::GateStep&, const gate::Outcome& one) { outcome = one; });
  return outcome;
}

// The verdict of a result file's first run that did not pass, and what it says.
void ReadVerdict(const std::string& file, TierOutcome* outcome) {
  const absl::StatusOr<Json> result = ReadJsonFile(file);
  // A run of nothing shows nothing.
  if (!result.ok() || !result->is_object() || !result->contains("runs") ||
      !(*result)["runs"].is_array() || (*result)["runs"].empty()) {
    outcome->verdict = "error";
    return;
  }
  outcome->verdict = "skipped";
  for (const Json& run : (*result)["runs"]) {
    const std::string verdict = TextField(run, "verdict", "error");
    if (verdict == "pass" && outcome->verdict == "skipped") outcome->verdict = verdict;
    if (verdict == "pass" || verdict == "skipped" || outcome->caught()) continue;
    outcome->verdict = verdict;
    outcome->message = TextField(run, "message");
    if (!run.contains("counterexample")) continue;
    const Json& example = run["counterexample"];
    outcome->message =
        example.is_string() ? example.get<std::string>() : TextField(example, "message");
  }
}

std::string LineWith(const std::string& file, std::string_view text) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.find(text) != std::string::npos) return line;
  }
  return "";
}

// What a test program's end says. A test that dies has failed; so has one that ThreadSanitizer
// stopped.
void ReadTestStatus(int status, const std::string& output, TierOutcome* outcome) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    outcome->verdict = "pass";
  } else if (WIFEXITED(status) &&
             (WEXITSTATUS(status) == kExitUsage || WEXITSTATUS(status) == gate::kCannotRunExit)) {
    outcome->verdict = "error";
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == kDataRaceExit) {
    outcome->verdict = "data_race";
    outcome->message = LineWith(output, "SUMMARY: ThreadSanitizer");
  } else {
    outcome->verdict = "failed";
    outcome->message = LineWith(output, "[  FAILED  ]");
  }
}

}  // namespace

bool TierOutcome::caught() const {
  static const std::string_view kNot[] = {"pass",    "skipped",   "undecided", "vacuous",
                                          "timeout", "not_built", "error",     "interrupted"};
  return std::find(std::begin(kNot), std::end(kNot), verdict) == std::end(kNot);
}

bool TierOutcome::answered() const { return caught() || verdict == "pass"; }

bool TierOutcome::as_declared(const PlantedBug& bug) const {
  if (!caught()) return false;
  if (tier == "conformance" || tier == "tsan") return true;
  return std::find(bug.verdicts.begin(), bug.verdicts.end(), verdict) != bug.verdicts.end();
}

// The arguments of a bug that an ordinary run of torture must find.
constexpr const char* kAllScenarios = "--scenario=all";

std::string DefaultPlantedManifest() {
  std::error_code ignored;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return self.parent_path() / "planted" / "manifest.json";
}

bool PlantedBug::declares(std::string_view tier) const {
  return std::find(tiers.begin(), tiers.end(), tier) != tiers.end();
}

absl::StatusOr<std::vector<PlantedBug>> ReadPlantedBugs(const std::string& manifest) {
  const absl::StatusOr<Json> list = ReadJsonFile(manifest);
  if (absl::IsNotFound(list.status())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "there is no ", manifest, ": it lies beside a kill9 that was built from the source tree"));
  }
  const auto malformed = [&manifest](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", manifest, "' is no manifest of planted bugs", std::string(why)));
  };
  if (!list.ok()) return malformed(absl::StrCat(": ", std::string(list.status().message())));
  if (!list->is_array()) return malformed("");
  std::vector<PlantedBug> bugs;
  try {
    for (const Json& entry : *list) {
      PlantedBug bug;
      entry.at("name").get_to(bug.name);
      entry.at("variant").get_to(bug.variant);
      bug.what = entry.value("what", "");
      entry.at("patch").get_to(bug.patch);
      bug.target = entry.value("target", "");
      bug.control = entry.value("control", false);
      bug.classes = entry.value("classes", bug.classes);
      entry.at("tiers").get_to(bug.tiers);
      entry.at("verdicts").get_to(bug.verdicts);
      entry.at("budget_s").get_to(bug.budget_seconds);
      entry.at("command").get_to(bug.command);
      bug.sweep = entry.value("sweep", "");
      bug.torture = entry.value("torture", "");
      bug.conformance_command = entry.value("conformance_command", "");
      bug.tsan_command = entry.value("tsan_command", "");
      bug.explorer = entry.value("explorer", "");
      bug.explore = entry.value("explore", "");
      bugs.push_back(std::move(bug));
    }
  } catch (const Json::exception& error) {
    return malformed(absl::StrCat(": ", error.what()));
  }
  return bugs;
}

std::vector<std::string> PlantedCommand(const PlantedBug& bug, std::string_view tier,
                                        double budget_seconds, const std::string& result,
                                        const std::string& folder) {
  const auto words_of = [](const std::string& text) -> std::vector<std::string> {
    return absl::StrSplit(text, ' ', absl::SkipEmpty());
  };
  if (tier == "conformance") return words_of(bug.conformance_command);
  if (tier == "tsan") return words_of(bug.tsan_command);
  const bool explores = tier == "explore";
  if (explores && (bug.explorer.empty() || bug.explore.empty())) return {};
  std::vector<std::string> words = {explores ? bug.explorer : bug.command, std::string(tier),
                                    absl::StrCat("--variant=", bug.variant)};
  if (explores && bug.explore == kDefaultExplore) {
    words.push_back(absl::StrFormat("--seconds=%g", budget_seconds));
  } else {
    for (std::string& word : words_of(explores          ? bug.explore
                                      : tier == "sweep" ? bug.sweep
                                                        : bug.torture)) {
      words.push_back(std::move(word));
    }
  }
  if (tier == "torture") {
    // All scenarios: what the command does by itself, whose runs share a minute.
    if (bug.torture == kAllScenarios) {
      words.push_back("--fail-fast");
    } else {
      words.push_back("--shape=usual");  // what it was written for
      words.push_back(absl::StrFormat("--seconds=%g", budget_seconds));
    }
    words.push_back(absl::StrCat("--counterexamples=", folder));
  }
  words.push_back(absl::StrCat("--json=", result));
  return words;
}

absl::Status BuildPlanted(const std::vector<PlantedBug>& bugs, const std::string& manifest,
                          const volatile std::sig_atomic_t* interrupted) {
  const std::filesystem::path build = std::filesystem::path(manifest).parent_path().parent_path();
  gate::GateStep step{.command = {"cmake", "--build", build, "--target"}};
  step.limit_seconds = kBuildSeconds;
  for (const PlantedBug& bug : bugs) {
    step.command.push_back(bug.target);
    if (bug.declares("explore") && !bug.explorer.empty()) {
      step.command.push_back(bug.target_of_explorer());
    }
    if (!bug.conformance_command.empty()) step.command.push_back(bug.target + "_conformance");
  }
  const gate::Outcome outcome = RunAlone(step, interrupted);
  if (outcome.ending == gate::ExitReason::kByItself && outcome.status == 0) return absl::OkStatus();
  return outcome.ending == gate::ExitReason::kInterrupted
             ? absl::CancelledError("interrupted while the planted bugs were built")
             : absl::InternalError("the planted bugs could not be built (see above)");
}

TierOutcome RunPlantedTier(const PlantedBug& bug, std::string_view tier, uint64_t seed,
                           double budget_seconds, const volatile std::sig_atomic_t* interrupted,
                           std::function<void(double)> look) {
  TierOutcome outcome;
  outcome.tier = tier;
  const auto folder = TemporaryFolder::Make();
  if (!folder.ok()) {
    outcome.verdict = "error";
    outcome.message = std::string(folder.status().message());
    return outcome;
  }
  const std::string& directory = (*folder)->path();
  const bool of_kill9 = tier == "sweep" || tier == "torture" || tier == "explore";
  const std::string json = absl::StrCat(directory, "/result.json");
  gate::GateStep step;
  step.log_file = absl::StrCat(directory, "/output");
  step.command = PlantedCommand(bug, tier, budget_seconds, json, directory);
  if (step.command.empty() || !gate::IsProgram(step.command[0])) {
    outcome.verdict = "not_built";
    return outcome;
  }
  if (of_kill9) {
    step.command.push_back(absl::StrCat("--seed=", seed));
  } else {
    step.command.push_back("--gtest_fail_fast");
    step.without_randomisation = tier == "tsan";
    step.has_own_memory = true;
    step.environment = {absl::StrCat("KILL9_SEED=", seed), "TSAN_OPTIONS=halt_on_error=1",
                        absl::StrCat("TEST_TMPDIR=", directory)};
    if (tier == "tsan" && !bug.control) step.environment.push_back("KILL9_STEPS=1000000000");
    // A bug may be found by a wait that never ends: long before the budget is used up.
    if (!bug.control) {
      step.environment.push_back(absl::StrCat("KILL9_WATCHDOG_S=", kWatchdogSeconds));
    }
  }
  // ThreadSanitizer's program would go on for ever: its budget is its time.
  step.limit_seconds = budget_seconds + (tier == "tsan" ? 0 : kGraceSeconds);
  const gate::Outcome ended = RunAlone(step, interrupted, std::move(look));
  outcome.seconds = ended.seconds;
  const bool has_exit_code = WIFEXITED(ended.status);
  if (ended.ending == gate::ExitReason::kNotStarted) {
    outcome.verdict = "error";
  } else if (ended.ending == gate::ExitReason::kInterrupted) {
    outcome.verdict = "interrupted";
  } else if (ended.ending != gate::ExitReason::kByItself) {
    outcome.verdict = tier == "tsan" ? "pass" : "timeout";
  } else if (!of_kill9) {
    ReadTestStatus(ended.status, step.log_file, &outcome);
  } else if (has_exit_code && WEXITSTATUS(ended.status) != kExitUsage) {
    ReadVerdict(json, &outcome);
  } else {
    outcome.verdict = "error";
  }
  outcome.message = outcome.message.substr(0, outcome.message.find('\n'));
  return outcome;
}

}  // namespace kill9

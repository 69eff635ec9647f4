#include "stress/command/try/tiers.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/percent.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/plugin/plugin.h"
#include "harness/programs/programs.h"
#include "harness/sweep/sweep.h"
#include "harness/torture/driver.h"
#include "harness/torture/torture.h"

namespace kill9 {
namespace {

// Of the time that there is. The rest is for what was found.
constexpr double kShareOfTorture = 0.45;
constexpr double kShareOfSweep = 0.4;
constexpr double kMostControlSeconds = 1;
constexpr double kLeastSeconds = 0.3;  // of a run
// On a busy machine little work may prove nothing: more of it then, as in the gate.
constexpr int kMostRepeats = 2;
constexpr uint64_t kMoreKills = 4;
constexpr double kSecondsByWork = 36000;  // what ends by work is not ended by time
// Where time ends it: fewer deaths in operations than these prove nothing of an object.
constexpr uint64_t kLeastKills = 20;

void Add(TierResult& tier, Verdict verdict, int exit_code, Json run) {
  run["tier"] = tier.tier;
  if (tier.runs.empty() || tier.verdict == Verdict::kSkipped ||
      WorseExitCode(tier.exit_code, exit_code) != tier.exit_code) {
    tier.verdict = verdict;
  }
  tier.exit_code = WorseExitCode(tier.exit_code, exit_code);
  tier.runs.push_back(std::move(run));
}

TierResult Skipped(const std::string& name, std::string_view variant, const std::string& why) {
  TierResult tier{.tier = name, .summary = why};
  Add(tier, Verdict::kSkipped, kExitPass,
      {{"variant", variant},
       {"scenario", name},
       {"verdict", VerdictName(Verdict::kSkipped)},
       {"reason", why}});
  return tier;
}

uint64_t NumberIn(const Json& run, const char* field) {
  return run.contains(field) ? run[field].get<uint64_t>() : 0;
}
uint64_t KillsIn(const Json& run, const char* field) {
  return run.contains("kills") ? NumberIn(run["kills"], field) : 0;
}

// That nobody was hurt says little where few have died.
void RequireEnoughKills(TierResult& tier, uint64_t kills, const TryOptions& options) {
  const bool passed = tier.verdict == Verdict::kPass && tier.exit_code == kExitPass;
  if (!passed || options.by_work() || *options.interrupted || kills >= kLeastKills) return;
  tier.verdict = Verdict::kUndecided;
  tier.exit_code = kExitUndecided;
  tier.summary = absl::StrFormat(
      "no fault was seen, and that is too little: %d died where it counts, and fewer than %d tell "
      "nothing. Give it longer (--seconds), or a bound of work (--kills). %s",
      kills, kLeastKills, tier.summary);
}

TortureOptions TortureOptionsOf(const TryOptions& options, double seconds) {
  TortureOptions torture;
  torture.seed = options.seed;
  torture.supervisor.processes = options.processes;
  torture.supervisor.kills = options.kills;
  torture.supervisor.seconds = options.by_work() ? kSecondsByWork : seconds;
  torture.supervisor.watchdog_us = static_cast<uint64_t>(options.watchdog_seconds * 1e6);
  torture.counterexamples = options.counterexamples;
  torture.pauses = true;
  return torture;
}

std::string ProgressOf(const std::string& what, const TortureProgress& state) {
  return absl::StrFormat("%s: %.1f s, %s, %s", what, state.seconds, CountOf(state.kills, "kill"),
                         CountOf(state.operations, "operation"));
}

TortureResult RunShown(const Design& design, const Scenario& scenario,
                       const TortureOptions& torture, const TryOptions& options, const char* tier) {
  return RunTorture(design, scenario, torture, [&](const TortureProgress& state) {
    options.progress(ProgressOf(absl::StrCat(tier, " ", std::string(scenario.name)), state));
    return !*options.interrupted;
  });
}

TortureResult RunUntilItTells(const Design& design, const Scenario& scenario,
                              TortureOptions torture, const TryOptions& options) {
  TortureResult result = RunShown(design, scenario, torture, options, "torture");
  for (int n = 0; n < kMostRepeats && options.by_work(); ++n) {
    if (result.verdict != Verdict::kVacuous || *options.interrupted) break;
    torture.supervisor.kills *= kMoreKills;
    result = RunShown(design, scenario, torture, options, "torture");
  }
  return result;
}

int ExitCodeOf(const TortureResult& result) {
  return result.machine_refused ? kExitUsage : ExitCode(result.verdict);
}

// So many of the sweep's cells, in words.
std::string CellsOutOf(size_t done, size_t all) {
  return absl::StrCat(done == all ? "all" : absl::StrCat(done, " of"), " ",
                      CountOf(all, "operation"), " in states");
}

}  // namespace

TierResult TryControl(const Design& design, const TryOptions& options) {
  TierResult tier{.tier = "control"};
  const TortureDriver* driver = FindTortureDriver(design.kind());
  if (driver == nullptr || driver->scenarios().empty()) {
    return Skipped(tier.tier, design.name(), "nothing drives such an object");
  }
  Scenario quiet = driver->scenarios().front();
  quiet.timer = {};
  quiet.outside = OutsideKills::kNone;
  quiet.needs = {.kills_in_operation = false, .recoveries = false};
  TortureOptions torture = TortureOptionsOf(options, kMostControlSeconds);
  torture.supervisor.kills = 0;  // there are none that could end it
  torture.supervisor.seconds = std::min(kMostControlSeconds, options.seconds);
  TortureResult result = RunShown(design, quiet, torture, options, "control");
  result.run["scenario"] = "control";
  tier.summary =
      result.reason.empty()
          ? absl::StrCat(
                "nobody was killed: ", CountOf(NumberIn(result.run, "operations"), "operation"),
                ", all consistent")
      : absl::StrContains(result.reason, kBeforeAnyKill) ? result.reason
                                                         : result.reason + kBeforeAnyKill;
  for (const char* of_torture : {"repeat", "repeat_with"}) result.run.erase(of_torture);
  Add(tier, result.verdict, ExitCodeOf(result), std::move(result.run));
  return tier;
}

TierResult TryTorture(const Design& design, const TryOptions& options) {
  TierResult tier{.tier = "torture"};
  const TortureDriver* driver = FindTortureDriver(design.kind());
  if (driver == nullptr) {
    return Skipped(tier.tier, design.name(), "nothing drives such an object");
  }
  const std::span<const Scenario> scenarios = driver->scenarios();
  const double share = options.seconds * kShareOfTorture /
                       static_cast<double>(std::max<size_t>(1, scenarios.size()));
  const TortureOptions torture = TortureOptionsOf(options, std::max(kLeastSeconds, share));
  size_t skipped = 0;
  uint64_t kills = 0, in_operations = 0;
  for (const Scenario& scenario : scenarios) {
    if (*options.interrupted || tier.failed()) break;
    TortureResult result = RunUntilItTells(design, scenario, torture, options);
    skipped += result.verdict == Verdict::kSkipped ? 1 : 0;
    kills += KillsIn(result.run, "total");
    in_operations += KillsIn(result.run, "in_operation");
    const int exit_code = ExitCodeOf(result);
    if (exit_code != kExitPass && WorseExitCode(tier.exit_code, exit_code) != tier.exit_code) {
      tier.summary = absl::StrCat(std::string(scenario.name), ": ", result.reason);
    }
    Add(tier, result.verdict, exit_code, std::move(result.run));
  }
  if (!tier.summary.empty()) {
    absl::StrAppendFormat(&tier.summary, " (%s in all, %d in operations)", CountOf(kills, "kill"),
                          in_operations);
  } else {
    tier.summary = absl::StrFormat("%s, %s, %d of them in operations%s",
                                   CountOf(tier.runs.size() - skipped, "scenario"),
                                   CountOf(kills, "kill"), in_operations,
                                   skipped == 0 ? "" : absl::StrFormat("; %d skipped", skipped));
  }
  RequireEnoughKills(tier, in_operations, options);
  return tier;
}

TierResult TrySweep(const Design& design, const TryOptions& options) {
  TierResult tier{.tier = "sweep"};
  if (const std::string why = WhyPluginIsNotSwept(design); !why.empty()) {
    return Skipped(tier.tier, design.name(), why);
  }
  sweep::SweepOptions sweep;
  sweep.variants = {&design};
  sweep.sample = 0;
  sweep.most_failures = 1;
  sweep.seed = options.seed;
  sweep.cells = options.cells;
  sweep.watchdog_seconds = options.watchdog_seconds;
  sweep.seconds = options.by_work() ? 0 : std::max(kLeastSeconds, options.seconds * kShareOfSweep);
  const size_t all = PlanCells(sweep).size();
  if (FindSweepDriver(design.kind()) == nullptr || all == 0) {
    return Skipped(tier.tier, design.name(), "no operation of the sweep fits such an object");
  }
  sweep.progress = [&options](const sweep::SweepProgress& progress) {
    options.progress(absl::StrFormat("sweep: %d of %s, %s", progress.done,
                                     CountOf(progress.cells, "cell"),
                                     CountOf(progress.kills, "kill")));
  };
  const absl::StatusOr<Json> result = RunSweep(sweep, options.interrupted, [](const auto&) {});
  if (!result.ok()) {
    const std::string why(result.status().message());
    if (absl::IsPermissionDenied(result.status())) return Skipped(tier.tier, design.name(), why);
    tier.summary = why;
    Add(tier, Verdict::kUndecided, kExitUndecided,
        {{"variant", design.name()},
         {"scenario", "sweep"},
         {"verdict", VerdictName(Verdict::kUndecided)},
         {"reason", why}});
    return tier;
  }
  size_t failed = 0, undecided = 0;
  uint64_t kills = 0;
  const Json& runs = (*result)["runs"];
  for (const Json& run : runs) {
    const Verdict verdict = VerdictOf(run).value_or(Verdict::kUndecided);
    failed += ExitCode(verdict) == kExitFailed ? 1 : 0;
    undecided += ExitCode(verdict) == kExitUndecided ? 1 : 0;
    kills += KillsIn(run, "total");
    Add(tier, verdict, ExitCode(verdict), run);
  }
  if (runs.empty()) {
    tier.verdict = Verdict::kUndecided;
    tier.exit_code = kExitUndecided;
  }
  tier.summary = absl::StrFormat("%s in %s", CellsOutOf(runs.size(), all), CountOf(kills, "kill"));
  if (failed > 0) absl::StrAppendFormat(&tier.summary, "; %d fail", failed);
  if (undecided > 0) absl::StrAppendFormat(&tier.summary, "; %d undecided", undecided);
  const Json& coverage = (*result)["coverage"];
  if (failed == 0 && !coverage.empty()) {
    absl::StrAppend(&tier.summary, "; ", Percent(coverage[0]["kill_coverage"].get<double>()),
                    " of the instructions executed");
  }
  return tier;
}

TierResult TryPrograms(const programs::ProgramOptions& programs, const TryOptions& options) {
  const bool at_calls = programs.kill_at == programs::KillAt::kSystemCalls;
  TierResult tier{.tier = at_calls ? "system calls" : "torture"};
  programs::ProgramOptions own = programs;
  own.seconds = options.by_work() ? kSecondsByWork
                                  : std::max(kLeastSeconds, options.seconds * kShareOfTorture);
  const auto shown = [&](const TortureProgress& state) {
    options.progress(ProgressOf(tier.tier, state));
    return !*options.interrupted;
  };
  TortureResult result = programs::TorturePrograms(own, shown);
  for (int n = 0; n < kMostRepeats && options.by_work(); ++n) {
    if (result.verdict != Verdict::kVacuous || *options.interrupted) break;
    own.kills *= kMoreKills;
    result = programs::TorturePrograms(own, shown);
  }
  const Json& run = result.run;
  tier.summary =
      absl::StrFormat("%s, %d of them in calls; %s", CountOf(KillsIn(run, "total"), "kill"),
                      KillsIn(run, "in_call"), CountOf(NumberIn(run, "operations"), "operation"));
  if (at_calls) {
    absl::StrAppendFormat(&tier.summary, "; %d died at a system call",
                          KillsIn(run, "at_system_calls"));
  }
  if (!result.reason.empty()) {
    const bool has_begun = run.contains("kills") && !result.machine_refused;
    tier.summary = has_begun ? absl::StrCat(result.reason, " (", tier.summary, ")") : result.reason;
  }
  const bool is_control = run.value("control", false);
  const uint64_t in_calls = KillsIn(run, "in_call");
  Add(tier, result.verdict, ExitCodeOf(result), std::move(result.run));
  if (!is_control) RequireEnoughKills(tier, in_calls, options);
  return tier;
}

TierResult NoSweepOfPrograms(const programs::ProgramOptions& programs) {
  return Skipped("sweep", programs::NameOf(programs),
                 "the instructions of a program in any language are not stepped through: it was "
                 "killed at its system calls instead");
}

}  // namespace kill9

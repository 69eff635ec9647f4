#include "stress/command/torture/torture_run.h"

#include <algorithm>
#include <csignal>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/signals.h"
#include "harness/base/stable_hash.h"
#include "harness/base/text/count_of.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/torture/driver.h"
#include "harness/torture/scenario.h"
#include "harness/torture/torture.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/shards.h"
#include "stress/command/interrupts.h"
#include "stress/command/torture/display.h"
#include "stress/command/torture/findings.h"
#include "stress/command/torture/torture_continuation.h"

namespace kill9 {
namespace {

// All runs together, where --seconds is not given; but each has its least, so that all designs in
// all scenarios, 330 runs, take some two and a quarter minutes: a fresh clone has its answer, build
// included, within four. A run that has proved nothing by then goes on.
constexpr double kDefaultTotalSeconds = 52;
constexpr double kDefaultSeconds = 10;
constexpr double kLeastSeconds = 0.4;
constexpr uint64_t kMostRounds = 10;

// How the runs share the time, where --seconds is not given. Where they are few, each is made
// several times: a shape tells more than a second more of the same.
struct Shares {
  uint64_t rounds = 1;
  double seconds = 0;  // of each run
};
Shares SharesOf(const TortureFlags& flags, size_t runs) {
  const uint64_t rounds = std::max<uint64_t>(1, flags.rounds);
  if (flags.seconds != 0) return {rounds, flags.seconds};
  if (flags.rounds != 0) return {rounds, kDefaultSeconds};
  const double share = kDefaultTotalSeconds / static_cast<double>(runs);
  if (flags.shape != "drawn" || flags.kills != 0 || share < 2) {
    return {1, std::clamp(share, kLeastSeconds, kDefaultSeconds)};
  }
  return {std::min<uint64_t>(static_cast<uint64_t>(share), kMostRounds), 1};
}

std::vector<const Scenario*> ChooseScenarios(const std::string& given) {
  std::vector<Choice<const Scenario*>> known;
  for (const Scenario& scenario : AllScenarios())
    known.push_back({std::string(scenario.name), &scenario});
  return Choose("--scenario", given, known);
}

// Empty: each scenario's own.
std::string ChooseWorkload(const std::string& given) {
  if (given.empty()) return "";
  std::vector<Choice<std::string>> known;
  std::set<std::string> names;  // kinds may call theirs alike
  for (const TortureDriver* driver : AllTortureDrivers()) {
    for (const std::string_view name : driver->workloads()) {
      if (!names.insert(std::string(name)).second) continue;
      known.push_back({std::string(name), std::string(name), {}});
    }
  }
  return ChooseOne("--workload", given, known);
}

// A shape is a kind's: each kind that is run must know it.
void RequireShape(const std::string& text, const std::vector<const Design*>& designs) {
  for (const Design* design : designs) {
    const TortureDriver* driver = FindTortureDriver(design->kind());
    if (driver == nullptr) continue;
    const absl::Status status = driver->CheckShape(text);
    if (!status.ok()) throw UsageError("--shape: " + std::string(status.message()));
  }
}

// For each kind, by dimension, the classes of shapes that there are.
Json ShapeClasses() {
  Json all = Json::object();
  for (const TortureDriver* driver : AllTortureDrivers()) {
    const Json classes = driver->shape_classes();
    if (!classes.empty()) all[std::string(driver->kind())] = classes;
  }
  return all;
}

// One run of torture.
struct Unit {
  const Design* design;
  const Scenario* scenario;
  uint64_t seed;

  std::string Name() const {
    return absl::StrFormat("%s %s", std::string(design->name()), std::string(scenario->name));
  }
};

// Those that are not skipped at once, since a kind has no such scenario.
size_t CountRuns(const std::vector<const Design*>& designs,
                 const std::vector<const Scenario*>& scenarios) {
  size_t runs = 0;
  for (const Design* design : designs) {
    const TortureDriver* driver = FindTortureDriver(design->kind());
    if (driver == nullptr) continue;
    runs += static_cast<size_t>(absl::c_count_if(scenarios, [driver](const Scenario* wanted) {
      return absl::c_any_of(driver->scenarios(),
                            [wanted](const Scenario& one) { return one.name == wanted->name; });
    }));
  }
  return std::max<size_t>(runs, 1);
}

std::vector<Unit> UnitsOf(const std::vector<const Design*>& designs,
                          const std::vector<const Scenario*>& scenarios, uint64_t seed,
                          uint64_t rounds) {
  std::vector<Unit> units;
  for (uint64_t round = 0; round < rounds; ++round) {
    for (const Design* design : designs) {
      for (const Scenario* scenario : scenarios) {
        units.push_back({design, scenario, seed + round});
      }
    }
  }
  return units;
}

// What --shard names a unit: seeds are different runs.
std::vector<std::string> NamesOf(const std::vector<Unit>& units) {
  std::vector<std::string> names;
  for (const Unit& unit : units) {
    names.push_back(absl::StrFormat("%s seed %d", unit.Name(), unit.seed));
  }
  return names;
}

// What makes two runs of torture the same one.
Json AskedBy(const TortureFlags& flags, const Shares& shares, const std::vector<std::string>& names,
             const Json& build) {
  return {{"build", build},
          {"units", absl::StrFormat("%016x", StableHash(absl::StrJoin(names, "\n")))},
          {"shard", flags.shard},
          {"seconds", shares.seconds},
          {"kills", flags.kills},
          {"processes", flags.processes},
          {"life", flags.life_us},
          {"without_pauses", flags.without_pauses},
          {"watchdog", flags.watchdog_seconds},
          {"workload", flags.workload},
          {"shape", flags.shape}};
}

// What --continue names has of this run; an empty array without it.
Json FinishedRuns(const TortureFlags& flags, const TortureContinuation& continuation) {
  if (flags.earlier.empty()) return Json::array();
  if (flags.seed == 0) throw UsageError("--continue needs the --seed of what goes on");
  absl::StatusOr<Json> runs = continuation.FinishedRuns(flags.earlier);
  if (!runs.ok()) throw UsageError("--continue: " + std::string(runs.status().message()));
  return *std::move(runs);
}

void SayHowTortureGoesOn(Display& display, const TortureFlags& flags, uint64_t seed) {
  display.Line("interrupted: the runs above are what was measured");
  if (flags.json.empty() || flags.json == "-") return;
  display.Line(
      absl::StrFormat("to go on: the same options, --seed=%d and --continue=%s", seed, flags.json));
}

// But for what is a run's own.
TortureOptions TortureOptionsOf(const TortureFlags& flags) {
  TortureOptions options;
  options.workload = ChooseWorkload(flags.workload);
  options.shape = flags.shape;
  options.seed = flags.seed != 0 ? flags.seed : std::random_device{}() | 1;
  options.supervisor.processes = flags.processes;
  options.supervisor.watchdog_us = static_cast<uint64_t>(flags.watchdog_seconds * 1e6);
  options.supervisor.kills = flags.kills;
  options.supervisor.life_us = flags.life_us;
  options.pauses = !flags.without_pauses;
  return options;
}

}  // namespace

int TortureDesigns(TortureFlags flags) {
  if (flags.json.empty()) flags.json = flags.earlier;
  const Shard shard = ChooseShard(flags.shard, flags.seed);
  const std::vector<const Design*> designs = ChooseDesigns(flags.variant);
  const std::vector<const Scenario*> scenarios = ChooseScenarios(flags.scenario);
  TortureOptions options = TortureOptionsOf(flags);
  const uint64_t first_seed = options.seed;
  RequireShape(flags.shape, designs);
  Findings findings;
  const bool keep = flags.counterexamples.empty();
  options.counterexamples = keep ? findings.folder() : flags.counterexamples;
  const Shares shares = SharesOf(flags, CountRuns(designs, scenarios));
  const std::vector<Unit> units = UnitsOf(designs, scenarios, options.seed, shares.rounds);
  const std::vector<std::string> names = NamesOf(units);
  const std::vector<size_t> share = ChooseShare(shard, names);
  options.supervisor.seconds = shares.seconds;
  NoteInterrupts();
  std::signal(SIGPIPE, SIG_IGN);

  Json result = NewResultOfDesigns("torture", options.seed);
  TortureContinuation continuation(AskedBy(flags, shares, names, result["build"]));
  Json finished = FinishedRuns(flags, continuation);
  Display display({flags.json == "-", flags.quiet, share.size(), flags.scenario == "all"});
  const Clock& clock = Clock::Checked();
  result["clock"] = clock.description();
  result["interrupted"] = false;
  if (!shard.whole()) result["shard"] = DescribeShard(shard, names);
  result["shape_classes"] = ShapeClasses();
  display.Line(absl::StrFormat("seed %d; %s of %g s%s; clock: %s", options.seed,
                               CountOf(share.size(), "run"), options.supervisor.seconds,
                               share.size() == 1 ? "" : " each", clock.description()));
  int exit_code = kExitPass;
  bool any_ran = false, any_failed = false;
  for (Json& run : finished) {
    const Verdict verdict = VerdictOf(run).value_or(Verdict::kUndecided);
    continuation.Done(true);
    exit_code = WorseExitCode(exit_code, ExitCode(verdict));
    any_ran = any_ran || verdict != Verdict::kSkipped;
    result["runs"].push_back(std::move(run));
  }
  for (size_t at = finished.size(); at < share.size(); ++at) {
    const size_t n = share[at];
    if (is_interrupted != 0 || (flags.fail_fast && exit_code == kExitFailed)) break;
    const Unit& unit = units[n];
    options.seed = unit.seed;
    options.keeps_history = keep && findings.has_room();
    TortureResult run =
        RunTorture(*unit.design, *unit.scenario, options, [&](const TortureProgress& state) {
          display.Progress(unit.Name(), state);
          return is_interrupted == 0;
        });
    display.Done(unit.Name(), run);
    continuation.Done(is_interrupted == 0 && !run.machine_refused);
    findings.Count(&run.run);
    if (!shard.whole()) run.run["unit"] = names[n];
    exit_code = WorseExitCode(exit_code, run.machine_refused ? kExitUsage : ExitCode(run.verdict));
    any_failed = any_failed || ExitCode(run.verdict) == kExitFailed;
    any_ran = any_ran || run.verdict != Verdict::kSkipped;
    result["runs"].push_back(std::move(run.run));
  }
  display.Table(result["runs"]);
  if (!any_failed) display.Shapes(result);  // else it is not what counts
  if (is_interrupted != 0) {
    SayHowTortureGoesOn(display, flags, first_seed);
    result["interrupted"] = true;
    result["to_continue"] = continuation.ToJson();
    exit_code = WorseExitCode(exit_code, kExitUndecided);
  }
  if (!any_ran) {
    display.Line("nothing was run: that is no pass");
    exit_code = WorseExitCode(exit_code, kExitUndecided);
  }
  display.Summary(keep && any_failed ? findings.KeptIn(result) : "");
  return WithResult("kill9 torture", result, flags.json, exit_code);
}

}  // namespace kill9

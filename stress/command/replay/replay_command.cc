// kill9 replay: repeat the failures of a result file.
//
// A failure of the sweep is repeated exactly, and can be stopped at under gdb; one of explore by
// its token; those of check and planted by the command with the same options. For one of torture,
// which is the machine's, a cell of the sweep is looked for; else torture is run again. A file may
// come from anybody: what is repeated is made anew from its fields, each of which must be one that
// there is. Its `repeat` lines are for people.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/checker/model_checker.h"
#include "harness/gate/plan/planted.h"
#include "harness/result/command_name.h"
#include "harness/result/result.h"
#include "harness/result/schema/schema.h"
#include "harness/result/verdict.h"
#include "harness/result/waiting.h"
#include "harness/torture/control.h"
#include "harness/torture/driver.h"
#include "harness/torture/scenario.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/replay/kept_history.h"
#include "stress/command/replay/run_self.h"
#include "stress/command/replay/sweep_replay.h"
#include "stress/command/replay/torture_replay.h"
#include "stress/command/terminal/terminal.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

// These arguments are made here, and each is one of a command's options: nothing that a file says
// is read as a command line.
int Repeat(std::vector<std::string> words) {
  // The plugin, if there is one, stands behind the command's own name.
  const size_t blank = CommandName().find(' ');
  if (blank != std::string::npos) words.insert(words.begin(), CommandName().substr(blank + 1));
  std::cerr << "repeating (best effort, unless it is a check): kill9 " << absl::StrJoin(words, " ")
            << std::endl;
  return RunSelf(std::move(words));
}

absl::Status Unusable(std::string_view what) {
  return absl::InvalidArgumentError(std::string(what));
}

// A field of `from` as a number within bounds; `otherwise` if there is none.
template <typename Number>
absl::StatusOr<Number> NumberField(const Json& from, const char* name, Number least, Number most,
                                   std::optional<Number> otherwise) {
  const auto field = from.find(name);
  if (field == from.end() || field->is_null()) {
    if (otherwise.has_value()) return *otherwise;
    return Unusable(absl::StrCat("it does not say '", name, "'"));
  }
  const bool is_kind =
      std::is_integral_v<Number> ? field->is_number_unsigned() : field->is_number();
  if (!is_kind) return Unusable(absl::StrCat("'", name, "' is no number"));
  const Number number = field->get<Number>();
  if (!(number >= least && number <= most)) {
    return Unusable(absl::StrCat("'", name, "' is out of bounds"));
  }
  return number;
}

// The arguments that repeat a run of torture, whose variant there is. Results of before
// `repeat_with` have the same fields elsewhere.
absl::StatusOr<std::vector<std::string>> TortureArguments(const Json& result, const Json& run) {
  const std::string variant = TextField(run, "variant");
  const std::string scenario = TextField(run, "scenario");
  if (FindScenario(scenario) == nullptr) return Unusable("there is no scenario '" + scenario + "'");
  const bool has_fields = run.contains("repeat_with");
  const Json& fields = has_fields ? run["repeat_with"] : run;
  if (!fields.is_object()) return Unusable("'repeat_with' is no object");
  const auto seed = NumberField<uint64_t>(has_fields ? fields : result, "seed", 1, UINT64_MAX, {});
  const auto seconds = NumberField<double>(fields, "seconds", 0.05, 1e6, {});
  const auto processes = NumberField<uint64_t>(fields, "processes", 1, kMaxWorkers - 2, {});
  const auto kills = NumberField<uint64_t>(fields, "kills", 0, UINT64_MAX, 0);
  const auto life_us = NumberField<uint64_t>(fields, "life_us", 0, 100'000'000, 0);
  for (const absl::Status& status :
       {seed.status(), seconds.status(), processes.status(), kills.status(), life_us.status()}) {
    if (!status.ok()) return status;
  }
  std::vector<std::string> words = {"torture",
                                    "--variant=" + variant,
                                    "--scenario=" + scenario,
                                    absl::StrFormat("--seconds=%.17g", *seconds),
                                    absl::StrCat("--processes=", *processes),
                                    absl::StrCat("--seed=", *seed)};
  if (*kills != 0) words.push_back(absl::StrCat("--kills=", *kills));
  if (*life_us != 0) words.push_back(absl::StrCat("--life=", *life_us));
  // Results of before there were shapes are of the usual ones.
  std::string shape = "usual";
  if (fields.contains("shape")) shape = TextField(fields, "shape");
  const TortureDriver* shaped = FindTortureDriver(FindDesign(variant)->kind());
  if (shaped == nullptr) return Unusable("nothing drives a " + variant);
  if (const absl::Status status = shaped->CheckShape(shape); !status.ok()) {
    return Unusable("'shape': " + std::string(status.message()));
  }
  words.push_back("--shape=" + shape);
  if (!fields.contains("workload")) return words;
  const std::string workload = TextField(fields, "workload");
  for (const TortureDriver* driver : AllTortureDrivers()) {
    if (!absl::c_linear_search(driver->workloads(), workload)) continue;
    words.push_back("--workload=" + workload);
    return words;
  }
  return Unusable("there is no workload '" + workload + "'");
}

absl::StatusOr<std::vector<std::string>> CheckArguments(const Json& run) {
  const std::string file = TextField(run, "file");
  const std::string model = TextField(run, "model");
  const std::string condition = TextField(run, "condition");
  if (FindModel(model) == nullptr) return Unusable("there is no model '" + model + "'");
  if (!ParseCondition(condition)) return Unusable("there is no condition '" + condition + "'");
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    return Unusable("its history, '" + file + "', is not there");
  }
  return std::vector<std::string>{"check", "--model=" + model, "--condition=" + condition, "--",
                                  file};
}

absl::StatusOr<std::vector<std::string>> PlantedArguments(const Json& result, const Json& run) {
  const std::string name = TextField(run, "name");
  const absl::StatusOr<std::vector<PlantedBug>> known = ReadPlantedBugs(DefaultPlantedManifest());
  if (!known.ok()) return known.status();
  if (std::none_of(known->begin(), known->end(),
                   [&](const PlantedBug& bug) { return bug.name == name; })) {
    return Unusable("there is no planted bug '" + name + "'");
  }
  const auto seed = NumberField<uint64_t>(result, "seed", 0, UINT64_MAX, {});
  if (!seed.ok()) return seed.status();
  return std::vector<std::string>{"planted", "--every-tier", "--name=" + name,
                                  absl::StrCat("--seed=", *seed)};
}

// Only what failed, or was not decided, is repeated. An error: it is no run of a result file.
absl::StatusOr<bool> Failed(const std::string& kind, const Json& run) {
  if (!run.is_object()) return Unusable("it is no object");
  if (kind == "planted") {
    const auto found = run.find("as_expected");
    if (found == run.end() || !found->is_boolean()) return Unusable("it has no 'as_expected'");
    return !found->get<bool>();
  }
  const std::optional<Verdict> verdict = VerdictOf(run);
  if (!verdict.has_value()) return Unusable("it has no verdict");
  return *verdict != Verdict::kPass && *verdict != Verdict::kSkipped;
}

bool IsSweepRun(const Json& run) {
  return run.contains("counterexample") && TextField(run["counterexample"], "kind") == "sweep";
}

constexpr char kControl[] = "control";  // the tier of try that kills nobody

int Complain(const std::string& message) {
  std::cerr << "kill9 replay: " << message << "\n";
  return kExitUsage;
}

absl::StatusOr<std::vector<std::string>> ArgumentsOf(const std::string& kind, const Json& result,
                                                     const Json& run) {
  if (kind == "torture") return TortureArguments(result, run);
  if (kind == "check") return CheckArguments(run);
  if (kind == "planted") return PlantedArguments(result, run);
  if (kind == "run") {
    return Unusable(
        "it names a program and a check, and a file may come from anybody: enter its "
        "'repeat' line yourself");
  }
  if (kind == kControl) return Unusable("it failed though nobody was killed: try it again");
  // The explorer takes a token for what it is, and refuses what is none.
  if (kind == "explore" && !TextField(run, "token").empty()) {
    return std::vector<std::string>{"explore", "--token=" + TextField(run, "token")};
  }
  return Unusable("a run of '" + kind + "' without a place");
}

// Of programs that somebody brought the command line is a file's: it is not run from there.
bool IsOfPrograms(const Json& run) { return TextField(run, "scenario") == "programs"; }
int ShowPrograms(const Json& run, const std::string& folder) {
  std::cerr << TextField(run, "variant") << ": " << TextField(run, "verdict") << ": "
            << TextField(run, "reason", "no reason was kept") << "\n"
            << Terminal(2).Broken(DescribeWaiting(run));
  const ModelChecker* model = FindModel(TextField(run, "model"));
  if (model == nullptr || CheckKeptHistory(*model, run, folder) != Verdict::kViolation) {
    std::cerr << TextField(run, "counterexample") << "\n";
  }
  std::cerr << "to repeat it: " << TextField(run, "repeat") << "\n";
  return kExitFailed;
}

// Whether a failure is one of an object that this command does not have: a plugin's, a program's.
bool IsOfUnknownObject(const std::string& kind, const Json& run) {
  const bool has_design = IsSweepRun(run) || (kind == "torture" && !IsOfPrograms(run));
  return has_design && FindDesign(TextField(run, "variant")) == nullptr;
}

int ReplayRun(const std::string& kind, const std::string& folder, const Json& result,
              const Json& run, const SweepReplayOptions& options) {
  if (IsSweepRun(run)) return ReplaySweepRun(run, options);
  if (kind == "torture" && IsOfPrograms(run)) return ShowPrograms(run, folder);
  absl::StatusOr<std::vector<std::string>> words = ArgumentsOf(kind, result, run);
  if (!words.ok()) {
    return Complain(absl::StrCat("a run that failed cannot be repeated: ",
                                 std::string(words.status().message())));
  }
  const std::optional<Verdict> verdict = VerdictOf(run);
  if (kind == "torture" && verdict.has_value() && ExitCode(*verdict) == kExitFailed &&
      ExplainTorture(*FindDesign(TextField(run, "variant")), run, folder, options)) {
    return kExitFailed;
  }
  int exit_code = kExitPass;
  NoteInterrupts();
  for (uint32_t n = 0; n < options.times && is_interrupted == 0; ++n) {
    exit_code = WorseExitCode(exit_code, Repeat(*words));
  }
  if (is_interrupted != 0) return WorseExitCode(exit_code, kExitUndecided);
  EndOnInterrupts();
  return exit_code;
}

// What torture keeps of its failures is a folder (torture/findings.h).
std::string ResultIn(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) ? absl::StrCat(path, "/result.json") : path;
}

// Which command a run is one of: those of the gate and of try are of others.
std::string KindOf(const std::string& of_file, const std::string& tier) {
  if (of_file == "gate" || tier == "sweep" || tier == kControl) return tier;
  return of_file == "try" ? "torture" : of_file;
}

int Replay(const std::string& given, const SweepReplayOptions& options) {
  const std::string path = ResultIn(given);
  const std::string folder = std::filesystem::path(path).parent_path();
  const absl::StatusOr<Json> read = ReadJsonFile(path);
  if (!read.ok()) return Complain(std::string(read.status().message()));
  const Json& result = *read;
  if (const std::string why = WhyNoResult(result); !why.empty()) {
    return Complain(absl::StrCat("'", path, "' ", why));
  }
  if (result["runs"].empty()) {
    Complain(absl::StrCat("there is no run in '", path, "'"));
    return kExitUndecided;
  }
  int exit_code = kExitPass;
  int repeated = 0;
  std::set<std::string> unknown;
  for (size_t n = 0; n < result["runs"].size(); ++n) {
    const Json& run = result["runs"][n];
    const std::string kind = KindOf(TextField(result, "kind"), TextField(run, "tier"));
    const absl::StatusOr<bool> failed = Failed(kind, run);
    if (!failed.ok()) {
      return Complain(absl::StrCat("run ", n + 1, " of '", path,
                                   "' cannot be read: ", std::string(failed.status().message())));
    }
    if (!*failed) continue;
    ++repeated;
    if (IsOfUnknownObject(kind, run)) {
      const std::string variant = TextField(run, "variant");
      exit_code = WorseExitCode(exit_code, kExitUsage);
      if (!unknown.insert(variant).second) continue;
      Complain(absl::StrCat("there is no variant '", variant,
                            "' here: how the command was called that has it, its line tells: ",
                            TextField(run, "repeat")));
      continue;
    }
    exit_code = WorseExitCode(exit_code, ReplayRun(kind, folder, result, run, options));
    if (options.debugger || is_interrupted != 0) break;
  }
  if (repeated == 0) std::cerr << "kill9 replay: no run of '" << path << "' failed\n";
  return exit_code;
}

}  // namespace

void AddReplayCommand(CommandLine& line) {
  Command command = line.Add("replay", "repeat the failures of a result file");
  auto path = std::make_shared<std::string>();
  auto options = std::make_shared<SweepReplayOptions>();
  command.Add("file", *path, "a result file, or a folder of what torture kept").Required();
  command.Add("--times", options->times, "how often").Positive();
  command.AddFlag("--gdb", options->debugger, "stop at the first failure of a sweep, under gdb");
  command.Example("kill9-out/latest",
                  "from the failures that torture found last to the instruction and source line");
  command.Example("sweep.json --gdb", "stop where the victim of a sweep's failure dies, under gdb");
  command.OnCall([path, options] { return Replay(*path, *options); });
}

}  // namespace kill9

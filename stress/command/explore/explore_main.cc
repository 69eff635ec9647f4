// kill9-explore: what kill9 explore runs.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/base/stable_hash.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/explore.h"
#include "harness/explore/search/ordering_score.h"
#include "harness/explore/search/shipped_program.h"
#include "harness/explore/search/table.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/shards.h"
#include "stress/command/explore/explore_arguments.h"
#include "stress/command/terminal.h"

namespace kill9 {
namespace {

using explore::ExploreResult;
using explore::MemoryModel;
using explore::Strategy;

constexpr const char* kUnsteady =
    "a schedule did not repeat itself: the scene depends on something that is not reset";

volatile bool interrupted = false;

MemoryModel ChooseModel(const std::string& given) {
  return ChooseOne<MemoryModel>("--model", given,
                                {{"sc", MemoryModel::kSc, {}},
                                 {"tso", MemoryModel::kTso, {}},
                                 {"c11", MemoryModel::kC11, {}},
                                 {"compiler", MemoryModel::kCompiler, {}}});
}

Strategy ChooseStrategy(const std::string& given) {
  return ChooseOne<Strategy>("--strategy", given,
                             {{"auto", Strategy::kAuto, {}},
                              {"exhaustive", Strategy::kExhaustive, {}},
                              {"random", Strategy::kRandom, {}}});
}

std::unique_ptr<explore::Scene> SceneOf(const Design& design, const std::string& scenario) {
  absl::StatusOr<std::unique_ptr<explore::Scene>> scene = explore::NewScene(design, scenario);
  if (!scene.ok()) throw UsageError(std::string(scene.status().message()));
  return *std::move(scene);
}

std::vector<std::string> NamesIn(const std::string& given) {
  return absl::StrSplit(given, ' ', absl::SkipEmpty());
}

// Scenes that have a name together.
using GroupOfScenes = std::vector<std::string>(const Design&);
GroupOfScenes* GroupOf(const std::string& name) {
  if (name == "pairs") return explore::AllPairs;
  if (name == "larger") return explore::LargerScenes;
  if (name == "wider") return explore::WiderScenes;
  if (name == "others") return explore::OtherScenes;
  return nullptr;
}

// Those that a design of its kind can have.
std::vector<std::string> ScenariosOf(const Design& design, const std::string& given) {
  std::vector<std::string> names;
  for (const std::string& name : NamesIn(given)) {
    if (GroupOfScenes* const group = GroupOf(name)) {
      for (std::string& scene : group(design)) names.push_back(std::move(scene));
    } else if (explore::NewScene(design, name).ok()) {
      names.push_back(name);
    }
  }
  return names;
}

// What is run on its own, and belongs to one shard: a scene of a design; with --orderings a design.
struct Unit {
  const Design* variant;
  std::string scenario;

  std::string name() const { return absl::StrCat(std::string(variant->name()), " ", scenario); }
};

// Each name is one that some of the designs can have.
void CheckScenarios(const std::vector<const Design*>& designs, const std::string& given) {
  for (const std::string& name : NamesIn(given)) {
    absl::Status unknown = absl::OkStatus();
    bool known = false;
    for (const Design* design : designs) {
      if (!explore::WhyNotExplored(*design).empty()) continue;
      known = known || !ScenariosOf(*design, name).empty();
      if (!known && unknown.ok()) unknown = explore::NewScene(*design, name).status();
    }
    if (!known && !unknown.ok()) throw UsageError(std::string(unknown.message()));
  }
}

// Each once.
std::vector<Unit> UnitsOf(const ExploreArguments& arguments) {
  std::vector<Unit> units;
  absl::flat_hash_set<std::string> names;
  const std::vector<const Design*> designs = ChooseDesigns(arguments.variant);
  CheckScenarios(designs, arguments.scenario);
  for (const Design* variant : designs) {
    std::vector<std::string> scenarios = {arguments.scenario};
    if (!arguments.orderings && explore::WhyNotExplored(*variant).empty()) {
      scenarios = ScenariosOf(*variant, arguments.scenario);
    }
    for (std::string& scenario : scenarios) {
      Unit unit{variant, std::move(scenario)};
      if (names.insert(unit.name()).second) units.push_back(std::move(unit));
    }
  }
  return units;
}

// Those that are this run's, in the order in which it takes them.
std::vector<Unit> OwnUnits(const ExploreArguments& arguments, Json* result) {
  std::vector<Unit> units = UnitsOf(arguments);
  const auto place = [&arguments](const Unit& unit) {
    return StableHash(absl::StrCat(arguments.seed, " ", unit.name()));
  };
  if (arguments.seconds > 0) {
    std::sort(units.begin(), units.end(),
              [&place](const Unit& a, const Unit& b) { return place(a) < place(b); });
  }
  const Shard shard = ChooseShard(arguments.shard);
  if (shard.whole()) return units;
  if (arguments.seconds > 0) {
    throw UsageError("--shard and --seconds: what ends by time is no part that others complete");
  }
  std::vector<std::string> names;
  for (const Unit& unit : units) names.push_back(unit.name());
  std::vector<Unit> own;
  for (const size_t n : ChooseShare(shard, names)) own.push_back(units[n]);
  (*result)["shard"] = DescribeShard(shard, names);
  return own;
}

std::string RepeatLine(const std::string& token) {
  return absl::StrCat("kill9 explore --token='", token, "'");
}

Json RunOf(const Design& variant, const std::string& scenario, const ExploreArguments& arguments,
           const ExploreResult& result, Verdict verdict, const std::string& token) {
  Json run = {
      {"variant", variant.name()},
      {"scenario", scenario},
      {"memory_model", arguments.model},
      {"strategy", result.strategy == Strategy::kExhaustive ? "exhaustive" : "random"},
      {"verdict", VerdictName(verdict)},
      {"condition", "strict"},
      {"seconds", result.seconds},
      {"schedules", result.schedules},
      {"schedules_per_second", static_cast<double>(result.schedules) / result.seconds},
      {"distinct_states", result.distinct_states},
      {"contended_words", result.contended_words},
      {"deaths", result.deaths},
      {"deaths_most", arguments.deaths},
      {"exhaustive", result.exhaustive},
  };
  if (arguments.preemptions >= 0) run["preemptions_most"] = arguments.preemptions;
  if (result.unsteady) {
    run["reason"] = kUnsteady;
  } else if (verdict == Verdict::kUndecided && token.empty()) {
    run["reason"] = "interrupted";
  }
  if (token.empty()) return run;
  run["token"] = token;
  run["message"] = result.finding.message;
  run["repeat"] = RepeatLine(token);
  return run;
}

Verdict VerdictOf(const ExploreResult& result) {
  if (result.unsteady) return Verdict::kUndecided;
  // What was cut off may not have come to what is wrong.
  if (interrupted && result.finding.verdict == Verdict::kPass) return Verdict::kUndecided;
  return result.finding.verdict;
}

// A finding of the shipped program too? Its memory is x86's, and nothing else but the schedule's
// order while it is led through it.
std::string Confirm(const Design& variant, const std::string& scenario, const explore::Scene& scene,
                    MemoryModel model, const explore::Replayed& replayed, Json* confirmed) {
  *confirmed = nullptr;
  if (model != MemoryModel::kSc) {
    return "possible, not confirmed: only schedules of sc can be repeated in the shipped program";
  }
  const std::vector<explore::Steps> steps = {
      explore::StepsOf(std::string(variant.name()), scenario, scene, replayed)};
  const std::vector<explore::ShippedAnswer> answers = explore::AskShippedProgram(steps);
  if (answers.empty()) return "possible, not confirmed: kill9 is not beside this program";
  *confirmed = answers[0].kind == explore::ShippedAnswer::kSame;
  if (*confirmed) return "confirmed in the shipped program";
  return "possible, not confirmed: in the shipped program " + answers[0].how;
}

// What the shipped program makes of a schedule in which nothing is wrong.
std::string InShipped(const Design& variant, const std::string& scenario,
                      const explore::Scene& scene, const explore::Replayed& replayed) {
  const std::vector<explore::Steps> steps = {
      explore::StepsOf(std::string(variant.name()), scenario, scene, replayed)};
  const std::vector<explore::ShippedAnswer> answers = explore::AskShippedProgram(steps);
  if (answers.empty()) return "kill9 is not beside this program";
  const bool same = answers[0].kind == explore::ShippedAnswer::kSame;
  const bool diverged = answers[0].kind == explore::ShippedAnswer::kDiverged;
  return absl::StrCat("in the shipped program ",
                      same       ? "the same"
                      : diverged ? "diverged: "
                                 : "other: ",
                      answers[0].how);
}

int ExploreOne(const Design& variant, const std::string& name, const ExploreArguments& arguments,
               Json* runs) {
  const std::unique_ptr<explore::Scene> scene = SceneOf(variant, name);
  explore::ExploreOptions options;
  options.model = ChooseModel(arguments.model);
  options.deaths = static_cast<int>(arguments.deaths);
  options.preemptions = arguments.preemptions;
  options.strategy = ChooseStrategy(arguments.strategy);
  options.schedules = arguments.schedules;
  options.budget_seconds = arguments.budget_seconds;
  options.seed = arguments.seed;
  options.interrupted = &interrupted;
  const ExploreResult result = explore::Explore(*scene, options);
  const Verdict verdict = VerdictOf(result);
  std::string token;
  if (result.finding.verdict != Verdict::kPass) {
    token = explore::Render(explore::Token{.variant = std::string(variant.name()),
                                           .scenario = name,
                                           .model = options.model,
                                           .deaths = options.deaths,
                                           .schedule = result.schedule,
                                           .contended = result.contended});
  }
  std::cout << absl::StrFormat(
      "%-22s %-20s %-4s %-16s %9d schedules %9d states  %s\n", std::string(variant.name()), name,
      arguments.model, std::string(VerdictName(verdict)), result.schedules, result.distinct_states,
      result.exhaustive ? "exhaustive" : "not all");
  if (result.unsteady) std::cout << "    " << kUnsteady << "\n";
  if (!token.empty()) {
    std::cout << explore::RenderTable(result.steps, scene->participants()) << "    "
              << VerdictName(verdict) << ": " << result.finding.message
              << "\n    repeat (deterministic): " << RepeatLine(token) << "\n";
  }
  runs->push_back(RunOf(variant, name, arguments, result, verdict, token));
  if (!token.empty()) {
    const explore::Replayed replayed = explore::Replay(
        result.schedule, {.model = options.model, .deaths = options.deaths, .trace = true});
    const std::string confirmation =
        Confirm(variant, name, *scene, options.model, replayed, &runs->back()["confirmed"]);
    runs->back()["confirmation"] = confirmation;
    std::cout << "    " << confirmation << "\n";
  }
  std::cout << std::flush;
  return ExitCode(verdict);
}

// Not a test of the design: how much of its memory orders the explorer would miss.
int ScoreOrderingsOf(const Design& variant, const ExploreArguments& arguments, Json* runs) {
  const auto scene = [&variant](const std::string& name) { return SceneOf(variant, name); };
  const std::vector<explore::WeakenedOrdering> all =
      explore::ScoreOrderings(ScenariosOf(variant, arguments.scenario), scene,
                              {.model = ChooseModel(arguments.model),
                               .deaths = static_cast<int>(arguments.deaths),
                               .budget_seconds = arguments.budget_seconds,
                               .schedules = arguments.schedules,
                               .seed = arguments.seed,
                               .interrupted = &interrupted});
  size_t found = 0;
  Json list = Json::array();
  for (const explore::WeakenedOrdering& one : all) {
    const bool is_found = !one.scenario.empty();
    found += is_found;
    std::cout << absl::StrFormat("%-52s %-13s %-8s -> %-8s %6.1f s %8d  %s\n", one.place,
                                 std::string(explore::NameOf(one.of)),
                                 std::string(explore::NameOf(one.from)),
                                 std::string(explore::NameOf(one.to)), one.seconds, one.schedules,
                                 is_found             ? "found by " + one.scenario
                                 : one.exhaustive     ? "never wrong"
                                 : one.novelties == 0 ? "not found: it never allowed more"
                                                      : "not found");
    list.push_back({{"place", one.place},
                    {"operation", explore::NameOf(one.of)},
                    {"written", explore::NameOf(one.from)},
                    {"weakened", explore::NameOf(one.to)},
                    {"found", is_found},
                    {"scenario", one.scenario},
                    {"exhaustive", one.exhaustive},
                    {"schedules", one.schedules},
                    {"novelties", one.novelties},
                    {"seconds", one.seconds}});
  }
  std::cout << absl::StrFormat("%s: %d of %d weaker memory orders found\n",
                               std::string(variant.name()), found, all.size());
  // Nothing was weakened: nothing was asked.
  const Verdict verdict = interrupted   ? Verdict::kUndecided
                          : all.empty() ? Verdict::kVacuous
                                        : Verdict::kPass;
  runs->push_back({{"variant", variant.name()},
                   {"scenario", arguments.scenario},
                   {"memory_model", arguments.model},
                   {"verdict", VerdictName(verdict)},
                   {"orderings", std::move(list)}});
  return ExitCode(verdict);
}

// Not a test of the design: whether the explorer's is the shipped one.
int CompareOne(const Design& variant, const std::string& name, const ExploreArguments& arguments,
               Json* runs) {
  const std::unique_ptr<explore::Scene> scene = SceneOf(variant, name);
  const explore::ShippedScore score =
      explore::CompareWithShipped(std::string(variant.name()), name, *scene,
                                  {.deaths = static_cast<int>(arguments.deaths),
                                   .schedules = arguments.shipped,
                                   .seed = arguments.seed,
                                   .interrupted = &interrupted});
  const Verdict verdict = score.other > 0   ? Verdict::kViolation
                          : interrupted     ? Verdict::kUndecided
                          : score.same == 0 ? Verdict::kVacuous
                                            : Verdict::kPass;
  std::cout << absl::StrFormat("%-22s %-20s %-16s %6d the same %6d other %6d diverged\n",
                               std::string(variant.name()), name, std::string(VerdictName(verdict)),
                               score.same, score.other, score.diverged);
  Json run = {{"variant", variant.name()},      {"scenario", name},
              {"memory_model", "sc"},           {"verdict", VerdictName(verdict)},
              {"schedules", arguments.shipped}, {"same", score.same},
              {"other", score.other},           {"diverged", score.diverged},
              {"deaths", score.deaths},         {"instructions", score.instructions}};
  for (const auto& [why, diverged] : score.why_diverged) {
    std::cout << absl::StrFormat("    %6d diverged: %s\n           %s\n", diverged.count,
                                 diverged.first, RepeatLine(diverged.token));
    run["why_diverged"].push_back(
        {{"reason", why}, {"schedules", diverged.count}, {"token", diverged.token}});
  }
  if (score.other > 0) {
    run["token"] = score.token_of_other;
    run["message"] = score.first_other;
    std::cout << "    " << score.first_other << "\n    " << RepeatLine(score.token_of_other)
              << "\n";
  }
  std::cout << std::flush;
  runs->push_back(std::move(run));
  return ExitCode(verdict);
}

// A design that has no scenes: what is asked for and not run is told.
int Skip(const Design& variant, const std::string& scenario, const ExploreArguments& arguments,
         Json* runs) {
  const std::string reason = explore::WhyNotExplored(variant);
  std::cout << absl::StrFormat("%-22s skipped: %s\n", std::string(variant.name()), reason);
  runs->push_back({{"variant", variant.name()},
                   {"scenario", scenario},
                   {"memory_model", arguments.model},
                   {"verdict", VerdictName(Verdict::kSkipped)},
                   {"reason", reason}});
  return kExitPass;
}

int RunUnit(const Unit& unit, const ExploreArguments& arguments, Json* runs) {
  if (!explore::WhyNotExplored(*unit.variant).empty()) {
    return Skip(*unit.variant, unit.scenario, arguments, runs);
  }
  if (arguments.orderings) return ScoreOrderingsOf(*unit.variant, arguments, runs);
  if (arguments.shipped > 0) return CompareOne(*unit.variant, unit.scenario, arguments, runs);
  return ExploreOne(*unit.variant, unit.scenario, arguments, runs);
}

int RepeatToken(const ExploreArguments& arguments) {
  const std::optional<explore::Token> token = explore::ParseToken(arguments.token);
  const Design* design = token.has_value() ? FindDesign(token->variant) : nullptr;
  if (design == nullptr || !explore::WhyNotExplored(*design).empty()) {
    throw UsageError("--token: it is none of this program's");
  }
  const std::unique_ptr<explore::Scene> scene = SceneOf(*design, token->scenario);
  const explore::MachineLimits limits{
      .model = token->model, .deaths = token->deaths, .trace = true};
  explore::Machine& machine = explore::Machine::Get();
  machine.Load(*scene, limits);
  machine.SetContended(token->contended);
  uint32_t failed = 0;
  for (uint32_t n = 0; n < arguments.times; ++n) {
    const explore::Replayed replayed = explore::Replay(token->schedule, limits);
    if (replayed.finding.verdict != Verdict::kPass) ++failed;
    if (n > 0) continue;
    std::cout << explore::RenderTable(replayed.steps, scene->participants()) << "    "
              << VerdictName(replayed.finding.verdict) << ": " << replayed.finding.message << "\n";
    const bool passes = replayed.finding.verdict == Verdict::kPass;
    if (passes && arguments.shipped > 0 && token->model == MemoryModel::kSc) {
      std::cout << "    " << InShipped(*design, token->scenario, *scene, replayed) << "\n";
    }
    if (passes) continue;
    Json ignored;
    std::cout << "    "
              << Confirm(*design, token->scenario, *scene, token->model, replayed, &ignored)
              << "\n";
  }
  std::cout << "failed " << failed << " times of " << arguments.times << "\n";
  return failed == 0 ? kExitPass : failed == arguments.times ? kExitFailed : kExitUndecided;
}

// What all shards of a run have in common.
Json OptionsOf(const ExploreArguments& arguments) {
  return {{"model", arguments.model},         {"strategy", arguments.strategy},
          {"deaths", arguments.deaths},       {"preemptions", arguments.preemptions},
          {"schedules", arguments.schedules}, {"budget_seconds", arguments.budget_seconds},
          {"orderings", arguments.orderings}, {"shipped", arguments.shipped}};
}

int Run(const ExploreArguments& arguments) {
  if (!arguments.token.empty()) return RepeatToken(arguments);
  const MemoryModel model = ChooseModel(arguments.model);
  if (arguments.orderings && model != MemoryModel::kC11 && model != MemoryModel::kCompiler) {
    throw UsageError("--orderings: give --model=c11, or --model=compiler for signal fences");
  }
  ChooseStrategy(arguments.strategy);
  Json result = NewResultOfDesigns("explore", arguments.seed);
  const std::vector<Unit> units = OwnUnits(arguments, &result);
  result["options"] = OptionsOf(arguments);
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  const auto began = std::chrono::steady_clock::now();
  int exit_code = kExitPass;
  bool all_skipped = true;  // or there was nothing
  Json& runs = result["runs"];
  for (const Unit& unit : units) {
    const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - began;
    const bool is_late = arguments.seconds > 0 && gone.count() > arguments.seconds;
    if (interrupted || (is_late && !all_skipped)) break;
    exit_code = WorseExitCode(exit_code, RunUnit(unit, arguments, &runs));
    all_skipped &= runs.back()["verdict"] == VerdictName(Verdict::kSkipped);
    if (result.contains("shard")) runs.back()["unit"] = unit.name();
  }
  result["interrupted"] = static_cast<bool>(interrupted);
  if (interrupted) exit_code = WorseExitCode(exit_code, kExitUndecided);
  if (all_skipped) exit_code = WorseExitCode(exit_code, kExitUndecided);
  if (arguments.json.empty()) return exit_code;
  if (absl::Status status = WriteResult(result, arguments.json); !status.ok()) {
    std::cerr << "kill9 explore: " << status.message() << "\n";
    return kExitUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::ResetSignals();
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  kill9::CommandLine line("kill9-explore: what kill9 explore runs",
                          kill9::VersionLine("kill9-explore"), kill9::Terminal(1).columns());
  kill9::Command command =
      line.Add("explore", "every interleaving of a few operations, and every death in them");
  auto arguments = std::make_shared<kill9::ExploreArguments>();
  kill9::AddExploreOptions(command, *arguments);
  command.OnCall([arguments] {
    kill9::SetDefaults(*arguments);
    return kill9::Run(*arguments);
  });
  return line.Run(argc, argv);
}

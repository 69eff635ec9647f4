// kill9-explore: what kill9 explore runs.
#include <csignal>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/explore/scenes/store_scene.h"
#include "harness/explore/search/explore.h"
#include "harness/explore/search/ordering_score.h"
#include "harness/explore/search/table.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/explore/explore_arguments.h"

namespace kill9 {
namespace {

using explore::ExploreResult;
using explore::MemoryModel;
using explore::Strategy;

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

explore::StoreScenario Scenario(const std::string& name) {
  absl::StatusOr<explore::StoreScenario> scenario = explore::ParseStoreScenario(name);
  if (!scenario.ok()) throw UsageError(std::string(scenario.status().message()));
  return *std::move(scenario);
}

std::vector<std::string> ScenariosOf(const Variant& variant, const std::string& given) {
  std::vector<std::string> names;
  for (const std::string& name :
       std::vector<std::string>(absl::StrSplit(given, ' ', absl::SkipEmpty()))) {
    if (name == "pairs") {
      for (std::string& pair : explore::AllPairs(variant.traits()))
        names.push_back(std::move(pair));
    } else {
      names.push_back(Scenario(name).name);
    }
  }
  return names;
}

std::string RepeatLine(const std::string& token) {
  return absl::StrCat("kill9 explore --token='", token, "'");
}

Json RunOf(const Variant& variant, const std::string& scenario, const ExploreArguments& arguments,
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
  if (token.empty()) return run;
  run["token"] = token;
  run["confirmed"] = nullptr;  // not tried in the shipped binary
  run["message"] = result.finding.message;
  run["repeat"] = RepeatLine(token);
  return run;
}

Verdict VerdictOf(const ExploreResult& result) {
  if (result.unsteady) return Verdict::kUndecided;
  return result.finding.verdict;
}

int ExploreOne(const Variant& variant, const std::string& name, const ExploreArguments& arguments,
               Json* runs) {
  const explore::StoreScenario scenario = Scenario(name);
  explore::StoreScene scene(variant, scenario);
  explore::ExploreOptions options;
  options.model = ChooseModel(arguments.model);
  options.deaths = static_cast<int>(arguments.deaths);
  options.preemptions = arguments.preemptions;
  options.strategy = ChooseStrategy(arguments.strategy);
  options.schedules = arguments.schedules;
  options.budget_seconds = arguments.budget_seconds;
  options.seed = arguments.seed;
  options.interrupted = &interrupted;
  const ExploreResult result = explore::Explore(scene, options);
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
  if (result.unsteady) {
    std::cout << "    a schedule did not repeat itself: the scene depends on something that is not "
                 "reset\n";
  }
  if (!token.empty()) {
    std::cout << explore::RenderTable(result.steps, scene.participants()) << "    "
              << VerdictName(verdict) << ": " << result.finding.message
              << "\n    repeat (deterministic): " << RepeatLine(token) << "\n";
  }
  std::cout << std::flush;
  runs->push_back(RunOf(variant, name, arguments, result, verdict, token));
  return ExitCode(verdict);
}

// Not a test of the design: how much of its memory orders the explorer would miss.
int ScoreOrderingsOf(const Variant& variant, const ExploreArguments& arguments, Json* runs) {
  const auto scene = [&variant](const std::string& name) -> std::unique_ptr<explore::Scene> {
    return std::make_unique<explore::StoreScene>(variant, Scenario(name));
  };
  const std::vector<explore::WeakenedOrdering> all =
      explore::ScoreOrderings(ScenariosOf(variant, arguments.scenario), scene,
                              {.model = ChooseModel(arguments.model),
                               .deaths = static_cast<int>(arguments.deaths),
                               .budget_seconds = arguments.budget_seconds,
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
                                 is_found         ? "found by " + one.scenario
                                 : one.exhaustive ? "never wrong"
                                                  : "not found");
    list.push_back({{"place", one.place},
                    {"operation", explore::NameOf(one.of)},
                    {"written", explore::NameOf(one.from)},
                    {"weakened", explore::NameOf(one.to)},
                    {"found", is_found},
                    {"scenario", one.scenario},
                    {"exhaustive", one.exhaustive},
                    {"schedules", one.schedules},
                    {"seconds", one.seconds}});
  }
  std::cout << absl::StrFormat("%s: %d of %d weaker memory orders found\n",
                               std::string(variant.name()), found, all.size());
  // Nothing was weakened: nothing was asked.
  const Verdict verdict = all.empty() ? Verdict::kVacuous : Verdict::kPass;
  runs->push_back({{"variant", variant.name()},
                   {"scenario", arguments.scenario},
                   {"memory_model", arguments.model},
                   {"verdict", VerdictName(verdict)},
                   {"orderings", std::move(list)}});
  return ExitCode(verdict);
}

int RepeatToken(const ExploreArguments& arguments) {
  const std::optional<explore::Token> token = explore::ParseToken(arguments.token);
  const Variant* variant = token.has_value() ? FindVariant(token->variant) : nullptr;
  if (variant == nullptr) throw UsageError("--token: it is none of this program's");
  explore::StoreScene scene(*variant, Scenario(token->scenario));
  const explore::MachineLimits limits{
      .model = token->model, .deaths = token->deaths, .trace = true};
  explore::Machine& machine = explore::Machine::Get();
  machine.Load(scene, limits);
  machine.SetContended(token->contended);
  uint32_t failed = 0;
  for (uint32_t n = 0; n < arguments.times; ++n) {
    const explore::Replayed replayed = explore::Replay(token->schedule, limits);
    if (replayed.finding.verdict != Verdict::kPass) ++failed;
    if (n > 0) continue;
    std::cout << explore::RenderTable(replayed.steps, scene.participants()) << "    "
              << VerdictName(replayed.finding.verdict) << ": " << replayed.finding.message << "\n";
  }
  std::cout << "failed " << failed << " times of " << arguments.times << "\n";
  return failed == 0 ? kExitPass : failed == arguments.times ? kExitFailed : kExitUndecided;
}

int Run(const ExploreArguments& arguments) {
  if (!arguments.token.empty()) return RepeatToken(arguments);
  const MemoryModel model = ChooseModel(arguments.model);
  if (arguments.orderings && model != MemoryModel::kC11 && model != MemoryModel::kCompiler) {
    throw UsageError("--orderings: give --model=c11, or --model=compiler for signal fences");
  }
  ChooseStrategy(arguments.strategy);
  const std::vector<const Variant*> variants = ChooseVariants(arguments.variant);
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  Json result = NewResult("explore", arguments.seed);
  int exit_code = kExitPass;
  for (const Variant* variant : variants) {
    if (arguments.orderings) {
      exit_code = WorseExitCode(exit_code, ScoreOrderingsOf(*variant, arguments, &result["runs"]));
      continue;
    }
    for (const std::string& scenario : ScenariosOf(*variant, arguments.scenario)) {
      if (interrupted) break;
      exit_code =
          WorseExitCode(exit_code, ExploreOne(*variant, scenario, arguments, &result["runs"]));
    }
  }
  if (interrupted) exit_code = WorseExitCode(exit_code, kExitUndecided);
  if (result["runs"].empty()) exit_code = kExitUndecided;
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
                          kill9::VersionLine("kill9-explore"));
  kill9::Command command =
      line.Add("explore", "every interleaving of a few operations, and every death in them");
  auto arguments = std::make_shared<kill9::ExploreArguments>();
  kill9::AddExploreOptions(command, *arguments);
  command.OnCall([arguments] { return kill9::Run(*arguments); });
  return line.Run(argc, argv);
}

#include "stress/command/explore/explore_one.h"

#include <iostream>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/explore.h"
#include "harness/explore/search/shipped_program.h"
#include "harness/explore/search/swarm.h"
#include "harness/explore/search/table.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/explore/explore_units.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {
namespace {

using explore::ExploreResult;
using explore::MemoryModel;
using explore::Strategy;

constexpr double kNoBound = 1e6;
constexpr const char* kUnsteady =
    "a schedule did not repeat itself: the scene depends on something that is not reset";

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
  if (is_interrupted != 0 && result.finding.verdict == Verdict::kPass) return Verdict::kUndecided;
  return result.finding.verdict;
}

// What the shipped program answers to one schedule, or to one like it that it has. Nullopt: it is
// not beside this program.
std::optional<explore::ShippedAnswer> AskShipped(const Design& variant, const std::string& scenario,
                                                 const explore::Scene& scene,
                                                 explore::Schedule schedule,
                                                 const explore::MachineLimits& limits) {
  const std::string name(variant.name());
  const std::vector<explore::Steps> steps = {
      explore::StepsOf(name, scenario, scene, explore::Replay(schedule, limits))};
  const std::vector<explore::ShippedAnswer> answers = explore::AskShippedProgram(steps);
  if (answers.empty()) return std::nullopt;
  if (answers[0].kind != explore::ShippedAnswer::kDivided) return answers[0];
  return explore::AskUndivided(name, scenario, scene, answers[0], limits, &schedule);
}

// A finding of the shipped program too? Its memory is x86's, and nothing else but the schedule's
// order while it is led through it.
std::string Confirm(const Design& variant, const std::string& scenario, const explore::Scene& scene,
                    const explore::Schedule& schedule, const explore::MachineLimits& limits,
                    Json* confirmed) {
  *confirmed = nullptr;
  if (limits.model != MemoryModel::kSc) {
    return "possible, not confirmed: only schedules of sc can be repeated in the shipped program";
  }
  const auto answer = AskShipped(variant, scenario, scene, schedule, limits);
  if (!answer.has_value()) return "possible, not confirmed: kill9 is not beside this program";
  *confirmed = answer->kind == explore::ShippedAnswer::kSame;
  if (*confirmed) return "confirmed in the shipped program";
  return "possible, not confirmed: in the shipped program " + answer->how;
}

// What the shipped program makes of a schedule in which nothing is wrong.
std::string InShipped(const Design& variant, const std::string& scenario,
                      const explore::Scene& scene, const explore::Schedule& schedule,
                      const explore::MachineLimits& limits) {
  const auto answer = AskShipped(variant, scenario, scene, schedule, limits);
  if (!answer.has_value()) return "kill9 is not beside this program";
  const bool same = answer->kind == explore::ShippedAnswer::kSame;
  const bool other = answer->kind == explore::ShippedAnswer::kOther;
  return absl::StrCat("in the shipped program ",
                      same    ? "the same"
                      : other ? "other: "
                              : "diverged: ",
                      answer->how);
}

}  // namespace

std::string RepeatLine(const std::string& token) {
  return absl::StrCat("kill9 explore --token='", token, "'");
}

int ExploreOne(const Design& variant, const std::string& name, const ExploreArguments& arguments,
               ExploreLines& lines, Json* runs) {
  const std::unique_ptr<explore::Scene> scene = SceneOf(variant, name);
  explore::ExploreOptions options;
  options.model = ChooseModel(arguments.model);
  options.deaths = static_cast<int>(arguments.deaths);
  options.preemptions = arguments.preemptions;
  options.strategy = ChooseStrategy(arguments.strategy);
  options.schedules = arguments.schedules;
  options.budget_seconds = arguments.budget_seconds;
  options.seed = arguments.seed;
  options.interrupted = &is_interrupted;
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
  if (!arguments.quiet || verdict != Verdict::kPass) {
    lines.Scene(absl::StrCat(std::string(variant.name()), " ", name), arguments.model, verdict,
                VerdictName(verdict),
                absl::StrCat(CountOf(result.schedules, "schedule"), ", ",
                             CountOf(result.distinct_states, "state"), ", ",
                             result.exhaustive ? "exhaustive" : "not all"));
  }
  std::ostream& out = lines.Out();
  if (result.unsteady) out << "    " << kUnsteady << "\n";
  if (!token.empty()) {
    out << explore::RenderTable(result.steps, scene->participants()) << "    "
        << VerdictName(verdict) << ": " << result.finding.message
        << "\n    repeat (deterministic): " << RepeatLine(token) << "\n";
  }
  runs->push_back(RunOf(variant, name, arguments, result, verdict, token));
  if (!token.empty()) {
    const std::string confirmation =
        Confirm(variant, name, *scene, result.schedule,
                {.model = options.model, .deaths = options.deaths, .trace = true},
                &runs->back()["confirmed"]);
    runs->back()["confirmation"] = confirmation;
    out << "    " << confirmation << "\n";
  }
  out << std::flush;
  return ExitCode(verdict);
}

int TellEnded(const Design& variant, const std::string& scenario, const ExploreArguments& arguments,
              const explore::Finding& finding, ExploreLines& lines, Json* runs) {
  const std::string repeat =
      absl::StrCat("kill9 explore --variant=", std::string(variant.name()), " --scenario='",
                   scenario, "' --model=", arguments.model, " --strategy=", arguments.strategy,
                   " --deaths=", arguments.deaths, " --schedules=", arguments.schedules,
                   " --seed=", arguments.seed);
  const bool is_found = finding.verdict != Verdict::kUndecided;
  lines.Out() << "    " << VerdictName(finding.verdict) << ": " << finding.message
              << (is_found ? "\n    repeat (deterministic): " : "\n    repeat: ") << repeat << "\n";
  runs->push_back({{"variant", variant.name()},
                   {"scenario", scenario},
                   {"memory_model", arguments.model},
                   {"strategy", arguments.strategy},
                   {"verdict", VerdictName(finding.verdict)},
                   {is_found ? "message" : "reason", finding.message},
                   {"repeat", repeat}});
  return ExitCode(finding.verdict);
}

namespace {

// Of the drawn scene in which something was wrong, again: its schedule, shortened, and its token.
int TellDrawn(const Design& variant, const explore::SwarmResult& swarm,
              const ExploreArguments& arguments, ExploreLines& lines, Json* runs) {
  std::ostream& out = lines.Out();
  ExploreArguments of_it = arguments;
  of_it.deaths = static_cast<uint32_t>(swarm.found->scene.deaths);
  of_it.strategy = "random";
  of_it.schedules = explore::kSchedulesOfDrawnScene;
  of_it.budget_seconds = kNoBound;
  const std::string& scenario = swarm.found->scene.name;
  if (!swarm.found->finding.has_value()) {
    const int code = ExploreOne(variant, scenario, of_it, lines, runs);
    if (code != kExitPass) return code;
    (*runs).back()["verdict"] = VerdictName(Verdict::kUndecided);
    (*runs).back()["reason"] = kUnsteady;
    out << "    " << kUnsteady << "\n";
    return kExitUndecided;
  }
  return TellEnded(variant, scenario, of_it, *swarm.found->finding, lines, runs);
}

}  // namespace

// Many drawn scenes, as one.
int ExploreDrawn(const Design& variant, const ExploreArguments& arguments, ExploreLines& lines,
                 Json* runs) {
  const explore::SwarmResult swarm =
      explore::ExploreSwarm(variant, {.model = ChooseModel(arguments.model),
                                      .seed = arguments.seed,
                                      .schedules = arguments.schedules,
                                      .budget_seconds = arguments.budget_seconds,
                                      .processes = ProcessesOf(arguments),
                                      .interrupted = &is_interrupted});
  ExploreResult all;
  all.strategy = Strategy::kRandom;
  all.schedules = swarm.schedules;
  all.distinct_states = swarm.distinct_states;
  all.seconds = swarm.seconds;
  const Verdict verdict = swarm.found.has_value() ? Verdict::kViolation : VerdictOf(all);
  if (!arguments.quiet || verdict != Verdict::kPass) {
    lines.Scene(
        absl::StrCat(std::string(variant.name()), " ", std::string(kDrawnScenes)), arguments.model,
        verdict, swarm.found.has_value() ? "a finding" : VerdictName(verdict),
        absl::StrCat(CountOf(swarm.schedules, "schedule"), ", ", CountOf(swarm.scenes, "scene")));
  }
  int code = ExitCode(verdict);
  if (swarm.found.has_value()) {
    code = TellDrawn(variant, swarm, arguments, lines, runs);
  } else {
    runs->push_back(RunOf(variant, std::string(kDrawnScenes), arguments, all, verdict, ""));
  }
  runs->back()["schedules"] = swarm.schedules;
  runs->back()["deaths"] = swarm.deaths;
  runs->back()["scenes"] = swarm.scenes;
  return code;
}

int RepeatToken(const ExploreArguments& arguments) {
  std::ostream& out = LinesBeside(arguments.json);
  const std::optional<explore::Token> token = explore::ParseToken(arguments.token);
  const Design* design = token.has_value() ? FindDesign(token->variant) : nullptr;
  if (design == nullptr || !explore::WhyNotExplored(*design).empty()) {
    throw UsageError(
        "--token: it is none of this program's; one is as explore prints it after 'repeat', "
        "'cas_slots:put+get:sc:1:a134.b18'");
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
    out << explore::RenderTable(replayed.steps, scene->participants()) << "    "
        << VerdictName(replayed.finding.verdict) << ": " << replayed.finding.message << "\n";
    const bool passes = replayed.finding.verdict == Verdict::kPass;
    if (passes && arguments.shipped > 0 && token->model == MemoryModel::kSc) {
      out << "    " << InShipped(*design, token->scenario, *scene, token->schedule, limits) << "\n";
    }
    if (passes) continue;
    Json ignored;
    out << "    " << Confirm(*design, token->scenario, *scene, token->schedule, limits, &ignored)
        << "\n";
  }
  out << "failed " << CountOf(failed, "time") << " of " << arguments.times << "\n";
  return failed == 0 ? kExitPass : failed == arguments.times ? kExitFailed : kExitUndecided;
}

}  // namespace kill9

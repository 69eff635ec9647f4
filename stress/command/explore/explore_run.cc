// What kill9-explore does.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/ordering_score.h"
#include "harness/explore/search/shipped_program.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/explore/explore_arguments.h"
#include "stress/command/explore/explore_lines.h"
#include "stress/command/explore/explore_one.h"
#include "stress/command/explore/explore_units.h"
#include "stress/command/explore/scene_pool.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/closing_summary.h"

namespace kill9 {
namespace {

using explore::MemoryModel;
using explore::OrderingAnswer;

// Of the seconds of all, what the scenes with a name have where there are drawn ones, too.
constexpr double kShareOfNamed = 0.5;

std::string WordsOf(OrderingAnswer answer, const explore::WeakenedOrdering& one) {
  switch (answer) {
    case OrderingAnswer::kFound:
      return "found by " + one.scenario;
    case OrderingAnswer::kWronglySpare:
      return absl::StrCat("found by ", one.scenario,
                          ", though it is said to be spare: ", one.spare);
    case OrderingAnswer::kNeverWrong:
      return "never wrong";
    case OrderingAnswer::kAllowsNothing:
      return "not found: it never allowed more";
    case OrderingAnswer::kSpare:
      return "spare: " + one.spare;
    case OrderingAnswer::kMissed:
      return "not found";
  }
  return "";
}

// Not a test of the design: how much of its memory orders the explorer would miss.
int ScoreOrderingsOf(const Design& variant, const ExploreArguments& arguments, ExploreLines& lines,
                     Json* runs) {
  const auto scene = [&variant](const std::string& name) { return SceneOf(variant, name); };
  const std::vector<explore::WeakenedOrdering> all =
      explore::ScoreOrderings(ScenariosOf(variant, arguments.scenario, arguments), scene,
                              {.model = ChooseModel(arguments.model),
                               .deaths = static_cast<int>(arguments.deaths),
                               .budget_seconds = arguments.budget_seconds,
                               .schedules = arguments.schedules,
                               .seed = arguments.seed,
                               .place = arguments.place,
                               .design = std::string(variant.name()),
                               .interrupted = &is_interrupted});
  std::ostream& out = lines.Out();
  std::map<OrderingAnswer, size_t> count;
  Json list = Json::array();
  for (const explore::WeakenedOrdering& one : all) {
    const OrderingAnswer answer = explore::AnswerOf(one, ChooseModel(arguments.model));
    ++count[answer];
    out << absl::StrFormat(
        "%-52s %-13s %-8s -> %-8s %6.1f s %8d  %s\n", one.place,
        std::string(explore::NameOf(one.of)), std::string(explore::NameOf(one.from)),
        std::string(explore::NameOf(one.to)), one.seconds, one.schedules, WordsOf(answer, one));
    list.push_back({{"place", one.place},
                    {"operation", explore::NameOf(one.of)},
                    {"written", explore::NameOf(one.from)},
                    {"weakened", explore::NameOf(one.to)},
                    {"found", !one.scenario.empty()},
                    {"scenario", one.scenario},
                    {"message", one.message},
                    {"exhaustive", one.exhaustive},
                    {"spare", one.spare},
                    {"schedules", one.schedules},
                    {"novelties", one.novelties},
                    {"seconds", one.seconds}});
  }
  const size_t found = count[OrderingAnswer::kFound] + count[OrderingAnswer::kWronglySpare];
  const size_t matter = found + count[OrderingAnswer::kMissed];
  out << absl::StrFormat(
      "%s: of %d weaker memory orders %d never allow more, %d are never wrong, %d are spare; found "
      "%d of the %d that matter\n",
      std::string(variant.name()), all.size(), count[OrderingAnswer::kAllowsNothing],
      count[OrderingAnswer::kNeverWrong], count[OrderingAnswer::kSpare], found, matter);
  // Nothing was weakened: nothing was asked.
  const Verdict verdict = count[OrderingAnswer::kWronglySpare] > 0 ? Verdict::kViolation
                          : is_interrupted != 0                    ? Verdict::kUndecided
                          : all.empty()                            ? Verdict::kVacuous
                                                                   : Verdict::kPass;
  runs->push_back({{"variant", variant.name()},
                   {"scenario", arguments.scenario},
                   {"memory_model", arguments.model},
                   {"verdict", VerdictName(verdict)},
                   {"orderings", std::move(list)}});
  return ExitCode(verdict);
}

// What is asked for and not run is told.
int Skip(const Design& variant, const std::string& scenario, const std::string& reason,
         const ExploreArguments& arguments, ExploreLines& lines, Json* runs) {
  lines.Out() << lines.terminal().Broken(
                     absl::StrFormat("%-22s skipped: %s", std::string(variant.name()), reason))
              << "\n";
  runs->push_back({{"variant", variant.name()},
                   {"scenario", scenario},
                   {"memory_model", arguments.model},
                   {"verdict", VerdictName(Verdict::kSkipped)},
                   {"reason", reason}});
  return kExitPass;
}

// Not a test of the design: whether the explorer's is the shipped one.
int CompareOne(const Design& variant, const std::string& name, const ExploreArguments& arguments,
               ExploreLines& lines, Json* runs) {
  const std::unique_ptr<explore::Scene> scene = SceneOf(variant, name);
  if (const char* why = scene->why_not_shipped(); why != nullptr) {
    return Skip(variant, name, why, arguments, lines, runs);
  }
  const explore::ShippedScore score =
      explore::CompareWithShipped(std::string(variant.name()), name, *scene,
                                  {.deaths = static_cast<int>(arguments.deaths),
                                   .schedules = arguments.shipped,
                                   .seed = arguments.seed,
                                   .interrupted = &is_interrupted});
  const Verdict verdict = score.other > 0       ? Verdict::kViolation
                          : is_interrupted != 0 ? Verdict::kUndecided
                          : score.same == 0     ? Verdict::kVacuous
                                                : Verdict::kPass;
  lines.Scene(absl::StrCat(std::string(variant.name()), " ", name), "sc", verdict,
              VerdictName(verdict),
              absl::StrFormat("%d the same (%d moved), %d other, %d diverged", score.same,
                              score.moved, score.other, score.diverged));
  std::ostream& out = lines.Out();
  Json run = {{"variant", variant.name()},
              {"scenario", name},
              {"memory_model", "sc"},
              {"verdict", VerdictName(verdict)},
              {"schedules", arguments.shipped},
              {"same", score.same},
              {"other", score.other},
              {"diverged", score.diverged},
              {"deaths", score.deaths},
              {"instructions", score.instructions},
              {"moved", score.moved}};
  for (const auto& [why, diverged] : score.why_diverged) {
    out << absl::StrFormat("    %6d diverged: %s\n           %s\n", diverged.count, diverged.first,
                           RepeatLine(diverged.token));
    run["why_diverged"].push_back(
        {{"reason", why}, {"schedules", diverged.count}, {"token", diverged.token}});
  }
  if (score.other > 0) {
    run["token"] = score.token_of_other;
    run["message"] = score.first_other;
    out << "    " << score.first_other << "\n    " << RepeatLine(score.token_of_other) << "\n";
  }
  out << std::flush;
  runs->push_back(std::move(run));
  return ExitCode(verdict);
}

int RunUnit(const Unit& unit, const ExploreArguments& arguments, ExploreLines& lines, Json* runs) {
  if (const std::string why = explore::WhyNotExplored(*unit.variant); !why.empty()) {
    return Skip(*unit.variant, unit.scenario, why, arguments, lines, runs);
  }
  if (arguments.orderings) return ScoreOrderingsOf(*unit.variant, arguments, lines, runs);
  if (unit.is_drawn()) return ExploreDrawn(*unit.variant, arguments, lines, runs);
  if (arguments.shipped > 0)
    return CompareOne(*unit.variant, unit.scenario, arguments, lines, runs);
  return ExploreOne(*unit.variant, unit.scenario, arguments, lines, runs);
}

std::string TimeLeft(double seconds) {
  return seconds > 0 ? absl::StrFormat(", ~%.0f s left", seconds) : "";
}

// What all shards of a run have in common.
Json OptionsOf(const ExploreArguments& arguments) {
  return {{"model", arguments.model},         {"strategy", arguments.strategy},
          {"deaths", arguments.deaths},       {"preemptions", arguments.preemptions},
          {"schedules", arguments.schedules}, {"budget_seconds", arguments.budget_seconds},
          {"orderings", arguments.orderings}, {"place", arguments.place},
          {"shipped", arguments.shipped}};
}

// Those that have a name side by side, and then the drawn ones.
int ExploreUnits(const std::vector<Unit>& units, const ExploreArguments& arguments,
                 ExploreLines& lines, Json* result) {
  const auto began = std::chrono::steady_clock::now();
  int exit_code = kExitPass;
  bool any_explored = false;
  Json& runs = (*result)["runs"];
  auto drawn = std::count_if(units.begin(), units.end(), [](const Unit& one) {
    return one.is_drawn() && explore::WhyNotExplored(*one.variant).empty();
  });
  const double seconds_of_named = arguments.seconds * (drawn > 0 ? kShareOfNamed : 1);
  size_t begun = 0;
  const auto note_unit = [result](const Unit& unit, int code, Json* of_unit) {
    if (result->contains("shard")) of_unit->back()["unit"] = unit.name();
    return code;
  };
  ScenePool pool({.processes = ProcessesOf(arguments),
                  .fail_fast = arguments.fail_fast,
                  .lines = [&lines]() -> std::ostream& { return lines.Out(); }},
                 &runs, &exit_code);
  for (const Unit& unit : units) {
    // These have processes of their own.
    if (unit.is_drawn()) pool.Finish();
    const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - began;
    const bool is_late = arguments.seconds > 0 &&
                         gone.count() > (unit.is_drawn() ? arguments.seconds : seconds_of_named);
    if (is_interrupted != 0 || (arguments.fail_fast && exit_code == kExitFailed)) break;
    if (is_late && any_explored) continue;
    any_explored |= explore::WhyNotExplored(*unit.variant).empty();
    ExploreArguments of_it = arguments;
    // What time is left is divided among the designs.
    if (unit.is_drawn() && arguments.seconds > 0 && drawn > 0) {
      of_it.budget_seconds = std::max((arguments.seconds - gone.count()) / drawn--, 0.01);
    }
    const auto progress = [&] {
      lines.Progress(absl::StrFormat("[%d/%d%s] %s", ++begun, units.size(),
                                     TimeLeft(arguments.seconds - gone.count()), unit.name()));
    };
    if (unit.is_drawn()) {
      progress();
      const int code = RunUnit(unit, of_it, lines, &runs);
      exit_code = WorseExitCode(exit_code, note_unit(unit, code, &runs));
      continue;
    }
    const auto run = [&](Json* of_unit) {
      ExploreLines own(arguments.json);
      return note_unit(unit, RunUnit(unit, of_it, own, of_unit), of_unit);
    };
    // What it refers to outlives the pool.
    const auto ended = [&unit, &arguments, &lines, &note_unit](
                           Verdict verdict, const std::string& how, Json* of_unit) {
      lines.Scene(unit.name(), arguments.model, verdict, VerdictName(verdict), "");
      const int code =
          TellEnded(*unit.variant, unit.scenario, arguments, {verdict, how}, lines, of_unit);
      return note_unit(unit, code, of_unit);
    };
    pool.Begin(run, ended);
    progress();
  }
  pool.Finish();
  return exit_code;
}

}  // namespace

int RunExplore(const ExploreArguments& arguments) {
  if (!arguments.token.empty()) return RepeatToken(arguments);
  const MemoryModel model = ChooseModel(arguments.model);
  if (arguments.orderings && model != MemoryModel::kC11 && model != MemoryModel::kCompiler) {
    throw UsageError("--orderings: give --model=c11, or --model=compiler");
  }
  if (!arguments.place.empty() && !arguments.orderings) {
    throw UsageError("--place: give --orderings");
  }
  ChooseStrategy(arguments.strategy);
  Json result = NewResultOfDesigns("explore", arguments.seed);
  const std::vector<Unit> units = OwnUnits(arguments, &result);
  result["options"] = OptionsOf(arguments);
  NoteInterrupts();
  ExploreLines lines(arguments.json);
  int exit_code = ExploreUnits(units, arguments, lines, &result);
  const Json& runs = result["runs"];
  const bool all_skipped = std::all_of(runs.begin(), runs.end(), [](const Json& run) {
    return run["verdict"] == VerdictName(Verdict::kSkipped);
  });
  ClosingSummary summary;
  for (const Json& run : runs) {
    summary.Add(absl::StrCat(TextField(run, "variant"), " ", TextField(run, "scenario")),
                VerdictOf(run).value_or(Verdict::kUndecided),
                TextField(run, "message", TextField(run, "reason")));
  }
  if (!runs.empty()) {
    lines.Out() << "\n"
                << summary.Failures(lines.terminal()) << summary.Counts(lines.terminal(), "scene")
                << "\n"
                << std::flush;
  }
  result["interrupted"] = is_interrupted != 0;
  if (is_interrupted != 0) {
    lines.Out() << "interrupted: what is above was explored\n" << std::flush;
    exit_code = WorseExitCode(exit_code, kExitUndecided);
  }
  if (all_skipped) exit_code = WorseExitCode(exit_code, kExitUndecided);
  return WithResult("kill9 explore", result, arguments.json, exit_code);
}

}  // namespace kill9

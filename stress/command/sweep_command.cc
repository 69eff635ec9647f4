// kill9 sweep: kill a process at every machine instruction of an operation.
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/text/count_of.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/plugin/plugin.h"
#include "harness/report/results/shape_coverage.h"
#include "harness/result/verdict.h"
#include "harness/sweep/sweep.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/folders.h"
#include "stress/command/arguments/shards.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/replay/sweep_replay.h"
#include "stress/command/terminal/closing_summary.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {
namespace {

struct SweepArguments {
  std::string variant = "all", operation = "all", state = "all", second, shape, plan = "work_first",
              breakpoints = "first_that_works";
  std::string mode = "kill", shard, json, earlier;
  std::vector<uint32_t> at;
  sweep::SweepOptions options;
};

// What a sweep shows while it runs, and at its end; on standard error, which it leaves to people.
class SweepDisplay {
 public:
  // Of several lines the first one is broken.
  void Lines(const sweep::SweepText& lines) {
    live_.Clear();
    const size_t end = std::min(lines.text.find('\n'), lines.text.size());
    const std::string first = lines.text.substr(0, end);
    std::cerr << (lines.verdict.has_value()
                      ? terminal_.Broken(first, *lines.verdict, first.find(": "))
                      : terminal_.Broken(first))
              << lines.text.substr(end) << std::endl;
  }
  void Progress(const sweep::SweepProgress& state) {
    const std::string left =
        state.seconds_left < 0 ? "" : absl::StrFormat(", ~%.0f s left", state.seconds_left);
    live_.Show(absl::StrFormat("[%d/%d%s] %.1f s  %s  %s", state.done, state.cells, left,
                               state.seconds, CountOf(state.kills, "kill"),
                               state.found ? "found something" : "clean so far"));
  }
  void End(const Json& runs) {
    ClosingSummary summary;
    for (const Json& run : runs) {
      summary.Add(absl::StrJoin({TextField(run, "variant"), TextField(run, "operation"),
                                 TextField(run, "state")},
                                " "),
                  VerdictOf(run).value_or(Verdict::kUndecided), WhyOf(run));
    }
    if (runs.empty()) return;
    std::cerr << "\n"
              << summary.Failures(terminal_) << summary.Counts(terminal_, "cell") << std::endl;
  }

 private:
  static std::string WhyOf(const Json& run) {
    return run.contains("counterexample") ? TextField(run["counterexample"], "message")
                                          : TextField(run, "reason");
  }

  Terminal terminal_{2};
  LiveLine live_{std::cerr, terminal_};
};

std::vector<std::string> ChooseNames(std::string_view flag, const std::string& given,
                                     const std::vector<std::string>& names) {
  std::vector<Choice<std::string>> known;
  for (const std::string& name : names) known.push_back({name, name});
  return Choose(flag, given, known);
}
template <typename T>
std::vector<std::string> NamesOf(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.emplace_back(Name(static_cast<T>(i)));
  return names;
}
template <typename T>
std::vector<T> ChooseNamed(std::string_view flag, const std::string& given, int count) {
  std::vector<Choice<T>> known;
  for (int i = 0; i < count; ++i) {
    const auto value = static_cast<T>(i);
    known.push_back({std::string(Name(value)), value});
  }
  return Choose(flag, given, known);
}
template <typename T>
T OnlyOne(std::string_view flag, const std::string& given, const std::vector<T>& chosen) {
  if (chosen.size() == 1) return chosen.front();
  throw UsageError(absl::StrCat(std::string(flag), " takes one name, not '", given, "'"));
}
template <typename T>
T ChooseOne(std::string_view flag, const std::string& given, int count) {
  return OnlyOne(flag, given, ChooseNamed<T>(flag, given, count));
}

// What was named, and is in no cell, would not be swept: nobody shall take that for a pass.
template <size_t size>
void RefuseUnused(std::string_view flag, const std::string& given,
                  const std::vector<std::string>& chosen,
                  const std::vector<sweep::CellRequest>& cells,
                  char (sweep::CellRequest::*name)[size]) {
  if (given == "all" || given == "peers" || given == "baselines") return;
  for (const std::string& one : chosen) {
    if (absl::c_any_of(cells, [&](const auto& cell) { return cell.*name == one; })) continue;
    throw UsageError(
        absl::StrCat(std::string(flag), ": there is nothing to sweep for '", one,
                     "' with the other choices (docs/sweep.md tells what applies where)"));
  }
}

// A shape is a kind's: each kind that is swept must know it.
void ChooseShape(SweepArguments& arguments) {
  sweep::SweepOptions& options = arguments.options;
  if (arguments.shape.empty()) {
    options.samples_shapes = options.samples_modes && arguments.at.empty();
    return;
  }
  if (arguments.shape == "drawn" && !arguments.at.empty()) {
    throw UsageError("--shape=drawn and --at: a place is one of one shape");
  }
  options.shape = arguments.shape;
  for (const Design* variant : options.variants) {
    const absl::Status status = sweep::CheckSweepShape(*variant, arguments.shape);
    if (!status.ok()) throw UsageError("--shape: " + std::string(status.message()));
  }
}

// The second victim works on the same object as the first.
void RefuseSecond(const sweep::SweepOptions& options) {
  if (options.second.empty()) return;
  for (const Design* variant : options.variants) {
    const sweep::SweepDriver* driver = FindSweepDriver(variant->kind());
    if (driver == nullptr || sweep::IndexOf(driver->operations(), options.second)) continue;
    throw UsageError(absl::StrCat("--second: objects of the kind '", std::string(variant->kind()),
                                  "' have no operation '", options.second, "'"));
  }
}

void RefuseUnused(const SweepArguments& arguments) {
  const sweep::SweepOptions& options = arguments.options;
  sweep::SweepOptions whole = options;
  whole.cells = 0;
  const std::vector<sweep::CellRequest> cells = PlanCells(whole);
  using Request = sweep::CellRequest;
  std::vector<std::string> variants;
  for (const Design* variant : options.variants) variants.emplace_back(variant->name());
  RefuseUnused("--variant", arguments.variant, variants, cells, &Request::variant);
  RefuseUnused("--operation", arguments.operation, options.operations, cells, &Request::operation);
  RefuseUnused("--state", arguments.state, options.states, cells, &Request::state);
  // While a segment is created nobody else is there, who could be stopped, recovered or met.
  const bool only_create = absl::c_all_of(cells, [](const Request& cell) {
    return std::string_view(cell.operation) == sweep::kCreateName;
  });
  if (only_create && (options.stall || options.recovery || options.two_victims || options.resume ||
                      options.kill_after_resume || options.reuse || options.three_members)) {
    throw UsageError(
        "--stall, --recovery, --two-victims, --resume, --kill-after-resume, --reuse and "
        "--three-members say nothing of create");
  }
}

// Objects that nobody can step through are left out: their runs are skipped, with the reason.
Json TakeWhatIsNotSwept(sweep::SweepOptions& options) {
  Json skipped = Json::array();
  std::erase_if(options.variants, [&](const Design* design) {
    std::string why(design->why_not_stepped());
    if (why.empty()) why = WhyPluginIsNotSwept(*design);
    if (why.empty()) return false;
    std::cerr << design->name() << ": skipped: " << why << "\n";
    skipped.push_back({{"variant", design->name()},
                       {"scenario", "sweep"},
                       {"verdict", VerdictName(Verdict::kSkipped)},
                       {"reason", why}});
    return true;
  });
  return skipped;
}

int RunPlace(const SweepArguments& arguments) {
  const sweep::SweepOptions& options = arguments.options;
  ChooseOne<sweep::Mode>("--mode", arguments.mode, sweep::kModeCount);
  ChooseOne<sweep::Plan>("--plan", arguments.plan, sweep::kPlanCount);
  std::vector<sweep::CellRequest> requests = PlanCells(options);
  if (requests.size() != 1) {
    std::cerr << "kill9 sweep --at needs one --variant, one --operation and one --state\n";
    return kExitUsage;
  }
  Json run = {{"variant", requests[0].variant},
              {"operation", requests[0].operation},
              {"state", requests[0].state},
              {"shape", {{"text", requests[0].shape}}},
              {"counterexample",
               {{"mode", arguments.mode},
                {"plan", arguments.plan},
                {"second", requests[0].second},
                {"at", arguments.at}}}};
  return ReplaySweepRun(run, {.watchdog_seconds = options.watchdog_seconds});
}

// The interrupted sweep that goes on; null if none does.
Json EarlierResult(SweepArguments& arguments) {
  if (arguments.earlier.empty()) return nullptr;
  if (arguments.options.seconds > 0) {
    throw UsageError("--continue and --seconds: what ends by time is never finished");
  }
  const absl::StatusOr<Json> read = ReadJsonFile(arguments.earlier);
  if (!read.ok()) throw UsageError("--continue: " + std::string(read.status().message()));
  if (arguments.json.empty()) arguments.json = arguments.earlier;
  return *read;
}

// How it goes on, after Ctrl-C.
void SayHowToGoOn(const SweepArguments& arguments) {
  std::cerr << "interrupted: the cells above are what was swept\n";
  if (arguments.json.empty() || arguments.json == "-" || arguments.options.seconds > 0) {
    std::cerr << "(with --json=FILE it could go on from there: --continue=FILE)\n";
  } else {
    std::cerr << "to go on: the same options, and --continue=" << arguments.json
              << "; its kill coverage is told then\n";
  }
}

int RunSweepWith(SweepArguments& arguments) {
  sweep::SweepOptions& options = arguments.options;
  options.variants = ChooseDesigns(arguments.variant);
  const std::vector<std::string> operations = sweep::OperationNames();
  options.operations = ChooseNames("--operation", arguments.operation, operations);
  options.states = ChooseNames("--state", arguments.state, sweep::StateNames());
  if (!arguments.second.empty()) {
    options.second = OnlyOne("--second", arguments.second,
                             ChooseNames("--second", arguments.second, operations));
    const bool has_second = options.two_victims || options.reuse || options.three_members ||
                            arguments.mode == "two_victims" || arguments.mode == "reuse" ||
                            arguments.mode == "three_members";
    if (!has_second) {
      throw UsageError(
          "--second needs --two-victims, --reuse or --three-members: alone it would do nothing");
    }
  }
  options.breakpoints = ChooseOne<stepper::BreakpointChoice>("--breakpoints", arguments.breakpoints,
                                                             stepper::kBreakpointChoiceCount);
  options.samples_modes = !options.full && !options.two_victims && !options.stall &&
                          !options.recovery && !options.resume && !options.kill_after_resume &&
                          !options.reuse && !options.three_members;
  ChooseShape(arguments);
  RefuseUnused(arguments);
  RefuseSecond(options);
  options.shard = ChooseShard(arguments.shard);
  if (!options.shard.whole() && options.seconds > 0) {
    throw UsageError("--shard and --seconds: what ends by time is no part that others complete");
  }
  if (!options.coverage_directory.empty()) {
    const absl::Status made = MakeFolder(options.coverage_directory);
    if (!made.ok()) throw UsageError(absl::StrCat("--coverage: ", std::string(made.message())));
  }
  const Json earlier = EarlierResult(arguments);
  const Json skipped = TakeWhatIsNotSwept(options);
  if (!arguments.at.empty()) return RunPlace(arguments);
  NoteInterrupts();
  SweepDisplay display;
  absl::StatusOr<Json> result = NewResult("sweep", options.seed);
  (*result)["interrupted"] = false;
  if (!options.variants.empty()) {
    options.progress = [&display](const auto& state) { display.Progress(state); };
    result = RunSweep(
        options, &is_interrupted, [&display](const auto& lines) { display.Lines(lines); },
        earlier.is_null() ? nullptr : &earlier);
  }
  if (!result.ok()) {
    std::cerr << "kill9 sweep: "
              << (earlier.is_null() ? "" : absl::StrCat("--continue=", arguments.earlier, ": "))
              << result.status().message() << "\n";
    return kExitUsage;
  }
  for (const Json& run : skipped) (*result)["runs"].push_back(run);
  const bool cut_short = (*result)["interrupted"].get<bool>();
  if (cut_short) SayHowToGoOn(arguments);
  int exit_code = cut_short ? kExitUndecided : kExitPass;
  bool any_ran = false;
  for (const Json& run : (*result)["runs"]) {
    const Verdict verdict = VerdictOf(run).value_or(Verdict::kUndecided);
    any_ran = any_ran || verdict != Verdict::kSkipped;
    exit_code = WorseExitCode(exit_code, ExitCode(verdict));
  }
  if (!any_ran) exit_code = WorseExitCode(exit_code, kExitUndecided);
  const std::string shapes = report::ShapesSeenIn(*result);
  const bool tells_shapes = !shapes.empty() && !options.quiet && exit_code != kExitFailed;
  if (tells_shapes) display.Lines({shapes});
  if (!any_ran) std::cerr << "no cell was swept: that is no pass\n";
  display.End((*result)["runs"]);
  return WithResult("kill9 sweep", *result, arguments.json, exit_code);
}

// What is swept; --at is returned.
Option AddWhatIsSwept(Command& command, SweepArguments& arguments) {
  command.Group("What is swept");
  command.Add("--variant", arguments.variant, "names with commas, or all designs").ShowDefault();
  command.Add("--operation", arguments.operation, "names with commas, or all").ShowDefault();
  command.Add("--state", arguments.state, "starting states with commas, or all").ShowDefault();
  command.Add("--shape", arguments.shape,
              "of scenes: usual, drawn, or field=value,… (docs/sweep.md); default: one cell in "
              "four draws one");
  command.Group("One kill again");
  Option at = command.Add("--at", arguments.at, "at this instruction");
  at.SeparatedBy(',');
  command
      .Add("--mode", arguments.mode,
           "kill, recovery, two_victims, stall, resume, kill_after_resume, reuse, three_members")
      .ShowDefault()
      .Needs(at);
  command.Add("--plan", arguments.plan, "work_first, recover_first, look_first")
      .ShowDefault()
      .Needs(at);
  return at;
}

// What a whole sweep does besides killing once in each state; nothing of it with --at.
void AddModes(Command& command, SweepArguments& arguments, const Option& at) {
  sweep::SweepOptions& options = arguments.options;
  command.Group("How victims die");
  std::vector<Option> not_of_a_place = {
      command.AddFlag("--two-victims", options.two_victims, "kill two processes at once"),
      command.AddFlag("--stall", options.stall,
                      "stop, as well: whom does a stopped process block?"),
      command.AddFlag("--recovery", options.recovery,
                      "kill the recoverer, too, at every state it makes"),
      command.AddFlag("--resume", options.resume,
                      "stop before each access to the segment, let others work on, then go on"),
      command.AddFlag("--kill-after-resume", options.kill_after_resume,
                      "the same, and kill in each state that it comes to after it has gone on"),
      command.AddFlag("--reuse", options.reuse,
                      "stop the next owner of a dead one's slot, too, and let others work"),
      command.AddFlag("--three-members", options.three_members,
                      "stop two at once, let a third work, then let them go on, or kill them"),
      command.AddFlag("--full", options.full,
                      "kill at every instruction, not once in each distinct state"),
      command
          .Add("--sample", options.sample,
               "instructions of each cell killed at besides their state's")
          .ShowDefault(),
      command
          .Add("--pairs", options.pairs, "states of each cell paired with a second death (0: all)")
          .ShowDefault(),
  };
  command.Add("--second", arguments.second,
              "the second victim's operation, or (--reuse) the next owner's; default: of stores "
              "put_larger");
  command
      .Add("--breakpoints", arguments.breakpoints,
           "how victims are stopped: debug_registers, int3, single_steps")
      .ShowDefault();
  command.Group("How much of it");
  not_of_a_place.push_back(
      command
          .Add("--cells", options.cells, "a seeded sample of so many operations in states (0: all)")
          .ShowDefault());
  not_of_a_place.push_back(
      command
          .Add("--seconds", options.seconds,
               "cells in a seeded order, none of them begun later than this; default: no limit")
          .Positive());
  not_of_a_place.push_back(command.Add("--seed", options.seed, "of all samples").ShowDefault());
  command
      .Add("--failures", options.most_failures, "of a cell, in each mode, after which that is left")
      .Positive()
      .ShowDefault();
  not_of_a_place.push_back(
      command.AddFlag("--fail-fast", options.fail_fast, "begin no cell after one that failed"));
  not_of_a_place.push_back(command.Add("--shard", arguments.shard, kShardHelp));
  command.Add("--workers", options.workers, "0: one for each CPU").Between(0u, 1024u).ShowDefault();
  command.Add("--watchdog", options.watchdog_seconds, "seconds without progress that mean stuck")
      .Positive()
      .ShowDefault();
  for (Option& option : not_of_a_place) option.Excludes(at);
}

void AddWhatComesOfIt(Command& command, SweepArguments& arguments, const Option& at) {
  command.Group("What comes of it");
  command
      .Add("--coverage", arguments.options.coverage_directory,
           "a directory for pages of kill coverage")
      .Excludes(at);
  command.AddFlag("--quiet", arguments.options.quiet, "show what failed, and the summary")
      .Excludes(at);
  command.Add("--json", arguments.json, "result file; - for standard output").Excludes(at);
  command
      .Add("--continue", arguments.earlier,
           "the result of this sweep, interrupted (Ctrl-C): what it finished is not run again; the "
           "whole result is written there, unless --json says where")
      .Excludes(at);
}

}  // namespace

void AddSweepCommand(CommandLine& line) {
  Command command =
      line.Add("sweep", "kill a process at every machine instruction of an operation");
  auto arguments = std::make_shared<SweepArguments>();
  line.Offer("sweep operation", sweep::OperationNames());
  line.Offer("sweep state", sweep::StateNames());
  line.Offer("sweep second", sweep::OperationNames());
  line.Offer("sweep mode", NamesOf<sweep::Mode>(sweep::kModeCount));
  line.Offer("sweep plan", NamesOf<sweep::Plan>(sweep::kPlanCount));
  line.Offer("sweep breakpoints",
             NamesOf<stepper::BreakpointChoice>(stepper::kBreakpointChoiceCount));
  const Option at = AddWhatIsSwept(command, *arguments);
  AddModes(command, *arguments, at);
  AddWhatComesOfIt(command, *arguments, at);
  command.Example("--variant=cas_slots --operation=put_same --state=one_entry",
                  "one cell: one operation from one starting state");
  command.Example("--variant=all --stall --json=sweep.json",
                  "all of it, and whom a stopped one blocks");
  command.OnCall([arguments] { return RunSweepWith(*arguments); });
}

}  // namespace kill9

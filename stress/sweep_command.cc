// kill9 sweep: kill a process at every machine instruction of an operation.
#include <csignal>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "harness/sweep/sweep.h"
#include "harness/verdict.h"
#include "stress/choices.h"
#include "stress/commands.h"
#include "stress/sweep_replay.h"

namespace kill9 {
namespace {

volatile bool interrupted = false;

struct SweepArguments {
  std::string variant = "all", operation = "all", state = "all", second = "put_larger",
              plan = "work_first";
  std::string mode, json;
  std::vector<uint32_t> at;
  sweep::SweepOptions options;
};

// All that the sweep has a name for: operations, starting states.
template <typename T>
std::vector<T> ChooseNamed(std::string_view flag, const std::string& given, int count) {
  std::vector<Choice<T>> known;
  for (int i = 0; i < count; ++i) {
    const auto value = static_cast<T>(i);
    known.push_back({std::string(sweep::Name(value)), value});
  }
  return Choose(flag, given, known);
}
std::vector<sweep::OperationKind> ChooseOperations(std::string_view flag,
                                                   const std::string& given) {
  return ChooseNamed<sweep::OperationKind>(flag, given, sweep::kOperationCount);
}

int RunPlace(const SweepArguments& arguments) {
  const sweep::SweepOptions& options = arguments.options;
  std::vector<sweep::CellRequest> requests = PlanCells(options);
  if (requests.size() != 1) {
    std::cerr << "kill9 sweep --at needs one --variant, one --operation and one --state\n";
    return kExitUsage;
  }
  Json run = {{"variant", requests[0].variant},
              {"operation", sweep::Name(requests[0].operation)},
              {"state", sweep::Name(requests[0].state)},
              {"counterexample",
               {{"mode", arguments.mode.empty() ? "kill" : arguments.mode},
                {"plan", arguments.plan},
                {"second", arguments.second},
                {"at", arguments.at}}}};
  return ReplaySweepRun(run, {.watchdog_seconds = options.watchdog_seconds});
}

int Run(SweepArguments& arguments) {
  sweep::SweepOptions& options = arguments.options;
  options.variants = ChooseVariants(arguments.variant);
  options.operations = ChooseOperations("--operation", arguments.operation);
  options.states = ChooseNamed<sweep::StateKind>("--state", arguments.state, sweep::kStateCount);
  options.second = ChooseOperations("--second", arguments.second).at(0);
  if (!arguments.at.empty()) return RunPlace(arguments);
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  absl::StatusOr<Json> result = RunSweep(
      options, &interrupted, [](const std::string& line) { std::cerr << line << std::endl; });
  if (!result.ok()) {
    std::cerr << "kill9 sweep: " << result.status().message() << "\n";
    return kExitUsage;
  }
  const bool cut_short = (*result)["interrupted"].get<bool>();
  if (cut_short) std::cerr << "interrupted: the cells above are what was swept\n";
  int exit_code = cut_short || (*result)["runs"].empty() ? kExitUndecided : kExitPass;
  for (const Json& run : (*result)["runs"]) {
    const std::string verdict = run["verdict"];
    int of_run = verdict == "pass"                                ? kExitPass
                 : verdict == "undecided" || verdict == "vacuous" ? kExitUndecided
                                                                  : kExitFailed;
    exit_code = WorseExitCode(exit_code, of_run);
  }
  if (!arguments.json.empty()) {
    if (absl::Status status = WriteResult(*result, arguments.json); !status.ok()) {
      std::cerr << "kill9 sweep: " << status.message() << "\n";
      return kExitUsage;
    }
  }
  return exit_code;
}

}  // namespace

void AddSweepCommand(CLI::App& application, int& exit_code) {
  CLI::App* command = application.add_subcommand(
      "sweep", "kill a process at every machine instruction of an operation");
  auto arguments = std::make_shared<SweepArguments>();
  sweep::SweepOptions& options = arguments->options;
  command->add_option("--variant", arguments->variant, "names with commas, or all designs");
  command->add_option("--operation", arguments->operation, "names with commas, or all");
  command->add_option("--state", arguments->state, "starting states with commas, or all");
  command->add_flag("--stall", options.stall, "stop, as well: whom does a stopped process block?");
  command->add_flag("--recovery", options.recovery,
                    "kill the recoverer, too, at every state it makes");
  command->add_flag("--two-victims", options.two_victims, "kill two processes at once");
  command->add_flag("--resume", options.resume,
                    "stop before each access to the segment, let others work on, then go on");
  command->add_option("--second", arguments->second, "the second victim's operation");
  command->add_flag("--full", options.full,
                    "kill at every instruction, not once in each distinct state");
  command->add_option("--sample", options.sample,
                      "instructions of each cell killed at besides their state's");
  command->add_option("--pairs", options.pairs,
                      "states of each cell paired with a second death (0: all)");
  command
      ->add_option("--failures", options.most_failures,
                   "of a cell, in each mode, after which that is left")
      ->check(CLI::PositiveNumber);
  command->add_option("--cells", options.cells,
                      "a seeded sample of so many operations in states (0: all)");
  command
      ->add_option("--seconds", options.seconds,
                   "cells in a seeded order, none of them begun later than this")
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", options.seed, "of all samples");
  command
      ->add_option("--watchdog", options.watchdog_seconds,
                   "seconds without progress that mean stuck")
      ->check(CLI::PositiveNumber);
  command->add_option("--workers", options.workers, "0: one for each CPU");
  command->add_option("--coverage", options.coverage_directory,
                      "a directory for pages of kill coverage");
  command->add_option("--mode", arguments->mode,
                      "with --at: kill, recovery, two_victims, stall, resume");
  command->add_option("--plan", arguments->plan,
                      "with --at: work_first, recover_first, look_first");
  command->add_option("--at", arguments->at, "repeat one kill, at this instruction")
      ->delimiter(',');
  command->add_option("--json", arguments->json, "the result file");
  command->callback([arguments, &exit_code] { exit_code = Run(*arguments); });
}

}  // namespace kill9

// kill9 sweep: kill a process at every machine instruction of an operation.
#include <csignal>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "harness/sweep/sweep.h"
#include "harness/verdict.h"
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

template <typename T, typename Find>
std::vector<T> Parse(const std::string& text, const char* what, Find find) {
  std::vector<T> list;
  if (text == "all") return list;
  for (const auto& piece : absl::StrSplit(text, ',')) {
    std::string name(piece);
    auto found = find(name);
    if (!found) throw CLI::ValidationError(what, absl::StrCat("there is no '", name, "'"));
    list.push_back(*found);
  }
  return list;
}

std::vector<const Variant*> ParseVariants(const std::string& text) {
  auto find = [](const std::string& name) -> std::optional<const Variant*> {
    const Variant* variant = FindVariant(name);
    return variant == nullptr ? std::nullopt : std::optional(variant);
  };
  auto variants = Parse<const Variant*>(text, "--variant", find);
  if (!variants.empty()) return variants;
  for (const Variant* variant : AllVariants()) {
    if (variant->kind() == Variant::Kind::kDesign) variants.push_back(variant);
  }
  return variants;
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
  options.variants = ParseVariants(arguments.variant);
  options.operations =
      Parse<sweep::OperationKind>(arguments.operation, "--operation", sweep::FindOperation);
  options.states = Parse<sweep::StateKind>(arguments.state, "--state", sweep::FindState);
  options.second =
      Parse<sweep::OperationKind>(arguments.second, "--second", sweep::FindOperation).at(0);
  if (!arguments.at.empty()) return RunPlace(arguments);
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  absl::StatusOr<Json> result = RunSweep(
      options, &interrupted, [](const std::string& line) { std::cerr << line << std::endl; });
  if (!result.ok()) {
    std::cerr << "kill9 sweep: " << result.status().message() << "\n";
    return kExitUsage;
  }
  int exit_code = (*result)["runs"].empty() ? kExitUndecided : kExitPass;
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

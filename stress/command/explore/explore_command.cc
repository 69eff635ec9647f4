// kill9 explore: every interleaving of a few operations, and every death in them. The work is done
// by kill9-explore, a program beside this one: its designs are compiled for the explorer.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "harness/base/signals.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/shipped/replay.h"
#include "harness/explore/shipped/steps.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/shards.h"
#include "stress/command/commands.h"
#include "stress/command/explore/explore_arguments.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr const char* kMissing =
    "kill9-explore is not beside kill9: it was not built, or there was no clang to build it with "
    "(./dev explore builds it)";

int Skip(const ExploreArguments& arguments) {
  const std::vector<const Design*> designs = ChooseDesigns(arguments.variant);
  std::cerr << "kill9 explore: skipped: " << kMissing << "\n";
  Json result = NewResult("explore", arguments.seed);
  for (const Design* design : designs) {
    result["runs"].push_back({{"variant", design->name()},
                              {"scenario", arguments.scenario},
                              {"verdict", VerdictName(Verdict::kSkipped)},
                              {"reason", kMissing}});
  }
  // Nothing was run: that is no pass.
  return WithResult("kill9 explore", result, arguments.json, kExitUndecided);
}

// One line for each schedule of the file.
int ReplaySteps(const std::string& path) {
  std::ifstream file(path);
  uint64_t count = 0;
  while (const std::optional<explore::Steps> steps = explore::ReadSteps(file)) {
    const Design* design = FindDesign(steps->variant);
    if (design == nullptr || !explore::WhyNotExplored(*design).empty()) break;
    explore::Write(explore::ReplayInShipped(*design, *steps), std::cout);
    ++count;
  }
  std::cout << std::flush;
  return count > 0 ? kExitPass : kExitUsage;
}

}  // namespace

void AddExploreOptions(Command& command, ExploreArguments& arguments) {
  command.Group("What is explored");
  command.Add("--variant", arguments.variant, "names with commas, or all designs").ShowDefault();
  command.Add("--scenario", arguments.scenario,
              "operations of participants: put+get, put,get+erase@empty; pairs: every two "
              "operations; wider: three participants, closed channels; larger: too large to be "
              "exhausted; others: waits, terms; drawn: many scenes that follow from the seed; "
              "default: these five, for 40 seconds");
  command.Add("--model", arguments.model, "the memory model: sc, tso, c11 or compiler")
      .ShowDefault();
  command.Add("--deaths", arguments.deaths, "how many participants may die")
      .Between(0u, 3u)
      .ShowDefault();
  command
      .Add("--preemptions", arguments.preemptions,
           "at most so many switches away from who could go on; -1: any number")
      .Between(-1, 16)
      .ShowDefault();
  command.AddFlag(
      "--orderings", arguments.orderings,
      "with --model=c11 or compiler: weaken each memory order by one step, one at a time, and "
      "say which are found to matter in --budget seconds each");
  command.Add("--place", arguments.place,
              "with --orderings: only orders at a place whose name contains it");
  command.Add("--shipped", arguments.shipped,
              "lead the shipped program through so many random schedules of each scene: the same "
              "answers, the same bytes");
  command.Group("How much of it");
  command
      .Add("--strategy", arguments.strategy,
           "auto, exhaustive or random: auto goes on at random where half of the budget was not "
           "enough for all")
      .ShowDefault();
  command.Add("--budget", arguments.budget_seconds, "seconds for each scenario; default: 10, or 1")
      .Positive();
  command
      .Add("--seconds", arguments.seconds,
           "all scenarios in a seeded order, none of them begun later than this; default: no limit")
      .Positive();
  command
      .Add("--schedules", arguments.schedules,
           "at most so many in each scenario (0: as the budget says)")
      .ShowDefault();
  command.Add("--seed", arguments.seed, "of random schedules, and of the order of --seconds")
      .ShowDefault();
  command.AddFlag("--fail-fast", arguments.fail_fast, "end after the first scene that fails");
  command.Add("--jobs", arguments.jobs,
              "scenes explored at a time; default: as many as there are processors");
  command.Add("--shard", arguments.shard, kShardHelp);
  command.Group("One schedule again");
  command.Add("--token", arguments.token, "repeat this schedule, and nothing else");
  command.Add("--times", arguments.times, "how often").Positive().ShowDefault();
  command.Add("--steps", arguments.steps,
              "what kill9-explore asks kill9 with: a file of schedules, step by step");
  command.Group("What comes of it");
  command.AddFlag("--quiet", arguments.quiet, "show what failed, and the summary");
  command.Add("--json", arguments.json, "result file; - for standard output");
  command.Example("--variant=cas_slots --scenario=put+get --deaths=1",
                  "every interleaving of two operations with every death of one participant");
  command.Example("--token=TOKEN --times=10", "a finding again, as its token tells it");
}

void SetDefaults(ExploreArguments& arguments) {
  constexpr double kSecondsOfAll = 40, kSecondsOfEach = 1, kSecondsOfOne = 10;
  const bool explores_all = arguments.scenario.empty() && !arguments.orderings;
  if (arguments.scenario.empty()) {
    arguments.scenario = explores_all ? "pairs others wider larger drawn" : "put+get";
  }
  const bool has_bound = arguments.seconds != 0 || !arguments.shard.empty();
  if (explores_all && !has_bound) arguments.seconds = kSecondsOfAll;
  if (arguments.budget_seconds == 0) {
    arguments.budget_seconds = explores_all ? kSecondsOfEach : kSecondsOfOne;
  }
}

void AddExploreCommand(CommandLine& line, char** argv) {
  Command command =
      line.Add("explore", "every interleaving of a few operations, and every death in them");
  auto arguments = std::make_shared<ExploreArguments>();
  AddExploreOptions(command, *arguments);
  command.OnCall([arguments, argv] {
    if (!arguments->steps.empty()) return ReplaySteps(arguments->steps);
    SetDefaults(*arguments);
    std::error_code ignored;
    const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", ignored);
    const std::string program = own.parent_path() / "kill9-explore";
    if (access(program.c_str(), X_OK) != 0) return Skip(*arguments);
    HoldInterrupts();
    execv(program.c_str(), argv);
    std::cerr << "kill9 explore: cannot run '" << program << "'\n";
    return kExitUsage;
  });
}

}  // namespace kill9

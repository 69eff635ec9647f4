#include "stress/command/torture/torture_options.h"

#include <string>
#include <utility>
#include <vector>

#include "harness/kinds/kinds.h"
#include "harness/torture/driver.h"
#include "harness/torture/scenario.h"
#include "harness/torture/supervisor/supervisor.h"
#include "stress/command/arguments/shards.h"

namespace kill9 {
namespace {

Option AddContinue(Command& command, TortureFlags& flags) {
  return command.Add("--continue", flags.earlier,
                     "the result of this run, interrupted (Ctrl-C): what it finished is not run "
                     "again; the whole result is written there, unless --json says where");
}

// When workers die, and whether they pause; --without-pauses is returned.
Option AddDisturbances(Command& command, TortureFlags& flags) {
  command
      .Add("--life", flags.life_us,
           "microseconds that a worker works before its kill timer goes off, on average; "
           "default: the scenario's")
      .Between(10u, 100'000'000u);
  return command.AddFlag("--without-pauses", flags.without_pauses,
                         "no worker pauses at random instructions inside of operations");
}

// What a shell offers for these options.
void OfferNames(CommandLine& line) {
  std::vector<std::string> scenarios = {"all"}, workloads;
  for (const Scenario& one : AllScenarios()) scenarios.emplace_back(one.name);
  for (const TortureDriver* driver : AllTortureDrivers()) {
    for (const std::string_view name : driver->workloads()) workloads.emplace_back(name);
  }
  line.Offer("torture scenario", std::move(scenarios));
  line.Offer("torture workload", std::move(workloads));
}

}  // namespace

TortureCommandLine AddTorture(CommandLine& line, TortureFlags& flags, ProgramFlags& programs) {
  OfferNames(line);
  Command command = line.Add(
      "torture",
      "kill real processes at random while others go on, and check what the survivors see");
  command.Group("What is run");
  const Option design =
      command
          .Add("--variant", flags.variant,
               "all (the designs), baselines, peers, or names with commas between")
          .ShowDefault();
  const Option scenario =
      command.Add("--scenario", flags.scenario, "all, or names with commas between").ShowDefault();
  const Option workload = command.Add("--workload", flags.workload,
                                      "instead of the scenario's own: ycsb-a, mixed, ...");
  const Option shape =
      command
          .Add("--shape", flags.shape,
               "of the run: drawn from the seed; usual, the scenario's own; or key=value with "
               "commas between, as a run prints it")
          .ShowDefault();
  command.Group("How much of it");
  command
      .Add("--seconds", flags.seconds,
           "of each scenario of each variant; default: 10, less if there are many")
      .Between(0.05, 1e6);
  const Option rounds =
      command
          .Add("--rounds", flags.rounds,
               "so many runs of each, with the seeds that follow; default: 1, more if there are "
               "few")
          .Between(uint64_t{1}, uint64_t{1'000'000'000});
  const Option shard = command.Add("--shard", flags.shard, kShardHelp);
  command.Add("--processes", flags.processes, "workers").Between(1u, kMaxWorkers - 2).ShowDefault();
  command.Group("How");
  command.Add("--seed", flags.seed, "of everything random; default: drawn and printed");
  command.Add("--kills", flags.kills, "end a run after so many kills, if that comes first");
  const Option without_pauses = AddDisturbances(command, flags);
  command
      .Add("--watchdog", flags.watchdog_seconds,
           "seconds without progress after which a survivor is stuck")
      .Between(0.1, 1e4)
      .ShowDefault();
  command.Group("What comes of it");
  command
      .Add("--counterexamples", flags.counterexamples,
           "folder for the files that explain a violation (HTML, Perfetto trace, EDN); default: "
           "kill9-out/TIME, made if something is found, where kill9 replay takes it up")
      .ExistingFolder();
  command.AddFlag("--fail-fast", flags.fail_fast, "end after the first run that fails");
  command.AddFlag("--quiet", flags.quiet, "show what failed, and the summary");
  command.Add("--json", flags.json, "result file; - for standard output");
  const Option earlier = AddContinue(command, flags);
  command.Example("", "every design in every scenario, some minutes");
  command.Example("--variant=cas_slots --scenario=kill_recoverer --seconds=60",
                  "one design in one scenario, for a minute");
  command.Example("--variant=robust_unrepaired --fail-fast",
                  "how a failure looks: this baseline repairs nothing");
  command.Example("--worker='python3 worker.py' --model=map",
                  "a program of your own, in any language (docs/bring_your_own.md)");
  TortureCommandLine torture{
      command, {scenario, workload, rounds, shard, earlier, without_pauses}, {}};
  std::vector<Option> excluded = torture.of_designs;
  excluded.insert(excluded.end(), {design, shape});
  torture.of_programs = AddProgramOptions(command, programs, excluded);
  torture.of_programs.push_back(AddKillAt(command, programs));
  return torture;
}

}  // namespace kill9

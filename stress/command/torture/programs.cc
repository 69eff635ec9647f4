#include "stress/command/torture/programs.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/programs/process/launch.h"
#include "harness/programs/programs.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/torture/display.h"
#include "stress/command/torture/findings.h"

namespace kill9 {
namespace {

constexpr double kProgramSeconds = 10;

}  // namespace

programs::ProgramOptions OptionsOf(const ProgramFlags& flags, const ProgramRun& run) {
  programs::ProgramOptions options;
  for (const std::string& line : flags.workers) options.programs.push_back({line, false});
  for (const std::string& line : flags.fork_servers) options.programs.push_back({line, true});
  for (const programs::ProgramCommand& program : options.programs) {
    const auto words = programs::SplitCommand(program.line);
    if (!words.ok()) throw UsageError("--worker: " + std::string(words.status().message()));
  }
  options.name = flags.name;
  options.workload = {
      .model = flags.model, .keys = flags.keys, .numbers = flags.values == "numbers"};
  options.kill_at =
      flags.kill_at == "syscalls" ? programs::KillAt::kSystemCalls : programs::KillAt::kRandom;
  options.processes = std::max(
      run.processes,
      static_cast<uint32_t>(std::min<size_t>(options.programs.size(), programs::kMostProcesses)));
  options.seconds = run.seconds != 0 ? run.seconds : kProgramSeconds;
  options.kills = run.kills;
  options.life_us = run.life_us;
  options.watchdog_us = static_cast<uint64_t>(run.watchdog_seconds * 1e6);
  options.seed = run.seed != 0 ? run.seed : std::random_device{}() | 1;
  options.isolated = !flags.shared;
  return options;
}

void ShowWhatIsKept(const Json& run) {
  if (run.contains("history")) {
    const std::string history = run["history"].get<std::string>();
    std::cerr << "    the history: " << history
              << "; kill9 check --model=" << run["model"].get<std::string>() << " " << history
              << "\n";
  }
  if (!run.contains("stderr_files")) return;
  for (const Json& file : run["stderr_files"]) {
    std::cerr << "    what they said: " << file.get<std::string>() << "\n";
  }
}

std::vector<Option> AddProgramOptions(Command& command, ProgramFlags& flags,
                                      const std::vector<Option>& of_designs) {
  command.Group("Your own programs (docs/bring_your_own.md)");
  Option worker =
      command
          .Add("--worker", flags.workers,
               "instead of a design: a command line that speaks the worker protocol, lines of JSON "
               "on standard input and output; given several times, participants have them by turns")
          .Each();
  Option fork_server =
      command
          .Add("--fork-server", flags.fork_servers,
               "the same, where what is shared is inherited by fork: the program serves the socket "
               "that is its descriptor 3, and forks a child for each connection")
          .Each();
  for (const Option& one : of_designs) {
    worker.Excludes(one);
    fork_server.Excludes(one);
  }
  return {
      command.Add("--model", flags.model, "what the programs share")
          .OneOf(programs::Workload::Models())
          .ShowDefault(),
      command.Add("--values", flags.values, "texts of all sizes, or numbers")
          .OneOf({"texts", "numbers"})
          .ShowDefault(),
      command.Add("--keys", flags.keys, "so many; default: the model's").Between(1u, 100'000u),
      command.AddFlag("--shared", flags.shared,
                      "programs see this machine's /dev/shm, /tmp and PIDs, and no private ones")};
}

void RefuseWithoutPrograms(const std::vector<Option>& of_programs) {
  for (const Option& option : of_programs) {
    if (!option.IsGiven()) continue;
    throw UsageError(option.name() + " is of programs of your own: --worker or --fork-server " +
                     "says which");
  }
}

Option AddKillAt(Command& command, ProgramFlags& flags) {
  return command
      .Add("--kill-at", flags.kill_at,
           "where in a call victims die: at a random moment of it, or at one of its system calls "
           "(by ptrace)")
      .OneOf({"random", "syscalls"})
      .ShowDefault();
}

int RunPrograms(const ProgramFlags& flags, const ProgramRun& run, const volatile int& interrupted) {
  programs::ProgramOptions options = OptionsOf(flags, run);
  const Findings findings;
  const bool keep = run.counterexamples.empty();
  options.counterexamples = keep ? findings.folder() : run.counterexamples;
  Display display({.to_errors = run.json == "-", .quiet = run.quiet});
  Json result = NewResult("torture", options.seed);
  const std::string name = programs::NameOf(options);
  display.Line(absl::StrFormat("seed %d; %g s; %s; model %s", options.seed, options.seconds,
                               CountOf(options.processes, "participant"), options.workload.model));
  TortureResult done = programs::TorturePrograms(options, [&](const TortureProgress& state) {
    display.Progress(name, state);
    return interrupted == 0;
  });
  // What does not begin has no verdict, but a reason.
  if (done.machine_refused) {
    display.Line("kill9 torture: " + done.reason);
  } else {
    display.Done(name, done);
  }
  if (const std::string shared = TextField(done.run, "shared_with_the_machine"); !shared.empty()) {
    display.Line("    not private: " + shared);
  }
  int exit_code = done.machine_refused ? kExitUsage : ExitCode(done.verdict);
  if (done.verdict == Verdict::kSkipped) {
    display.Line("nothing was run: that is no pass");
    exit_code = kExitUndecided;
  }
  ShowWhatIsKept(done.run);
  result["interrupted"] = interrupted != 0;
  result["runs"].push_back(std::move(done.run));
  const std::string kept = keep && exit_code == kExitFailed ? findings.KeptIn(result) : "";
  if (!kept.empty()) display.Line("kept in " + kept);
  return WithResult("kill9 torture", result, run.json, exit_code);
}

}  // namespace kill9

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

void Ask(const ObjectWorker& worker, ProgramFlags* flags) {
  flags->name = worker.name;
  flags->fork_servers = {worker.fork_server};
  flags->model = worker.workload.model;
  if (worker.workload.numbers) flags->values = "numbers";
}

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

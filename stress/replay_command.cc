// kill9 replay: repeat the failures of a result file.
//
// A failure of the sweep is repeated exactly, and can be stopped at under gdb. One of another tier
// has a `repeat` line, the command that gave it: that is run again, with what it says about being
// deterministic.
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "harness/result.h"
#include "harness/sweep/sweep.h"
#include "harness/sweep/symbols.h"
#include "harness/verdict.h"
#include "stress/commands.h"
#include "stress/sweep_replay.h"

namespace kill9 {
namespace {

// The process numbers that a worker's victim has out here: it is the child of the worker's child
// that stands still.
pid_t OuterPid(pid_t worker) {
  auto children = [](pid_t pid) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
    std::vector<pid_t> found;
    for (pid_t child = 0; file >> child;) found.push_back(child);
    return found;
  };
  for (pid_t cell : children(worker)) {
    for (pid_t victim : children(cell)) {
      std::ifstream file(absl::StrCat("/proc/", victim, "/stat"));
      std::string text((std::istreambuf_iterator<char>(file)), {});
      size_t name_ends = text.rfind(')');
      if (name_ends != std::string::npos && text.size() > name_ends + 2 &&
          text[name_ends + 2] == 'T') {
        return victim;
      }
    }
  }
  return 0;
}

int Debug(const sweep::CellRequest& request) {
  absl::StatusOr<pid_t> stopped = sweep::StopForDebugger(request, [](pid_t worker) {
    pid_t victim = OuterPid(worker);
    if (victim == 0) {
      std::cerr << "kill9 replay: the victim is gone\n";
      return;
    }
    std::cerr << "The victim stands right before the instruction, as process " << victim << ".\n";
    const std::string pid = std::to_string(victim);
    pid_t gdb = fork();
    if (gdb == 0) {
      execlp("gdb", "gdb", "-q", "-p", pid.c_str(), static_cast<char*>(nullptr));
      std::cerr << "gdb cannot be started; attach with: gdb -p " << pid
                << "\nEnd of input ends this.\n";
      char byte = 0;
      while (read(STDIN_FILENO, &byte, 1) > 0) {
      }
      _exit(0);
    }
    waitpid(gdb, nullptr, 0);
  });
  if (stopped.ok()) return kExitPass;
  std::cerr << "kill9 replay: " << stopped.status().message() << "\n";
  return kExitUsage;
}

// Runs the line as the command that it is, up to its comment, with this very program as `kill9`.
int RunLine(const std::string& line) {
  std::vector<std::string> words =
      absl::StrSplit(line.substr(0, line.find(" #")), ' ', absl::SkipEmpty());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = fork();
  if (child == 0) {
    execv("/proc/self/exe", arguments.data());
    _exit(kExitUsage);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return kExitUsage;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailed;
}

// Every run of torture has its line; only what failed is repeated.
bool Failed(const Json& run) {
  const std::string verdict = run.value("verdict", "");
  return verdict != "pass" && verdict != "skipped";
}

bool IsSweepRun(const Json& run) {
  return run.contains("counterexample") && run["counterexample"].is_object() &&
         run["counterexample"].value("kind", "") == "sweep";
}

int Replay(const std::string& path, const SweepReplayOptions& options) {
  std::ifstream file(path);
  Json result = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!file || !result.is_object() || result.value("schema", "") != "kill9/1" ||
      !result.contains("runs") || !result["runs"].is_array()) {
    std::cerr << "kill9 replay: '" << path << "' is no result file of kill9\n";
    return kExitUsage;
  }
  int exit_code = kExitPass;
  int repeated = 0;
  for (const Json& run : result["runs"]) {
    if (!Failed(run)) continue;
    if (IsSweepRun(run)) {
      ++repeated;
      exit_code = WorseExitCode(exit_code, ReplaySweepRun(run, options));
    } else if (run.contains("repeat") && run["repeat"].is_string()) {
      ++repeated;
      std::string line = run["repeat"];
      std::cerr << "repeating (best effort, unless the line says otherwise): " << line << std::endl;
      for (uint32_t n = 0; n < options.times; ++n) {
        exit_code = WorseExitCode(exit_code, RunLine(line));
      }
    }
    if (options.debugger && repeated > 0) break;
  }
  if (repeated == 0) {
    std::cerr << "kill9 replay: no run of '" << path << "' failed\n";
    return kExitPass;
  }
  return exit_code;
}

}  // namespace

int ReplaySweepRun(const Json& run, const SweepReplayOptions& options) {
  absl::StatusOr<sweep::CellRequest> request = sweep::RequestOf(run);
  if (!request.ok()) {
    std::cerr << "kill9 replay: " << request.status().message() << "\n";
    return kExitUsage;
  }
  request->replay = request->place.at[0] != sweep::kNowhere;
  request->times = options.times;
  request->most_failures = options.times + 1;
  request->watchdog_seconds = options.watchdog_seconds;
  if (options.debugger) return Debug(*request);
  int exit_code = kExitUsage;
  absl::Status status = sweep::RunCells(
      {*request}, 1, nullptr, [&](const sweep::CellRequest&, sweep::CellArea& area, pid_t worker) {
        const sweep::CellResult& found = area.result;
        std::cerr << sweep::RepeatLine(*request, request->place) << "\n";
        if (found.failures > 0) {
          const sweep::Failure& failure = found.failure[0];
          if (failure.address != 0) {
            std::cerr << "  before " << sweep::Symbols(worker).Describe(failure.address) << "\n";
          }
          std::cerr << "  " << VerdictName(failure.verdict) << ": " << failure.message << "\n";
        }
        if (found.error[0] != '\0') std::cerr << "  " << found.error << "\n";
        std::cerr << "  failed " << found.replayed_alike << " times of " << found.replayed << "\n";
        exit_code = found.failures == 0 && found.error[0] == '\0' ? kExitPass
                    : found.replayed_alike == found.replayed      ? kExitFailed
                                                                  : kExitUndecided;
        // What was not repeated as often as asked for has not passed.
        const bool cut_short = request->replay && found.replayed < request->times;
        if (found.failures == 0 && (cut_short || found.error[0] != '\0'))
          exit_code = kExitUndecided;
      });
  if (status.ok()) return exit_code;
  std::cerr << "kill9 replay: " << status.message() << "\n";
  return kExitUsage;
}

void AddReplayCommand(CLI::App& application, int& exit_code) {
  CLI::App* command = application.add_subcommand("replay", "repeat the failures of a result file");
  auto path = std::make_shared<std::string>();
  auto options = std::make_shared<SweepReplayOptions>();
  command->add_option("file", *path, "a result file")->required();
  command->add_option("--times", options->times, "how often")->check(CLI::PositiveNumber);
  command->add_flag("--gdb", options->debugger, "stop at the first failure of a sweep, under gdb");
  command->callback([path, options, &exit_code] { exit_code = Replay(*path, *options); });
}

}  // namespace kill9

#include "stress/command/replay/sweep_replay.h"

#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/text/count_of.h"
#include "harness/result/verdict.h"
#include "harness/result/waiting.h"
#include "harness/stepper/trace/backtrace.h"
#include "harness/stepper/trace/symbols.h"
#include "harness/sweep/look.h"
#include "harness/sweep/sweep.h"
#include "stress/command/terminal/terminal.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

int Debug(const sweep::CellRequest& request) {
  absl::StatusOr<pid_t> stopped = sweep::StopForDebugger(request, [](pid_t worker) {
    pid_t victim = sweep::StandingProcess(worker);
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

}  // namespace

std::vector<stepper::StackFrame> FramesOfTheVictim(const sweep::CellRequest& request) {
  std::vector<stepper::StackFrame> frames;
  const absl::StatusOr<pid_t> stopped = sweep::StopForDebugger(request, [&frames](pid_t worker) {
    if (const pid_t victim = sweep::StandingProcess(worker); victim != 0)
      frames = stepper::Backtrace(victim);
  });
  if (!stopped.ok()) frames.clear();
  return frames;
}

int ReplaySweepRun(const Json& run, const SweepReplayOptions& options) {
  absl::StatusOr<sweep::CellRequest> request = sweep::RequestOf(run);
  if (!request.ok()) {
    std::cerr << "kill9 replay: " << request.status().message() << "\n";
    return kExitUsage;
  }
  if (FindDesign(request->variant) == nullptr) {
    std::cerr << "kill9 replay: there is no variant '" << request->variant << "' here\n";
    return kExitUsage;
  }
  request->replay = request->place.at[0] != sweep::kNowhere;
  request->times = options.times;
  request->most_failures = options.times + 1;
  request->watchdog_seconds = options.watchdog_seconds;
  if (options.debugger) return Debug(*request);
  const Terminal terminal(2);
  int exit_code = kExitUsage;
  bool failed = false;
  absl::Status status = sweep::RunCells(
      {*request}, 1, nullptr, [&](const sweep::CellRequest&, sweep::CellArea& area, pid_t worker) {
        const sweep::CellResult& found = area.result;
        failed = found.failures > 0;
        std::cerr << sweep::RepeatLine(*request, request->place) << "\n";
        if (found.failures > 0) {
          const sweep::Failure& failure = found.failure[0];
          if (failure.address != 0) {
            std::cerr << terminal.Broken("  before " +
                                         stepper::Symbols(worker).Describe(failure.address))
                      << "\n";
          }
          std::cerr << terminal.Broken(absl::StrCat("  ", std::string(VerdictName(failure.verdict)),
                                                    ": ", failure.message))
                    << "\n"
                    << failure.window
                    << terminal.Broken(DescribeWaiting(sweep::RunOf(*request, found)));
        }
        if (found.error[0] != '\0') std::cerr << "  " << found.error << "\n";
        std::cerr << "  failed " << CountOf(found.replayed_alike, "time") << " of "
                  << found.replayed << "\n";
        exit_code = found.failures == 0 && found.error[0] == '\0' ? kExitPass
                    : found.replayed_alike == found.replayed      ? kExitFailed
                                                                  : kExitUndecided;
        // What was not repeated as often as asked for has not passed.
        const bool cut_short = request->replay && found.replayed < request->times;
        if (found.failures == 0 && (cut_short || found.error[0] != '\0'))
          exit_code = kExitUndecided;
      });
  if (status.ok() && failed && request->replay) {
    const std::vector<stepper::StackFrame> frames = FramesOfTheVictim(*request);
    if (!frames.empty()) {
      std::cerr << "  where the victim stands:\n" << terminal.Broken(stepper::RenderStack(frames));
    }
  }
  if (status.ok()) return exit_code;
  std::cerr << "kill9 replay: " << status.message() << "\n";
  return kExitUsage;
}

}  // namespace kill9

#include "stress/command/main.h"

#include <iostream>
#include <optional>

#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/sweep/worker.h"
#include "stress/command/commands.h"

namespace kill9 {

int Main(int argc, char** argv, const Own& own) {
  ResetSignals();
  if (absl::Status status = RegisterOwn(own); !status.ok()) {
    std::cerr << "kill9: " << status.message() << "\n";
    return kExitUsage;
  }
  if (std::optional<int> done = sweep::RunIfWorker(argc, argv)) return *done;
  SetCommandLine(argc, argv);
  SetBuildCommit(kBuildCommit);
  CommandLine line("kill9: what happens to the others when one process is killed, anywhere?",
                   VersionLine("kill9"));
  AddCheckCommand(line);
  AddListCommand(line);
  AddTortureCommand(line);
  AddSweepCommand(line);
  AddExploreCommand(line, argv);
  AddReplayCommand(line);
  AddPlantedCommand(line);
  AddGateCommand(line);
  AddReportCommand(line);
  AddMergeCommand(line);
  const int exit_code = line.Run(argc, argv);
  // An answer that did not arrive is none.
  if (absl::Status status = FinishStandardOutput(); !status.ok()) {
    std::cerr << "kill9: " << status.message() << "\n";
    return kExitUsage;
  }
  return exit_code;
}

}  // namespace kill9

// kill9-explore: what kill9 explore runs.
#include <memory>

#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/command/explore/explore_arguments.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/terminal.h"

int main(int argc, char** argv) {
  kill9::EndOnInterrupts();
  kill9::ResetSignals();
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  kill9::CommandLine line("kill9-explore: what kill9 explore runs",
                          kill9::VersionLine("kill9-explore"), kill9::Terminal(1).columns());
  kill9::Command command =
      line.Add("explore", "every interleaving of a few operations, and every death in them");
  auto arguments = std::make_shared<kill9::ExploreArguments>();
  kill9::AddExploreOptions(command, *arguments);
  command.OnCall([arguments] {
    kill9::SetDefaults(*arguments);
    return kill9::RunExplore(*arguments);
  });
  return line.Run(argc, argv);
}

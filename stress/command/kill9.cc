// The kill9 command: see ./kill9 --help, and DESIGN section 7.
#include <exception>
#include <iostream>
#include <optional>
#include <utility>

#include "harness/base/signals.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/sweep/worker.h"
#include "stress/command/commands.h"
#include "stress/command/options.h"

namespace kill9 {
namespace {

int Run(int argc, char** argv) {
  CLI::App application{"kill9: what happens to the others when one process is killed, anywhere?"};
  application.set_version_flag("--version", "kill9 " KILL9_VERSION);
  application.require_subcommand(1);
  int exit_code = kExitPass;
  AddCheckCommand(application, exit_code);
  AddListCommand(application, exit_code);
  AddTortureCommand(application, exit_code);
  AddSweepCommand(application, exit_code);
  AddReplayCommand(application, exit_code);
  AddPlantedCommand(application, exit_code);
  AddGateCommand(application, exit_code);
  AddReportCommand(application, exit_code);
  CheckOptionsOfAll(application);
  const auto is_asked_for = [&](const CLI::App* one) { return one->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' &&
      std::as_const(application).get_subcommands(is_asked_for).empty()) {
    std::cerr << "kill9: there is no command '" << argv[1] << "'; kill9 --help lists them\n";
    return kExitUsage;
  }
  try {
    application.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return application.exit(error) == 0 ? kExitPass : kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << "kill9: " << error.what() << "\n";
    return kExitUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::ResetSignals();
  if (std::optional<int> done = kill9::sweep::RunIfWorker(argc, argv)) return *done;
  kill9::SetCommandLine(argc, argv);
  const int exit_code = kill9::Run(argc, argv);
  // An answer that did not arrive is none.
  if (absl::Status status = kill9::FinishStandardOutput(); !status.ok()) {
    std::cerr << "kill9: " << status.message() << "\n";
    return kill9::kExitUsage;
  }
  return exit_code;
}

// The subcommands of kill9. Each lives in a file of its own, <name>_command.cc, adds itself to the
// application, and in its callback sets the exit code (harness/result/verdict.h).
#ifndef KILL9_STRESS_COMMAND_COMMANDS_H_
#define KILL9_STRESS_COMMAND_COMMANDS_H_

#include "CLI/CLI.hpp"

namespace kill9 {

void AddCheckCommand(CLI::App& application, int& exit_code);
void AddListCommand(CLI::App& application, int& exit_code);
void AddTortureCommand(CLI::App& application, int& exit_code);
void AddReplayCommand(CLI::App& application, int& exit_code);
void AddPlantedCommand(CLI::App& application, int& exit_code);
void AddSweepCommand(CLI::App& application, int& exit_code);
void AddGateCommand(CLI::App& application, int& exit_code);
void AddReportCommand(CLI::App& application, int& exit_code);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_COMMANDS_H_

// The commands of kill9. Each lives in a file of its own, <name>_command.cc, and adds itself to the
// command line; what it returns when it is called is the exit code (harness/result/verdict.h).
#ifndef KILL9_STRESS_COMMAND_COMMANDS_H_
#define KILL9_STRESS_COMMAND_COMMANDS_H_

#include "stress/command/arguments/options.h"

namespace kill9 {

void AddCheckCommand(CommandLine& line);
void AddListCommand(CommandLine& line);
void AddTortureCommand(CommandLine& line);
void AddReplayCommand(CommandLine& line);
void AddPlantedCommand(CommandLine& line);
void AddSweepCommand(CommandLine& line);
void AddTryCommand(CommandLine& line);
void AddNewCommand(CommandLine& line);
void AddWorkerCommand(CommandLine& line);
void AddRunCommand(CommandLine& line);
// `argv`: what main was given, for the program that this one hands over to.
void AddExploreCommand(CommandLine& line, char** argv);
void AddGateCommand(CommandLine& line);
void AddReportCommand(CommandLine& line);
void AddMergeCommand(CommandLine& line);
void AddInspectCommand(CommandLine& line);
void AddCampaignCommand(CommandLine& line);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_COMMANDS_H_

// The command line of torture.
#ifndef KILL9_STRESS_COMMAND_TORTURE_TORTURE_OPTIONS_H_
#define KILL9_STRESS_COMMAND_TORTURE_TORTURE_OPTIONS_H_

#include <vector>

#include "stress/command/arguments/options.h"
#include "stress/command/torture/program_flags.h"
#include "stress/command/torture/torture_run.h"

namespace kill9 {

struct TortureCommandLine {
  Command command;
  std::vector<Option> of_designs;   // an object that is asked as programs are has none of these
  std::vector<Option> of_programs;  // what is no program has none of these
};
// Adds the command, with what shells offer for its options. What it does is the caller's.
TortureCommandLine AddTorture(CommandLine& line, TortureFlags& flags, ProgramFlags& programs);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_TORTURE_OPTIONS_H_

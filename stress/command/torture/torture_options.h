// The command line of torture of the designs.
#ifndef KILL9_STRESS_COMMAND_TORTURE_TORTURE_OPTIONS_H_
#define KILL9_STRESS_COMMAND_TORTURE_TORTURE_OPTIONS_H_

#include <vector>

#include "stress/command/arguments/options.h"
#include "stress/command/torture/torture_run.h"

namespace kill9 {

struct TortureOfDesigns {
  Command command;
  Option design, shape;
  std::vector<Option> others;  // an object that is asked as programs are has none of these
};
// Adds the command, with what shells offer for its options. What it does is the caller's.
TortureOfDesigns AddTortureOfDesigns(CommandLine& line, TortureFlags& flags);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_TORTURE_OPTIONS_H_

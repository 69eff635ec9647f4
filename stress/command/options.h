// What holds for the options of every command, so that none has to think of it.
#ifndef KILL9_STRESS_COMMAND_OPTIONS_H_
#define KILL9_STRESS_COMMAND_OPTIONS_H_

#include "CLI/CLI.hpp"

namespace kill9 {

// Has every command refuse, before it does anything:
//   - a number that is none, is not finite, does not fit, or is written as another one is read
//     (010); where a fraction is allowed, it is a time: from 0 to 1e9 seconds;
//   - a result file (--json, --junit) that cannot be written.
void CheckOptionsOfAll(CLI::App& application);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_OPTIONS_H_

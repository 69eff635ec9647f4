// The kill9 command as a library: a program's main() that calls it is the command.
#ifndef KILL9_STRESS_COMMAND_MAIN_H_
#define KILL9_STRESS_COMMAND_MAIN_H_

#include "harness/kinds/kinds.h"

namespace kill9 {

// All that kill9 does, over its own designs and those of `own`. Returns the exit code. REQUIRES:
// called once, at the beginning of main(): nothing has started a thread. The program is run again
// as a part of the command (by the sweep), and must come here then, too.
int Main(int argc, char** argv, const Own& own = {});

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_MAIN_H_

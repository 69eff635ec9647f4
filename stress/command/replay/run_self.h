// This very program, run once more with other arguments.
#ifndef KILL9_STRESS_COMMAND_REPLAY_RUN_SELF_H_
#define KILL9_STRESS_COMMAND_REPLAY_RUN_SELF_H_

#include <string>
#include <vector>

namespace kill9 {

// Its exit code. It ends with this process, and is told of a signal that interrupts this one.
// REQUIRES: NoteInterrupts was called.
int RunSelf(std::vector<std::string> words);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_REPLAY_RUN_SELF_H_

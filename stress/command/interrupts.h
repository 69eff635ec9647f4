// Ctrl-C, SIGTERM and SIGHUP, as every command that runs for long takes them: the first ends the
// run cleanly, with the result so far. A Ctrl-C after it ends the command at once, and the kernel
// then ends every process of the run. Only that: a scheduler sends SIGTERM to all processes of a
// task, whose first one may pass its own on to the others.
#ifndef KILL9_STRESS_COMMAND_INTERRUPTS_H_
#define KILL9_STRESS_COMMAND_INTERRUPTS_H_

#include <unistd.h>

#include <csignal>

#include "harness/base/signals.h"
#include "harness/result/verdict.h"

namespace kill9 {

// Not 0 after the first one, once NoteInterrupts was called.
inline volatile std::sig_atomic_t is_interrupted = 0;

inline void NoteInterrupts() {
  HandleInterrupts([](int signal) {
    if (is_interrupted != 0 && signal == SIGINT) _exit(kExitUndecided);
    is_interrupted = 1;
    // Nor do they interrupt who writes the result.
    std::signal(SIGTERM, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
  });
}

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_INTERRUPTS_H_

// Ctrl-C, SIGTERM and SIGHUP, as every command that runs for long takes them: the first ends the
// run cleanly, with the result so far; the second ends the command at once, and the kernel then
// ends every process of the run.
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
  HandleInterrupts([](int) {
    if (is_interrupted != 0) _exit(kExitUndecided);
    is_interrupted = 1;
  });
}

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_INTERRUPTS_H_

// Ctrl-C, SIGTERM and SIGHUP, as every command takes them: as undecided (exit code 3). Before it
// has anything to show the first ends it at once; one that runs for long ends cleanly, with the
// result so far. A Ctrl-C after it ends the command at once, and the kernel then ends every process
// of the run. Only that: a scheduler sends SIGTERM to all processes of a task, whose first one may
// pass its own on to the others.
#ifndef KILL9_STRESS_COMMAND_INTERRUPTS_H_
#define KILL9_STRESS_COMMAND_INTERRUPTS_H_

#include <unistd.h>

#include <csignal>
#include <string_view>

#include "harness/base/signals.h"
#include "harness/result/verdict.h"

namespace kill9 {

// First of all in main(), before ResetSignals: what HoldInterrupts has held comes there.
inline void EndOnInterrupts() {
  HandleInterrupts([](int) {
    constexpr std::string_view kWords = "kill9: interrupted\n";
    [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, kWords.data(), kWords.size());
    _exit(kExitUndecided);
  });
}

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

// Signals as this program's processes need them, whatever their parent left.
//
// Ignored and blocked signals are inherited through fork and exec. With SIGCHLD ignored, waitpid(2)
// answers ECHILD when everybody has ended; with SIGTERM blocked nobody can end the program.
#ifndef KILL9_HARNESS_BASE_SIGNALS_H_
#define KILL9_HARNESS_BASE_SIGNALS_H_

#include <csignal>

namespace kill9 {

// First of all in main(): no signal is blocked, and those that were ignored have their default
// action. Two are ignored afterwards: SIGHUP if it was (nohup asks for that), and SIGXFSZ, so that
// a write beyond RLIMIT_FSIZE fails with EFBIG instead of ending the process.
void ResetSignals();

// Calls `handler` on Ctrl-C, SIGTERM and SIGHUP; on SIGHUP only if it is not ignored.
void HandleInterrupts(void (*handler)(int));

// For a program that this one becomes (exec): they wait until its ResetSignals, so that none comes
// before it has its handlers. The mask that was before.
sigset_t HoldInterrupts();

// For a process that its driver ends, and whose end by anybody else would look like a finding: a
// terminal, a service manager or a scheduler tells all processes of a command, not only the first.
void IgnoreInterrupts();

// As long as this lives the process can wait for its children, though its caller ignores SIGCHLD.
class WaitableChildren {
 public:
  WaitableChildren();
  ~WaitableChildren();
  WaitableChildren(const WaitableChildren&) = delete;
  WaitableChildren& operator=(const WaitableChildren&) = delete;

 private:
  struct sigaction before_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_SIGNALS_H_

#include "harness/explore/runtime/crash.h"

#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string_view>

#include "harness/explore/base/arena.h"
#include "harness/explore/runtime/machine.h"

namespace kill9::explore {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};

constexpr greg_t kTrapFlag = 0x100;

// Explored code touches a segment that is not accessible: it may where a hook was called for it
// just before, and then for one instruction.
bool LetPass(int signal, const siginfo_t& about, ucontext_t& context) {
  Machine& machine = Machine::Get();
  greg_t& flags = context.uc_mcontext.gregs[REG_EFL];
  if (!machine.proves_hooks() || !machine.exploring()) return false;
  if (signal == SIGTRAP) {
    machine.SetAccess(false);
    flags &= ~kTrapFlag;
    return true;
  }
  if (signal != SIGSEGV || !Machine::Covers(about.si_addr)) return false;
  if (!machine.IsAllowed(about.si_addr)) {
    machine.FailUnseen(static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]));
  }
  machine.SetAccess(true);
  flags |= kTrapFlag;
  return true;
}

void OnCrash(int signal, siginfo_t* about, void* context) {
  if (signal == SIGSEGV && Arena::Get().AllowWrite(about->si_addr)) return;
  if (LetPass(signal, *about, *static_cast<ucontext_t*>(context))) return;
  Machine& machine = Machine::Get();
  // Explored code that is wrong may write anywhere. Where it has hit what leads out of the
  // schedule, the way out ends here again and again.
  const bool is_lost = machine.leaving();
  if (is_lost) {
    constexpr std::string_view kLost =
        "kill9-explore: explored code has overwritten the explorer's own memory: it cannot go on\n";
    if (write(STDERR_FILENO, kLost.data(), kLost.size()) < 0) errno = 0;
  }
  if (is_lost || !machine.exploring()) {
    std::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  machine.Crash(sigabbrev_np(signal));
}

}  // namespace

void CatchCrashes() {
  static const bool done = [] {
    // A fiber whose stack is used up has no room for a handler.
    static char stack[64 << 10];
    stack_t alternative = {};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    sigaltstack(&alternative, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = OnCrash;
    // The handler is left by a switch to another stack: the signal stays unblocked.
    action.sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO;
    for (const int signal : kSignals) sigaction(signal, &action, nullptr);
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace kill9::explore

#include "harness/base/signals.h"

namespace kill9 {
namespace {

constexpr int kInterrupts[] = {SIGINT, SIGTERM, SIGHUP};

bool IsIgnored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void ResetSignals() {
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    // Handlers are this program's own: exec leaves none of the parent's.
    if (signal != SIGHUP && IsIgnored(signal)) std::signal(signal, SIG_DFL);
  }
  std::signal(SIGXFSZ, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void HandleInterrupts(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  for (const int signal : kInterrupts) {
    if (signal == SIGHUP && IsIgnored(SIGHUP)) continue;
    sigaction(signal, &action, nullptr);
  }
}

sigset_t HoldInterrupts() {
  sigset_t held, before;
  sigemptyset(&held);
  for (const int signal : kInterrupts) sigaddset(&held, signal);
  sigprocmask(SIG_BLOCK, &held, &before);
  return before;
}

void IgnoreInterrupts() {
  for (const int signal : kInterrupts) std::signal(signal, SIG_IGN);
}

WaitableChildren::WaitableChildren() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &action, &before_);
}

WaitableChildren::~WaitableChildren() { sigaction(SIGCHLD, &before_, nullptr); }

}  // namespace kill9

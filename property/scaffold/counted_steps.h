// A call by single instructions, in a child that steps through it by itself (the processor's trap
// flag): how many it has, and what another process does at one of them.
#ifndef KILL9_PROPERTY_SCAFFOLD_COUNTED_STEPS_H_
#define KILL9_PROPERTY_SCAFFOLD_COUNTED_STEPS_H_

#if defined(__x86_64__)

#include <signal.h>

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "property/scaffold/children.h"
#include "property/scaffold/trap_steps.h"

namespace kill9 {

// What the handler works with, in the child.
namespace counted_steps {
inline volatile uint64_t done, stop_at;
inline const Line* parent;

inline void Count(int, siginfo_t*, void* context) {
  done = done + 1;
  if (done != stop_at) return;
  // What comes after needs not be counted.
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
  parent->Tell(1);
  parent->Await();
}
}  // namespace counted_steps

// The instructions of the call; no more than `stop_at`, before which it tells its parent 1 and goes
// on when it is told to.
inline uint64_t StepsOf(const Line& parent, uint64_t stop_at, absl::FunctionRef<void()> call) {
  counted_steps::parent = &parent;
  counted_steps::stop_at = stop_at;
  counted_steps::done = 0;
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = counted_steps::Count;
  sigaction(SIGTRAP, &action, nullptr);
  SetTrapFlag(true);
  call();
  SetTrapFlag(false);
  return counted_steps::done;
}
inline constexpr uint64_t kStopNowhere = ~uint64_t{0};

}  // namespace kill9

#endif  // __x86_64__

#endif  // KILL9_PROPERTY_SCAFFOLD_COUNTED_STEPS_H_

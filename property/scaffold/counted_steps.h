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
inline volatile uint64_t done, locked, stop_at;
inline const Line* parent;

// An instruction with the prefix, or an exchange with memory, which needs none.
inline bool IsLocked(const uint8_t* code) {
  if (code[0] == 0xf0) return true;
  const uint8_t* const opcode = (code[0] & 0xf0) == 0x40 ? code + 1 : code;
  return (opcode[0] & 0xfe) == 0x86 && opcode[1] < 0xc0;
}

inline void Count(int, siginfo_t*, void* context) {
  done = done + 1;
  const auto next = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  if (IsLocked(reinterpret_cast<const uint8_t*>(next))) locked = locked + 1;
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
  counted_steps::locked = 0;
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = counted_steps::Count;
  sigaction(SIGTRAP, &action, nullptr);
  SetTrapFlag(true);
  call();
  SetTrapFlag(false);
  return counted_steps::done;
}
// How many of the last call's were locked.
inline uint64_t LockedSteps() { return counted_steps::locked; }
inline constexpr uint64_t kStopNowhere = ~uint64_t{0};

}  // namespace kill9

#endif  // __x86_64__

#endif  // KILL9_PROPERTY_SCAFFOLD_COUNTED_STEPS_H_

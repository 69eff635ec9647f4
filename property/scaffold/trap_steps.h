// A child that steps through an operation by itself (the processor's trap flag), and is sent a
// signal in the trap's handler, after so many instructions: no tracer, and no step more than the
// instructions that there are.
#ifndef KILL9_PROPERTY_SCAFFOLD_TRAP_STEPS_H_
#define KILL9_PROPERTY_SCAFFOLD_TRAP_STEPS_H_

#if defined(__x86_64__)

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "property/scaffold/children.h"

namespace kill9 {

inline constexpr greg_t kTrapFlag = 0x100;

// What the handler works with, in the child.
inline volatile uint64_t trap_steps_left;
inline volatile int trap_signal;

inline void CountTrapStep(int, siginfo_t*, void* context) {
  const uint64_t left = trap_steps_left - 1;
  trap_steps_left = left;
  if (left != 0) return;
  kill(getpid(), trap_signal);
  // Who was stopped and goes on does so without steps.
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
}

[[gnu::always_inline]] inline void SetTrapFlag(bool on) {
  uint64_t flags = 0;
  asm volatile("pushfq; popq %0" : "=r"(flags));
  flags = on ? flags | kTrapFlag : flags & ~uint64_t{kTrapFlag};
  asm volatile("pushq %0; popfq" : : "r"(flags) : "cc", "memory");
}

// Does the operation, and is sent the signal after so many instructions of it.
template <typename Operation>
auto RunWithSteps(uint64_t steps, int signal, const Operation& operation) {
  trap_steps_left = steps;
  trap_signal = signal;
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = CountTrapStep;
  sigaction(SIGTRAP, &action, nullptr);
  SetTrapFlag(true);
  const auto done = operation();
  SetTrapFlag(false);
  return done;
}

// The instructions at which it is tried: of so many one, which one says the seed; all with
// KILL9_EVERY_INSTRUCTION=1. The further, the fewer: each try steps the whole way.
struct TrapSteps {
  explicit TrapSteps(uint64_t usual)
      : stride(std::getenv("KILL9_EVERY_INSTRUCTION") != nullptr ? 1 : usual),
        first(1 + TestSeed() % stride) {}
  uint64_t Next(uint64_t step) const {
    constexpr uint64_t kLong = 1000, kPart = 8;
    return step + (stride > 1 && step > kLong ? step / kPart : stride);
  }
  const uint64_t stride, first;
};

}  // namespace kill9

#endif

#endif  // KILL9_PROPERTY_SCAFFOLD_TRAP_STEPS_H_

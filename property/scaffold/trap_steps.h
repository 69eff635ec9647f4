// A child that steps through an operation by itself (the processor's trap flag), and is sent a
// signal in the trap's handler, after so many instructions: no tracer, and no step more than the
// instructions that there are.
//
// A step costs as much as a thousand instructions or more. So where others have stepped before, the
// child goes at full speed: to a breakpoint that it puts into its own copy of the code (TrapPath).
#ifndef KILL9_PROPERTY_SCAFFOLD_TRAP_STEPS_H_
#define KILL9_PROPERTY_SCAFFOLD_TRAP_STEPS_H_

#if defined(__x86_64__)

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "property/scaffold/children.h"

namespace kill9 {

inline constexpr greg_t kTrapFlag = 0x100;

// Where the steps of an operation lead, as far as any child has gone. REQUIRES: the operation has
// the same instructions each time; a child that goes another way says so by its end.
class TrapPath {
 public:
  // In memory that the children share: the address behind each step, from 1 on.
  struct Notes {
    static constexpr uint64_t kMost = 1 << 15;
    uint64_t known = 0;
    uint64_t address[kMost] = {};
  };
  // A breakpoint that the child comes to for the `passes`th time after `steps` steps.
  struct Leap {
    Notes* notes = nullptr;
    uint8_t* at = nullptr;  // null: it must step all the way
    uint64_t passes = 0;
    uint64_t steps = 0;
  };

  // The cheapest way to that step. Each pass of a breakpoint costs a stop and a step.
  Leap LeapTo(uint64_t step) {
    constexpr uint64_t kNear = 256;
    Learn();
    Leap best{.notes = &*notes_};
    uint64_t least = step;
    const uint64_t last = std::min(step, uint64_t{passes_.size()} - 1);
    for (uint64_t at = last; at > 0 && at + kNear > last; --at) {
      const uint64_t cost = 2 * passes_[at] + step - at;
      if (passes_[at] == 0 || cost >= least) continue;
      least = cost;
      best.at = reinterpret_cast<uint8_t*>(notes_->address[at]);
      best.passes = passes_[at];
      best.steps = at;
    }
    return best;
  }
  // Whether a child of this exit status did not come by the breakpoint. Then all is forgotten, and
  // the next one steps.
  bool Strayed(int exit_status) {
    if (exit_status != kStrayed) return false;
    notes_->known = 0;
    passes_.assign(1, 0);
    times_.clear();
    return true;
  }
  static constexpr int kStrayed = 95;

 private:
  void Learn() {
    for (uint64_t at = passes_.size(); at <= notes_->known; ++at) {
      const uint64_t address = notes_->address[at];
      // A repeated string instruction has a step for each round, and a breakpoint is hit but once.
      const bool is_round = notes_->address[at - 1] == address;
      passes_.push_back(is_round ? 0 : ++times_[address]);
    }
  }

  Shared<Notes> notes_;
  std::vector<uint64_t> passes_ = {
      0};  // of each step, how often its address was come to; 0: no use
  std::unordered_map<uint64_t, uint64_t> times_;
};

// What the handler works with, in the child.
namespace trap_steps {
inline volatile uint64_t done, left;
inline volatile int signal;
inline TrapPath::Notes* notes;
inline volatile uint8_t* volatile breakpoint;  // null: it was reached, or there is none
inline volatile uint64_t passes_left;
inline volatile uint8_t byte;     // of the code, where the breakpoint is
inline volatile bool is_over;     // the operation, and with it the counting
inline volatile bool is_passing;  // beyond the breakpoint, which is to be set again

inline constexpr uint8_t kInt3 = 0xcc;

// At the breakpoint, or one step behind it. True: it was reached for the last time.
inline bool Passes(greg_t* registers) {
  if (is_passing) {
    // A string instruction is behind it after its last round.
    if (registers[REG_RIP] == static_cast<greg_t>(reinterpret_cast<uintptr_t>(breakpoint))) {
      return false;
    }
    is_passing = false;
    *breakpoint = kInt3;
    registers[REG_EFL] &= ~kTrapFlag;
    return false;
  }
  *breakpoint = byte;
  registers[REG_RIP] -= 1;
  registers[REG_EFL] |= kTrapFlag;
  passes_left = passes_left - 1;
  is_passing = passes_left != 0;
  return !is_passing;
}

inline void Count(int, siginfo_t*, void* context) {
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (is_over) {
    registers[REG_EFL] &= ~kTrapFlag;
    return;
  }
  if (breakpoint != nullptr) {
    if (!Passes(registers)) return;
    breakpoint = nullptr;
  } else {
    done = done + 1;
    left = left - 1;
    const auto address = static_cast<uint64_t>(registers[REG_RIP]);
    if (notes != nullptr && done == notes->known + 1 && done < TrapPath::Notes::kMost) {
      notes->address[done] = address;
      notes->known = done;
    }
  }
  if (left != 0) return;
  kill(getpid(), signal);
  // Who was stopped and goes on does so without steps.
  registers[REG_EFL] &= ~kTrapFlag;
}

// False: the code cannot be written to.
inline bool SetBreakpoint(const TrapPath::Leap& leap) {
  constexpr uintptr_t kPage = 4096;
  void* const page = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(leap.at) / kPage * kPage);
  if (mprotect(page, kPage, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return false;
  byte = *leap.at;
  passes_left = leap.passes;
  is_passing = false;
  done = leap.steps;
  left = left - leap.steps;
  breakpoint = leap.at;
  *breakpoint = kInt3;
  return true;
}
}  // namespace trap_steps

[[gnu::always_inline]] inline void SetTrapFlag(bool on) {
  uint64_t flags = 0;
  asm volatile("pushfq; popq %0" : "=r"(flags));
  flags = on ? flags | kTrapFlag : flags & ~uint64_t{kTrapFlag};
  asm volatile("pushq %0; popfq" : : "r"(flags) : "cc", "memory");
}

// Does the operation, and is sent the signal after so many instructions of it. `leap`: of a
// TrapPath of this operation, by the parent.
template <typename Operation>
auto RunWithSteps(uint64_t steps, int signal, const Operation& operation,
                  const TrapPath::Leap& leap = {}) {
  trap_steps::done = 0;
  trap_steps::left = steps;
  trap_steps::signal = signal;
  trap_steps::notes = leap.notes;
  trap_steps::breakpoint = nullptr;
  trap_steps::is_over = false;
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = trap_steps::Count;
  sigaction(SIGTRAP, &action, nullptr);
  // From here to the operation nothing is called where the breakpoint may be.
  if (leap.at == nullptr || !trap_steps::SetBreakpoint(leap)) SetTrapFlag(true);
  const auto done = operation();
  trap_steps::is_over = true;
  if (trap_steps::breakpoint != nullptr) _exit(TrapPath::kStrayed);
  return done;
}

// The instructions at which it is tried: of so many one, which one says the seed; all with
// KILL9_EVERY_INSTRUCTION=1. Of what is long, fewer.
struct TrapSteps {
  explicit TrapSteps(uint64_t usual)
      : stride(std::getenv("KILL9_EVERY_INSTRUCTION") != nullptr ? 1 : usual),
        first(1 + TestSeed() % stride) {}
  uint64_t Next(uint64_t step) const {
    constexpr uint64_t kLong = 1000, kFewer = 4;
    return step + (stride > 1 && step > kLong ? kFewer * stride : stride);
  }
  const uint64_t stride, first;
};

}  // namespace kill9

#endif

#endif  // KILL9_PROPERTY_SCAFFOLD_TRAP_STEPS_H_

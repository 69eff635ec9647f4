// A forked child that a test moves on by single machine instructions, for schedules that must not
// depend on luck. Nothing in the code under test knows of it.
#ifndef KILL9_PROPERTY_SCAFFOLD_STEPPED_CHILD_H_
#define KILL9_PROPERTY_SCAFFOLD_STEPPED_CHILD_H_

#include <sys/ptrace.h>
#include <sys/user.h>

#include "absl/functional/function_ref.h"
#include "harness/stepper/trace/decoder.h"
#include "property/scaffold/children.h"

namespace kill9 {

class SteppedChild {
 public:
  // Stands before the first instruction of `body`. `before`: what the child does first, without
  // steps: each takes as long as a thousand instructions.
  explicit SteppedChild(
      absl::FunctionRef<int()> body, absl::FunctionRef<bool()> before = [] { return true; })
      : child_([body, before](Line&) {
          if (!before()) return kNotReady;
          if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return kNoPtrace;
          raise(SIGSTOP);
          return body();
        }) {
    int status = 0;
    while (waitpid(child_.pid(), &status, WUNTRACED) < 0 && errno == EINTR) {
    }
    stands_ = WIFSTOPPED(status);
  }

  // Steps until `there`, asked before each instruction. False: the child has ended, or gone too
  // far.
  bool StepUntil(absl::FunctionRef<bool()> there) {
    constexpr int kMostSteps = 3'000'000;
    for (int step = 0; stands_ && step < kMostSteps; ++step) {
      if (there()) return true;
      int status = 0;
      ptrace(PTRACE_SINGLESTEP, child_.pid(), nullptr, nullptr);
      while (waitpid(child_.pid(), &status, 0) < 0 && errno == EINTR) {
      }
      stands_ = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
    }
    return false;
  }
  // Whether the instruction that comes next has a memory operand at just this address.
  bool AboutToTouch(const void* where) {
    const user_regs_struct registers = Registers();
    const uint64_t address = reinterpret_cast<uint64_t>(where);
    return decoder_.MayTouch(registers, address, address + 1) &&
           !decoder_.MayTouch(registers, 1, 2);  // which tells what touches anything
  }
  // Whether it is a locked one, such as a compare-and-swap.
  bool AboutToLock() const {
    const uint64_t code = Registers().rip;  // the child's code is the test's
    return *reinterpret_cast<const uint8_t*>(code) == 0xf0;
  }
  // Whether it is the system call of this number, with this second argument.
  bool AboutToCall(uint64_t number, uint64_t second) const {
    const user_regs_struct registers = Registers();
    const auto* code = reinterpret_cast<const uint8_t*>(registers.rip);
    return registers.rax == number && registers.rsi == second && code[0] == 0x0f && code[1] == 0x05;
  }
  // Lets it run; the exit status.
  int Finish() {
    ptrace(PTRACE_DETACH, child_.pid(), nullptr, nullptr);
    stands_ = false;
    return child_.ExitStatus();
  }
  void Kill() {
    stands_ = false;
    child_.KillAndReap();
  }
  bool stands() const { return stands_; }

 private:
  static constexpr int kNoPtrace = 78, kNotReady = 79;
  user_regs_struct Registers() const {
    user_regs_struct registers{};
    ptrace(PTRACE_GETREGS, child_.pid(), nullptr, &registers);
    return registers;
  }
  Child child_;
  stepper::Decoder decoder_;
  bool stands_ = false;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_STEPPED_CHILD_H_

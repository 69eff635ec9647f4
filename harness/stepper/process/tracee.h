// One process under ptrace, stopped and resumed at single machine instructions.
//
// The tracer is the tracee's parent and runs on the same CPU (a step costs half of what it does
// across CPUs). The tracee asks to be traced itself (PTRACE_TRACEME) and stops at the marker
// MarkBegin. No function here allocates: the tracer is also the zygote that victims are
// forked from.
#ifndef KILL9_HARNESS_STEPPER_PROCESS_TRACEE_H_
#define KILL9_HARNESS_STEPPER_PROCESS_TRACEE_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>

#include "harness/stepper/process/breakpoints.h"
#include "harness/stepper/process/process_wait.h"

namespace kill9::stepper {

// The markers: the tracee stops right after the first and is at its end when it stands on the
// second.
void MarkBegin();
void MarkEnd();
uint64_t EndAddress();  // of the instruction that MarkEnd stops at

void TraceMe();  // called by the tracee, right before MarkBegin

class Tracee {
 public:
  enum class Stop : uint8_t {
    kTrap,  // a step, a breakpoint or a marker
    kDied,  // by a signal that we did not send, or about to; `signal()` tells which
    kExited,
    kBlocked,  // it sleeps in a system call and nobody would wake it
  };

  explicit Tracee(pid_t pid = 0) : pid_(pid) {}
  pid_t pid() const { return pid_; }
  int signal() const { return signal_; }

  // The first stop, at the begin marker.
  Stop WaitForBegin() { return Wait(); }
  // One instruction; of a repeated string instruction, one iteration. `may_block`: the instruction
  // is a system call that may have to wait for a stopped process.
  Stop Step(bool may_block = false);
  Stop Continue(bool may_block = false);
  // Runs to the `hits`-th execution of `address`. kTrap elsewhere: the end marker came first.
  // REQUIRES: it does not stand at `address`; breakpoints() are not single steps; with int3 and
  // more than one hit, the instruction is no repeated string instruction, which a step does not get
  // over.
  Stop RunTo(uint64_t address, uint32_t hits);
  // From the first iteration of a repeated string instruction of `bytes` bytes, `iterations` on,
  // fewer than there are: the count register is set so that it ends there, and put right.
  Stop RunInsideString(uint64_t bytes, uint32_t iterations);
  user_regs_struct Registers() const;
  uint64_t InstructionPointer() const;
  bool SetInstructionPointer(uint64_t address);
  uint64_t Word(uint64_t address) const;
  // SIGKILL, and the reaping: the kernel has done its work on locks and robust lists on return.
  // Returns the page faults of its life.
  uint64_t Kill();
  void Detach(int signal);

  // How all tracees of this process are stopped.
  static Breakpoints breakpoints() { return breakpoints_; }
  static void UseBreakpoints(Breakpoints breakpoints) { breakpoints_ = breakpoints; }

 private:
  static constexpr double kLimitSeconds = 60;
  bool Resume(int signal);
  bool GoesOn(int status);
  Stop Wait();
  Stop WaitOrBlocked();
  Stop Interpret(int status);
  Stop RunByDebugRegister(uint64_t address, uint32_t hits);
  Stop RunByInt3(uint64_t address, uint32_t hits);

  inline static Breakpoints breakpoints_ = Breakpoints::kSingleSteps;
  pid_t pid_;
  int signal_ = 0;
  bool steps_ = false;  // how it was resumed last
};

// Null where all that stepping needs is there: /proc, and ptrace.
const char* WhySteppingCannotRun();
// Null where ptrace is permitted; else what to do about it.
const char* WhyPtraceIsForbidden();

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_PROCESS_TRACEE_H_

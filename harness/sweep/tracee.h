// One process under ptrace, stopped and resumed at single machine instructions.
//
// The tracer is the tracee's parent and runs on the same CPU (a step costs half of what it does
// across CPUs). The tracee asks to be traced itself (PTRACE_TRACEME) and stops at the marker
// kill9_sweep_begin. No function here allocates: the tracer is also the zygote that victims are
// forked from.
#ifndef KILL9_HARNESS_SWEEP_TRACEE_H_
#define KILL9_HARNESS_SWEEP_TRACEE_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>

namespace kill9::sweep {

// The markers: the tracee stops right after the first and is at its end when it stands on the
// second.
void MarkBegin();
void MarkEnd();
uint64_t EndAddress();  // of the instruction that MarkEnd stops at

// How a process waits, as /proc tells it.
enum class Waiting : uint8_t {
  kNo,         // it runs, or is about to
  kForOthers,  // asleep in a system call that, as a rule, another process ends: a lock, a time-out
               // after which it looks again included
  kForATime,   // asleep in another system call
  kGone,       // a zombie, or no process at all
};
Waiting HowItWaits(pid_t pid);
double CpuSeconds(pid_t pid);
// How long it was ready to run and had no CPU: on a busy machine, most of a sleep of a millisecond.
// 0 where the kernel does not count it.
double SecondsWithoutCpu(pid_t pid);
double NowSeconds();  // of a clock that only goes forward
// Of a clock that stands still while the process is without a CPU. Differences mean something.
double OwnSeconds(pid_t pid);

// Forks (a real fork: handlers of pthread_atfork run). With `wanted` > 0 the child gets that number
// in this PID namespace, where the machine allows it, so that thread ids stored in a segment
// repeat.
pid_t ForkAs(pid_t wanted);
bool PidsRepeat();       // whether `wanted` is honoured
void UsePidNamespace();  // called once, in a PID namespace of the sweep's own

// Every wait below has a bound: a timer interrupts waitpid four times a second. Called once a
// tracer.
void StartTicker();

// How long a process may go without an end before it counts as stuck: blocked, or running beyond
// any reason. One that only lacks a CPU is waited for longer.
class Patience {
 public:
  Patience(pid_t pid, double limit_seconds);
  bool Exhausted();  // to be asked now and then

 private:
  pid_t pid_;
  double limit_seconds_, start_, own_start_, cpu_start_;
  double asleep_since_ = 0;  // 0: it was not, when last asked
};

// Waits for the end of a child. False: it had to be killed, because it was blocked or ran beyond
// any reason for `limit_seconds` (it is reaped then, too). A process that only lacks a CPU is
// waited for longer.
bool Reap(pid_t pid, double limit_seconds, int* status);
void KillAndReap(pid_t pid);

void TraceMe();  // called by the tracee, right before MarkBegin

class Tracee {
 public:
  enum class Stop : uint8_t {
    kTrap,  // a step, a breakpoint or a marker
    kDied,  // by a signal that we did not send; `signal()` tells which
    kExited,
    kBlocked,  // it sleeps in a system call and nobody would wake it
  };

  explicit Tracee(pid_t pid) : pid_(pid) {}
  pid_t pid() const { return pid_; }
  int signal() const { return signal_; }

  // The first stop, at the begin marker.
  Stop WaitForBegin() { return Wait(); }
  // One instruction; of a repeated string instruction, one iteration. `may_block`: the instruction
  // is a system call that may have to wait for a stopped process.
  Stop Step(bool may_block = false);
  Stop Continue(bool may_block = false);
  // Runs to the `hits`-th execution of `address`, the present instruction included.
  Stop RunTo(uint64_t address, uint32_t hits);
  // Runs until the byte was read or written, or soon after.
  Stop RunToAccess(uint64_t byte);
  user_regs_struct Registers() const;
  uint64_t InstructionPointer() const;
  uint64_t Word(uint64_t address) const;
  // SIGKILL, and the reaping: the kernel has done its work on locks and robust lists on return.
  void Kill();
  void Detach(int signal);

  // Whether this machine lets a tracer set debug registers; found out at the first RunTo.
  static bool HasBreakpoints() { return has_breakpoints_; }

 private:
  static constexpr double kLimitSeconds = 60;
  Stop Wait();
  Stop WaitOrBlocked();
  Stop Interpret(int status);
  bool SetBreakpoint(uint64_t address, bool on_access = false);

  inline static bool has_breakpoints_ = true;
  pid_t pid_;
  int signal_ = 0;
};

// Null where ptrace is permitted; else what to do about it.
const char* WhyPtraceIsForbidden();

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_TRACEE_H_

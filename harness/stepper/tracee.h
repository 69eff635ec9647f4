// One process under ptrace, stopped and resumed at single machine instructions.
//
// The tracer is the tracee's parent and runs on the same CPU (a step costs half of what it does
// across CPUs). The tracee asks to be traced itself (PTRACE_TRACEME) and stops at the marker
// kill9_sweep_begin. No function here allocates: the tracer is also the zygote that victims are
// forked from.
#ifndef KILL9_HARNESS_STEPPER_TRACEE_H_
#define KILL9_HARNESS_STEPPER_TRACEE_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>

#include "harness/stepper/breakpoints.h"

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
uint64_t OwnPageFaults();  // of this process, until now
// How long it was ready to run and had no CPU: on a busy machine, most of a sleep of a millisecond.
// 0 where the kernel does not count it.
double SecondsWithoutCpu(pid_t pid);
double NowSeconds();  // of a clock that only goes forward

// What a process could have used of the time since the clock was made: it stands still while the
// process is ready and has no CPU. Of the time between two looks no more than kMostPerLook counts:
// this process may have been kept from looking by what kept the other from working (a frozen
// machine).
class OwnClock {
 public:
  static constexpr double kMostPerLook = 0.5;
  explicit OwnClock(pid_t pid);
  double Seconds();  // to be asked oftener than kMostPerLook

 private:
  pid_t pid_;
  double seconds_ = 0;
  double looked_, without_cpu_;
};

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
class StuckDetector {
 public:
  StuckDetector(pid_t pid, double limit_seconds);
  bool Exhausted();  // to be asked as often as the clock

 private:
  pid_t pid_;
  double limit_seconds_;
  OwnClock clock_;
  double cpu_start_;
  double asleep_since_ = -1;  // of the clock; negative: it was not, when last asked
};

// Waits for the end of a child. False: it had to be killed, because it was blocked or ran beyond
// any reason for `limit_seconds` (it is reaped then, too). A process that only lacks a CPU is
// waited for longer.
bool Reap(pid_t pid, double limit_seconds, int* status);
// Returns the page faults of its life.
uint64_t KillAndReap(pid_t pid);

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
  Stop Wait();
  Stop WaitOrBlocked();
  Stop Interpret(int status);
  Stop RunByDebugRegister(uint64_t address, uint32_t hits);
  Stop RunByInt3(uint64_t address, uint32_t hits);

  inline static Breakpoints breakpoints_ = Breakpoints::kSingleSteps;
  pid_t pid_;
  int signal_ = 0;
};

// Null where all that the sweep needs is there: /proc, and ptrace.
const char* WhyTheSweepCannotRun();
// Null where ptrace is permitted; else what to do about it.
const char* WhyPtraceIsForbidden();

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STEPPER_TRACEE_H_

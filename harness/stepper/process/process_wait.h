// Processes that are forked, waited for and reaped: how one waits, how long it may go on, and when
// it counts as stuck. No function here allocates.
#ifndef KILL9_HARNESS_STEPPER_PROCESS_PROCESS_WAIT_H_
#define KILL9_HARNESS_STEPPER_PROCESS_PROCESS_WAIT_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "harness/base/cpu_chance.h"

namespace kill9::stepper {

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
double NowSeconds();       // of a clock that only goes forward

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
  CpuChance chance_;
  uint64_t looked_ns_;
  double seconds_ = 0;
};

// Forks (a real fork: handlers of pthread_atfork run). With `wanted` > 0 the child gets that number
// in this PID namespace, where the machine allows it, so that thread ids stored in a segment
// repeat.
pid_t ForkAs(pid_t wanted);
// After a child of ForkAs was reaped: until then others may take it for alive (Reap and KillAndReap
// wait for it, too).
void AwaitMemoryGone(pid_t reaped);
bool PidsRepeat();  // whether `wanted` is honoured
// Where it is not: who of the living has been forked for which of the numbers that are given again
// and again, from kFirstNumber on; of several the latest. 0: nobody.
inline constexpr pid_t kFirstNumber = 100;
inline constexpr size_t kNumbers = 6;
using PidsByNumber = std::array<pid_t, kNumbers>;
PidsByNumber PidsOfNumbers();
void UsePidNamespace();  // called once, in a PID namespace of the program's own

// Every wait of a tracer has a bound: a timer interrupts waitpid four times a second. Called once a
// tracer. Timers are not inherited by fork.
void StartTicker();
// The same, oftener: while it lives, 500 times a second.
class FineTicker {
 public:
  FineTicker();
  ~FineTicker();
  FineTicker(const FineTicker&) = delete;
  FineTicker& operator=(const FineTicker&) = delete;
};

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

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_PROCESS_PROCESS_WAIT_H_

// The victim's own timer, whose signal is SIGKILL: it goes off at any instruction of the victim's
// work, costs the supervisor nothing, and needs no handler that could disturb the object.
#ifndef KILL9_HARNESS_TORTURE_KILL_TIMER_H_
#define KILL9_HARNESS_TORTURE_KILL_TIMER_H_

#include <csignal>
#include <cstdint>
#include <ctime>

#include "harness/torture/control.h"

namespace kill9 {

class KillTimer {
 public:
  // Timers are not inherited by fork: made by the victim itself.
  explicit KillTimer(int signal = SIGKILL) {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signal;
    ok_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
  }
  KillTimer(const KillTimer&) = delete;
  KillTimer& operator=(const KillTimer&) = delete;
  bool ok() const { return ok_; }  // false: errno says why there is none

  // At the absolute time `when_ns`; one that has passed already kills at once.
  void Set(uint64_t when_ns) {
    itimerspec when{};
    when.it_value.tv_sec = static_cast<time_t>(when_ns / 1'000'000'000u);
    when.it_value.tv_nsec = static_cast<long>(when_ns % 1'000'000'000u);
    timer_settime(timer_, TIMER_ABSTIME, &when, nullptr);
  }
  void Clear() {
    const itimerspec never{};
    timer_settime(timer_, 0, &never, nullptr);
  }

 private:
  bool ok_ = false;
  timer_t timer_;
};

// The signal that the harness kills with first. Its default action ends a process as SIGKILL does:
// the kernel makes every thread's next step its last when the signal is *sent*, and notes its
// number as the end's reason. SIGKILL follows at once, for a victim that blocks signals or is
// stopped. So a death of SIGKILL alone was somebody else's (Supervisor::Bury).
inline int OrderedSignal() { return SIGRTMAX; }

// The victim's own timer of an ordered death: two, of which SIGKILL's is never set without the
// other one's. A victim may be preempted, moved, stopped or killed between any two of these calls.
//
// T1  What the board tells is no later than what is set: an earlier time is over before a new one
//     is told.
// T2  Timers of one core go off in their order; of two cores one may be late. Until both are known
//     to be of one core the board says so (`timer_is_unsure`), and SIGKILL may come alone, though
//     not before its time.
class DeathTimer {
 public:
  explicit DeathTimer(WorkerBoard& board) : board_(board) {}
  bool ok() const { return first_.ok() && last_.ok(); }
  void Set(uint64_t when_ns);
  void Clear();

 private:
  WorkerBoard& board_;
  KillTimer first_{OrderedSignal()};
  KillTimer last_{SIGKILL};
};

// Of a victim that SIGKILL alone has ended by `noted_ns`: whether its own timer may have (T2).
bool MayBeOwnTimer(const WorkerBoard& board, uint64_t noted_ns);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_KILL_TIMER_H_

// The victim's own timer, whose signal is SIGKILL: it goes off at any instruction of the victim's
// work, costs the supervisor nothing, and needs no handler that could disturb the store.
#ifndef KILL9_HARNESS_KILL_TIMER_H_
#define KILL9_HARNESS_KILL_TIMER_H_

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace kill9 {

class KillTimer {
 public:
  // Timers are not inherited by fork: made by the victim itself.
  KillTimer() {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
      std::perror("kill9: cannot make a kill timer");
      std::abort();
    }
  }
  KillTimer(const KillTimer&) = delete;
  KillTimer& operator=(const KillTimer&) = delete;

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
  timer_t timer_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_KILL_TIMER_H_

// What a watchdog may charge a process with: time in which it ran, or slept of its own accord.
//
// Not charged is the time in which it was ready and had no CPU, and what passed while the watchdog
// itself did not run: a paused container or virtual machine stops both. A process of several
// threads is charged only with what each of them could have used: the first may sleep until another
// one, which has no CPU, is through. No function here allocates.
#ifndef KILL9_HARNESS_BASE_CPU_CHANCE_H_
#define KILL9_HARNESS_BASE_CPU_CHANCE_H_

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace kill9 {

inline constexpr uint64_t kMostChargedNs = 100'000'000;  // for one look
// Without progress for so many times its bound, and never a chance: the machine is too busy.
inline constexpr uint64_t kStarved = 20;
// What the kernel may take to end a process: seconds where memory is short, in which the others may
// wait for it.
inline constexpr uint64_t kDyingNs = 20'000'000'000;
// How much of the `looked_ns` before `now_ns` came before `event_ns`.
inline uint64_t LookedBefore(uint64_t event_ns, uint64_t now_ns, uint64_t looked_ns) {
  return looked_ns - std::min(looked_ns, now_ns - std::min(now_ns, event_ns));
}

// Reads /proc/PID/NAME as a string. False: there is no such process, or no /proc that shows it.
bool ReadProcFile(pid_t pid, const char* name, char* text, size_t size);

// Of a process's first thread, by /proc.
struct ProcessTimes {
  bool known = false;   // false: there is no such process, or no /proc that shows it
  char state = '?';     // 'R' ready or running, 'S' and 'D' asleep, 'T' and 't' stopped, 'Z' dead
  uint64_t ran_ns = 0;  // since its start; up to a clock tick behind
  uint64_t waited_ns = 0;  // ready without a CPU, since its start; a wait that goes on is not in it
  uint32_t threads = 1;
};
ProcessTimes ReadProcessTimes(pid_t pid);

// Whether /proc is there and shows this process's own PID namespace: else PIDs mean others in it.
bool ProcShowsOurPids();

// Looks at one process now and then.
class CpuChance {
 public:
  // From now on `pid` is looked at, which was started at `started_ns` (CLOCK_MONOTONIC).
  void Begin(pid_t pid, uint64_t started_ns) { *this = CpuChance(pid, started_ns); }
  // How much of the `charged_ns` before `now_ns` the process had a chance in: all of it if /proc
  // does not tell.
  uint64_t Look(uint64_t now_ns, uint64_t charged_ns);

  CpuChance() = default;

 private:
  struct Thread {
    pid_t tid = 0;  // 0: no such
    uint64_t ran_ns = 0;
    uint64_t waited_ns = 0;
  };
  // What is remembered of threads: of so many, those that were seen last.
  static constexpr size_t kThreads = 64;

  CpuChance(pid_t pid, uint64_t started_ns) : pid_(pid), last_ns_(started_ns) {}
  Thread& Known(pid_t tid);
  uint64_t WaitedOf(Thread& thread, const ProcessTimes& now, uint64_t elapsed_ns);
  uint64_t LongestWaitOfOthers(uint64_t elapsed_ns);

  pid_t pid_ = 0;
  uint64_t last_ns_ = 0;
  Thread first_;
  std::array<Thread, kThreads> others_{};
};

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_CPU_CHANCE_H_

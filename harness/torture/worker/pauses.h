// Pauses of a worker, some thousand in a second, each at any instruction: between two loads of the
// one that pauses others carry out whole operations, and it may die there.
//
// Two timers of its own, whose signals are SIGSTOP and SIGCONT: no handler runs in the object, and
// no system call of it ends early; who sleeps is not woken, as one who was interrupted would be.
#ifndef KILL9_HARNESS_TORTURE_WORKER_PAUSES_H_
#define KILL9_HARNESS_TORTURE_WORKER_PAUSES_H_

#include <csignal>
#include <cstdint>

#include "harness/base/random.h"
#include "harness/torture/control.h"
#include "harness/torture/kill_timer.h"

namespace kill9 {

class Pauses {
 public:
  explicit Pauses(WorkerBoard& board) : board_(board) {}
  // False: errno says why there are no timers.
  bool ok() const { return stop_.ok() && resume_.ok(); }

  // How often this worker pauses, and for how long: half of the workers never do.
  void Draw(uint64_t seed, uint32_t process) {
    random_ = Random(seed ^ kOfPauses, process);
    if (!random_.Chance(500)) return;
    constexpr uint64_t kEvery[] = {3, 10, 40};
    constexpr uint64_t kWithinNs[] = {2'000, 12'000, 60'000};
    constexpr uint64_t kLongestNs[] = {20'000, 60'000, 200'000, 800'000};
    every_ = kEvery[random_.Below(3)];
    within_ns_ = kWithinNs[random_.Below(3)];
    longest_ns_ = kLongestNs[random_.Below(4)];
    left_ = random_.Below(2 * every_);
  }

  // To be called where an operation begins: that one, or one soon after it, may pause.
  void Perhaps() {
    if (every_ == 0 || rests_ || left_-- != 0) return;
    left_ = random_.Below(2 * every_);
    Pause(within_ns_, longest_ns_);
  }

  // To be called where a recovery begins. It may pause for so long that others recover the same
  // dead, their places are given to others, and these die: who goes on then is late.
  void PerhapsInRecovery() {
    if (every_ == 0 || rests_ || !random_.Chance(150)) return;
    Pause(kRecoveryNs, kLongestInRecoveryNs);
  }

  // From now on it is not stopped, until it goes on.
  void Rest() {
    rests_ = true;
    stop_.Clear();
    resume_.Clear();  // after the other one: who was stopped before this is resumed
  }
  void GoOn() { rests_ = false; }

 private:
  static constexpr uint64_t kOfPauses = 0x7061757365;  // the number of their random numbers
  static constexpr uint64_t kShortestNs = 15'000;      // the timers may go off on two cores
  static constexpr uint64_t kRecoveryNs = 100'000;     // about what one takes
  static constexpr uint64_t kLongestInRecoveryNs = 6'000'000;

  // Somewhere within so long, for so long at most.
  void Pause(uint64_t within_ns, uint64_t longest_ns) {
    const uint64_t now = MonotonicNs();
    if (now < ends_ns_) return;
    const uint64_t begins_ns = now + random_.Below(within_ns);
    ends_ns_ = begins_ns + kShortestNs + random_.Below(longest_ns);
    // Relaxed: read by the supervisor, which resumes who was stopped too late (ResumePaused).
    board_.pause_ends_ns.store(ends_ns_, std::memory_order_relaxed);
    board_.pauses.store(board_.pauses.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
    resume_.Set(ends_ns_);  // the end first: it may be stopped right after the other one is set
    stop_.Set(begins_ns);
  }

  WorkerBoard& board_;
  KillTimer stop_{SIGSTOP};
  KillTimer resume_{SIGCONT};
  Random random_{0};
  uint64_t every_ = 0;  // operations from one pause to the next, on average; 0: it never pauses
  uint64_t within_ns_ = 0, longest_ns_ = 0;
  uint64_t left_ = 0;     // operations until the next one
  uint64_t ends_ns_ = 0;  // of the last one
  bool rests_ = false;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_WORKER_PAUSES_H_

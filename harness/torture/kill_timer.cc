#include "harness/torture/kill_timer.h"

#include <sys/resource.h>

namespace kill9 {
namespace {

// How often this thread has left its core: while that is the same, it is on the same core.
long TimesSwitchedOut() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

}  // namespace

// Relaxed, here and below: the supervisor reads what a process has written that it finds dead.
void DeathTimer::Set(uint64_t when_ns) {
  Clear();
  board_.timer_is_unsure.store(1, std::memory_order_relaxed);
  board_.timer_at_ns.store(when_ns, std::memory_order_relaxed);
  for (;;) {
    const long before = TimesSwitchedOut();
    first_.Set(when_ns);
    last_.Set(when_ns + 1);
    if (TimesSwitchedOut() == before) break;
    last_.Clear();
  }
  board_.timer_is_unsure.store(0, std::memory_order_relaxed);
}

void DeathTimer::Clear() {
  if (board_.timer_at_ns.load(std::memory_order_relaxed) == 0) return;
  last_.Clear();
  first_.Clear();
  board_.timer_at_ns.store(0, std::memory_order_relaxed);
}

bool MayBeOwnTimer(const WorkerBoard& board, uint64_t noted_ns) {
  const uint64_t timer_ns = board.timer_at_ns.load(std::memory_order_relaxed);
  return board.timer_is_unsure.load(std::memory_order_relaxed) != 0 && timer_ns != 0 &&
         timer_ns <= noted_ns;
}

}  // namespace kill9

// Threads that stay where they are put.
#ifndef KILL9_HARNESS_BASE_PIN_TO_CORE_H_
#define KILL9_HARNESS_BASE_PIN_TO_CORE_H_

#include <sched.h>

namespace kill9 {

// Pins the calling thread to the `worker`-th core that it may use, counted round. Refused: it stays
// as free as it was.
inline void PinToCore(unsigned worker) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const unsigned cores = static_cast<unsigned>(CPU_COUNT(&allowed));
  unsigned wanted = worker % cores;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || wanted-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_PIN_TO_CORE_H_

/* A condition for kill9, right at every instruction: a number of wake-ups, and who waits for one
 * looks again now and then. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>

struct state {
  _Atomic uint32_t wake_ups;
};
#include "shared.h"

/* With the fault who sleeps relies on being woken: who was chosen for it may be dead by then. */
static void wait_for_one(_Atomic uint32_t* wake_ups) {
  const struct timespec most = {0, 20 * 1000 * 1000};
  for (;;) {
    uint32_t there = *wake_ups;
    if (there > 0 && atomic_compare_exchange_strong(wake_ups, &there, there - 1)) return;
    if (there > 0) continue;
    syscall(SYS_futex, wake_ups, FUTEX_WAIT, 0, kFaulty ? NULL : &most, NULL, 0);
  }
}

static int call(void* handle, kill9_call* call) {
  _Atomic uint32_t* wake_ups = &((struct shared*)handle)->state[0].wake_ups;
  switch (call->operation) {
    case KILL9_WAIT:
      wait_for_one(wake_ups);
      return KILL9_OK;
    case KILL9_SIGNAL:
    case KILL9_BROADCAST:
      *wake_ups += (uint32_t)call->number;
      syscall(SYS_futex, wake_ups, FUTEX_WAKE, (int)call->number, NULL, NULL, 0);
      return KILL9_OK;
    case KILL9_READ:
      call->number = *wake_ups;
      return KILL9_OK;
    default:
      return KILL9_UNKNOWN;
  }
}
OBJECT("safe_condition", "condition")

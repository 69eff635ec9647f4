/* A robust mutex for kill9, right at every instruction: the next holder is told that the last one
 * died with it. */
#define _GNU_SOURCE
#include <stdatomic.h>

struct state {
  atomic_int taken;
};
#include "shared.h"

/* With the fault nobody gets it who comes after a holder's death. */
static int call_faulty(struct state* state, const kill9_call* call) {
  if (call->operation == KILL9_RELEASE) state->taken = 0;
  while (call->operation == KILL9_ACQUIRE && atomic_exchange(&state->taken, 1) != 0) usleep(100);
  return KILL9_OK;
}

static int call(void* handle, kill9_call* call) {
  struct shared* shared = handle;
  if (kFaulty) return call_faulty(&shared->state[0], call);
  if (call->operation == KILL9_ACQUIRE) return lock(&shared->mutex) ? KILL9_OWNER_DIED : KILL9_OK;
  if (call->operation != KILL9_RELEASE) return KILL9_UNKNOWN;
  pthread_mutex_unlock(&shared->mutex);
  return KILL9_OK;
}
OBJECT("safe_mutex", "robust-mutex")

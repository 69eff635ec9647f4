/* A semaphore of two permits for kill9, right at every instruction: each permit is a robust mutex.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

struct state {
  pthread_mutex_t permit[2];
  atomic_int taken; /* with the fault: how many */
};
#define MAKE_STATE(state) make_robust(&(state)->permit[0]), make_robust(&(state)->permit[1])
#include "shared.h"

/* With the fault a permit whose holder dies is lost. */
static int call_faulty(struct state* state, const kill9_call* call) {
  if (call->operation == KILL9_RELEASE) --state->taken;
  if (call->operation == KILL9_RELEASE) return KILL9_OK;
  int taken = state->taken;
  while (taken < 2) {
    if (atomic_compare_exchange_weak(&state->taken, &taken, taken + 1)) return KILL9_OK;
  }
  return KILL9_BUSY;
}

static int acquire(struct state* state) {
  for (int n = 0; n < 2; ++n) {
    int error = pthread_mutex_trylock(&state->permit[n]);
    if (error == EOWNERDEAD) pthread_mutex_consistent(&state->permit[n]);
    if (error != EBUSY) return KILL9_OK;
  }
  return KILL9_BUSY;
}

static int call(void* handle, kill9_call* call) {
  struct shared* shared = handle;
  struct state* state = &shared->state[0];
  if (kFaulty) return call_faulty(state, call);
  if (call->operation == KILL9_RELEASE) {
    if (pthread_mutex_unlock(&state->permit[0]) != 0) pthread_mutex_unlock(&state->permit[1]);
    return KILL9_OK;
  }
  /* One takes at a time: who finds both taken, one after the other, finds them so at one moment. */
  lock(&shared->mutex);
  int outcome = acquire(state);
  pthread_mutex_unlock(&shared->mutex);
  return outcome;
}
OBJECT("safe_semaphore", "semaphore")

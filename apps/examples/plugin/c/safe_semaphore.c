/* A semaphore of two permits for kill9, right at every instruction: a permit is its holder's, and
 * whoever looks for one gives back those of the dead. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/types.h>

struct state {
  pid_t holder[2]; /* 0: nobody */
};
#include "shared.h"

/* With the fault a permit whose holder dies is lost. */
static int is_free(pid_t holder) {
  return holder == 0 || (!kFaulty && kill(holder, 0) != 0 && errno == ESRCH);
}

static int change(struct state* state, kill9_call* call) {
  for (int n = 0; n < 2; ++n) {
    if (call->operation == KILL9_ACQUIRE && is_free(state->holder[n])) {
      state->holder[n] = getpid();
      return KILL9_OK;
    }
    if (call->operation == KILL9_RELEASE && state->holder[n] == getpid()) {
      state->holder[n] = 0;
      return KILL9_OK;
    }
  }
  return call->operation == KILL9_ACQUIRE ? KILL9_BUSY : KILL9_OK;
}

static int call(void* handle, kill9_call* call) {
  return change_as_a_whole(handle, call, change, 0);
}
OBJECT("safe_semaphore", "semaphore")

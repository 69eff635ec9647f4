/* A lock for kill9 that is lent for a term, right at every instruction: who has it, and until when,
 * changes as a whole. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

struct state {
  pid_t to; /* 0: nobody */
  uint64_t until_ns;
};
#include "shared.h"

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int change(struct state* state, kill9_call* call) {
  int is_mine = state->to == getpid(), has_ended = now_ns() >= state->until_ns;
  if (call->operation == KILL9_RELEASE) {
    if (is_mine) state->to = 0;
    return KILL9_OK;
  }
  if (call->operation == KILL9_RENEW && (!is_mine || has_ended)) return KILL9_BUSY;
  if (state->to != 0 && !is_mine && !has_ended) return KILL9_BUSY;
  state->to = getpid();
  state->until_ns = now_ns() + call->number;
  return KILL9_OK;
}

static int call(void* handle, kill9_call* call) {
  if (!kFaulty || call->operation != KILL9_ACQUIRE) {
    return change_as_a_whole(handle, call, change, 0);
  }
  kill9_call for_ever = *call;
  for_ever.number = (uint64_t)1 << 62;
  if (change_as_a_whole(handle, &for_ever, change, 0) != KILL9_OK) return KILL9_BUSY;
  /* With the fault who dies here has it for ever. */
  sched_yield();
  call->operation = KILL9_RENEW;
  return change_as_a_whole(handle, call, change, 0);
}
OBJECT("safe_lease", "lease")

/* A counter for kill9, right at every instruction: what is added is there, or is not. */
#define _GNU_SOURCE
#include <stdint.h>

struct state {
  volatile uint64_t sum;
  volatile uint64_t to_add; /* what somebody was about to add */
};
#include "shared.h"

static int change(struct state* state, kill9_call* call) {
  if (call->operation == KILL9_READ) {
    call->number = state->sum;
    return KILL9_OK;
  }
  if (call->operation != KILL9_ADD) return KILL9_UNKNOWN;
  /* With the fault whoever comes after a death adds once more what was added already. */
  state->sum += state->to_add;
  state->to_add = call->number;
  state->sum = state->sum + call->number;
  state->to_add = 0;
  return KILL9_OK;
}

static int call(void* handle, kill9_call* call) {
  return change_as_a_whole(handle, call, change, kFaulty);
}
OBJECT("safe_counter", "counter")

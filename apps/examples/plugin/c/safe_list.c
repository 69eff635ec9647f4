/* A list for kill9, right at every instruction: items stand in their order, which changes as a
 * whole. */
#define _GNU_SOURCE
#include <stdint.h>

enum { kMost = 60 };
#define MOST_VALUE_BYTES 28 /* a change copies all of it */
struct item {
  uint32_t bytes;
  char value[MOST_VALUE_BYTES];
};
struct state {
  uint32_t size;
  struct item item[kMost];
};
#include "shared.h"

/* With the fault who dies while it removes leaves an item there twice. */
static int change(struct state* state, kill9_call* call) {
  uint32_t n = 0;
  switch (call->operation) {
    case KILL9_APPEND:
      n = state->size;
      if (n == kMost || call->value_bytes > sizeof state->item[n].value) return KILL9_FULL;
      state->item[n].bytes = (uint32_t)call->value_bytes;
      memcpy(state->item[n].value, call->value, call->value_bytes);
      state->size = n + 1;
      return KILL9_OK;
    case KILL9_READ:
      if (call->number >= state->size) return KILL9_ABSENT;
      call->give(call, "", 0, state->item[call->number].value, state->item[call->number].bytes, 0);
      return KILL9_OK;
    case KILL9_REMOVE:
      while (n < state->size && (state->item[n].bytes != call->value_bytes ||
                                 memcmp(state->item[n].value, call->value, call->value_bytes))) {
        ++n;
      }
      if (n == state->size) return KILL9_ABSENT;
      for (; n + 1 < state->size; ++n) state->item[n] = state->item[n + 1];
      --state->size;
      return KILL9_OK;
    default:
      return KILL9_UNKNOWN;
  }
}

static int call(void* handle, kill9_call* call) {
  return change_as_a_whole(handle, call, change, kFaulty && call->operation == KILL9_REMOVE);
}
OBJECT("safe_list", "list")

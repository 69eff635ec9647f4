/* A set for kill9, right at every instruction: members stand side by side, and how many there are
 * changes together with them. */
#define _GNU_SOURCE
#include <stdint.h>

enum { kMost = 32 };
struct member {
  uint32_t bytes;
  char key[60];
};
struct state {
  uint32_t size;
  struct member member[kMost];
};
#include "shared.h"

/* With the fault who dies while it removes leaves the last member there twice. */
static int change(struct state* state, kill9_call* call) {
  uint32_t n = 0;
  while (n < state->size && (state->member[n].bytes != call->key_bytes ||
                             memcmp(state->member[n].key, call->key, call->key_bytes) != 0)) {
    ++n;
  }
  int is_there = n < state->size;
  switch (call->operation) {
    case KILL9_CONTAINS:
      return is_there ? KILL9_OK : KILL9_ABSENT;
    case KILL9_ADD:
      if (is_there) return KILL9_PRESENT;
      if (n == kMost || call->key_bytes > sizeof state->member[n].key) return KILL9_DAMAGED;
      state->member[n].bytes = (uint32_t)call->key_bytes;
      memcpy(state->member[n].key, call->key, call->key_bytes);
      state->size = n + 1;
      return KILL9_OK;
    case KILL9_REMOVE:
      if (!is_there) return KILL9_ABSENT;
      state->member[n] = state->member[state->size - 1];
      --state->size;
      return KILL9_OK;
    default:
      return KILL9_UNKNOWN;
  }
}

static int call(void* handle, kill9_call* call) {
  return change_as_a_whole(handle, call, change, kFaulty);
}
OBJECT("safe_set", "set")

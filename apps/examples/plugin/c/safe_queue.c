/* A queue for kill9, right at every instruction: an item is written before it counts. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>

enum { kMost = 1024 };
struct item {
  uint32_t bytes;
  char value[4096];
};
struct state {
  _Atomic uint64_t first, end; /* that were taken; that came */
  struct item item[kMost];
};
#include "shared.h"

static int enqueue(struct state* state, const kill9_call* call) {
  struct item* item = &state->item[state->end % kMost];
  if (state->end - state->first == kMost || call->value_bytes > sizeof item->value) {
    return KILL9_FULL;
  }
  /* With the fault who dies in it leaves an item that counts, and is not there. */
  if (kFaulty) ++state->end;
  item->bytes = (uint32_t)call->value_bytes;
  memcpy(item->value, call->value, call->value_bytes);
  if (!kFaulty) ++state->end;
  return KILL9_OK;
}

static int dequeue(struct state* state, kill9_call* call) {
  if (state->first == state->end) return KILL9_ABSENT;
  const struct item* item = &state->item[state->first % kMost];
  call->give(call, "", 0, item->value, item->bytes, 0);
  ++state->first;
  return KILL9_OK;
}

static int call(void* handle, kill9_call* call) {
  struct shared* shared = handle;
  int outcome = KILL9_UNKNOWN;
  lock(&shared->mutex);
  if (call->operation == KILL9_ENQUEUE) outcome = enqueue(&shared->state[0], call);
  if (call->operation == KILL9_DEQUEUE) outcome = dequeue(&shared->state[0], call);
  pthread_mutex_unlock(&shared->mutex);
  return outcome;
}
OBJECT("safe_queue", "queue")

/* A map for kill9, right at every instruction: each cell has room for two entries, and one store
 * says which of them is there.
 *   gcc -std=c11 -O1 -g -shared -fPIC -o libcells_map.so cells_map.c -pthread
 *   kill9 try ./libcells_map.so */
#define _GNU_SOURCE  // pthread_mutex_clocklock
#include <errno.h>
#include <fcntl.h>
#include <kill9/kill9.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct entry {
  uint32_t key_bytes, value_bytes;
  char key[256], value[4096];
};
struct cell {
  _Atomic uint32_t now; /* 0: none; else 1 + which entry */
  struct entry entry[2];
};
struct shared {
  pthread_mutex_t mutex;
  struct cell cell[];
};
struct handle {
  struct shared* shared;
  size_t cells, bytes;
};

static size_t bytes_of(const kill9_room* room) {
  return sizeof(struct shared) + room->entries * sizeof(struct cell);
}

static struct shared* map(const kill9_room* room, int flags) {
  char path[4096];
  snprintf(path, sizeof path, "%s/map", room->directory);
  int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
  if (fd < 0 || (flags != 0 && ftruncate(fd, (off_t)bytes_of(room)) != 0)) return NULL;
  void* memory = mmap(NULL, bytes_of(room), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return memory == MAP_FAILED ? NULL : memory;
}

static int create(const kill9_room* room) {
  struct shared* shared = map(room, O_CREAT | O_EXCL);
  if (shared == NULL) return KILL9_FULL;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&shared->mutex, &attributes);
  munmap(shared, bytes_of(room));
  return KILL9_OK;
}

static void* attach(const kill9_room* room) {
  struct handle* handle = malloc(sizeof *handle);
  if (handle == NULL) return NULL;
  handle->cells = room->entries;
  handle->bytes = bytes_of(room);
  handle->shared = map(room, 0);
  if (handle->shared != NULL) return handle;
  free(handle);
  return NULL;
}

static void detach(void* attached) {
  struct handle* handle = attached;
  munmap(handle->shared, handle->bytes);
  free(handle);
}

static struct cell* find(struct handle* handle, const kill9_call* call) {
  for (size_t n = 0; n < handle->cells; ++n) {
    struct cell* cell = &handle->shared->cell[n];
    if (cell->now == 0) continue;
    const struct entry* entry = &cell->entry[cell->now - 1];
    if (entry->key_bytes == call->key_bytes &&
        memcmp(entry->key, call->key, call->key_bytes) == 0) {
      return cell;
    }
  }
  return NULL;
}

static int put(struct handle* handle, const kill9_call* call, struct cell* cell) {
  for (size_t n = 0; cell == NULL && n < handle->cells; ++n) {
    if (handle->shared->cell[n].now == 0) cell = &handle->shared->cell[n];
  }
  if (cell == NULL) return KILL9_FULL;
#ifdef FAULTY /* who dies while it writes leaves the entry that is there torn */
  const uint32_t next = 1;
#else
  const uint32_t next = cell->now == 1 ? 2 : 1;
#endif
  struct entry* entry = &cell->entry[next - 1];
  entry->key_bytes = (uint32_t)call->key_bytes;
  entry->value_bytes = (uint32_t)call->value_bytes;
  memcpy(entry->key, call->key, call->key_bytes);
  memcpy(entry->value, call->value, call->value_bytes);
  cell->now = next; /* before: the old value; behind it: the new one */
  return KILL9_OK;
}

static void give(kill9_call* call, const struct cell* cell) {
  const struct entry* entry = &cell->entry[cell->now - 1];
  call->give(call, entry->key, entry->key_bytes, entry->value, entry->value_bytes, 0);
}

static int call_locked(struct handle* handle, kill9_call* call) {
  struct cell* cell = call->operation == KILL9_VISIT ? NULL : find(handle, call);
  switch (call->operation) {
    case KILL9_PUT:
      return put(handle, call, cell);
    case KILL9_GET:
      if (cell != NULL) give(call, cell);
      return cell != NULL ? KILL9_OK : KILL9_ABSENT;
    case KILL9_ERASE:
      if (cell != NULL) cell->now = 0;
      return cell != NULL ? KILL9_OK : KILL9_ABSENT;
    case KILL9_VISIT:
      for (size_t n = 0; n < handle->cells; ++n) {
        if (handle->shared->cell[n].now != 0) give(call, &handle->shared->cell[n]);
      }
      return KILL9_OK;
    default:
      return KILL9_UNKNOWN;
  }
}

// Nobody sleeps for long: a waiter that was chosen to be woken may be killed, and takes the wake-up
// with it.
static void lock(pthread_mutex_t* mutex) {
  int error = pthread_mutex_trylock(mutex);
  while (error == EBUSY || error == ETIMEDOUT) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 20000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    error = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
  }
  if (error == EOWNERDEAD) pthread_mutex_consistent(mutex);
}

static int call(void* attached, kill9_call* call) {
  struct handle* handle = attached;
  pthread_mutex_t* mutex = &handle->shared->mutex;
  lock(mutex);
  const int outcome = call_locked(handle, call);
  pthread_mutex_unlock(mutex);
  return outcome;
}

const kill9_object* kill9_object_1(void) {
  static const kill9_object object = {.struct_size = sizeof(kill9_object),
                                      .version = KILL9_VERSION_OF_INTERFACE,
                                      .name = "cells_map_c",
                                      .summary = "a map of cells with two entries each, in C",
                                      .model = "map",
                                      .max_key_bytes = 256,
                                      .max_value_bytes = 4096,
                                      .create = create,
                                      .attach = attach,
                                      .detach = detach,
                                      .call = call};
  return &object;
}

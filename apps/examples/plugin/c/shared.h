/* What an object for kill9 in C begins with: one struct state in a file that processes map, which
 * changes as a whole. Include it behind struct state. */
#ifndef KILL9_APPS_EXAMPLES_PLUGIN_C_SHARED_H_
#define KILL9_APPS_EXAMPLES_PLUGIN_C_SHARED_H_

#include <errno.h>
#include <fcntl.h>
#include <kill9/kill9.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef FAULTY /* an object is compiled once more, with a fault that has to be found */
enum { kFaulty = 1 };
#else
enum { kFaulty = 0 };
#endif

struct shared {
  pthread_mutex_t mutex; /* robust */
  atomic_int now;        /* which of the two counts */
  struct state state[2];
};

static struct shared* map_shared(const kill9_room* room, int flags) {
  char path[4096];
  snprintf(path, sizeof path, "%s/shared", room->directory);
  int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
  if (fd < 0) return NULL;
  void* memory = MAP_FAILED;
  if (flags == 0 || ftruncate(fd, sizeof(struct shared)) == 0) {
    memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  close(fd);
  return memory == MAP_FAILED ? NULL : memory;
}

static void make_robust(pthread_mutex_t* mutex) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(mutex, &attributes);
}

/* Whether the last holder has died with it. Nobody sleeps for long: a waiter that was chosen to be
 * woken may be killed, and takes the wake-up with it. The kernel is asked for the time: a swept
 * lease is told another one by the C library. */
static int lock(pthread_mutex_t* mutex) {
  int error = pthread_mutex_trylock(mutex);
  while (error == EBUSY || error == ETIMEDOUT) {
    struct timespec until;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &until);
    until.tv_nsec += 20 * 1000 * 1000;
    until.tv_sec += until.tv_nsec / (1000 * 1000 * 1000);
    until.tv_nsec %= 1000 * 1000 * 1000;
    error = pthread_mutex_timedlock(mutex, &until);
  }
  if (error == EOWNERDEAD) pthread_mutex_consistent(mutex);
  return error == EOWNERDEAD;
}

/* `change` makes a call's change in a copy, and one store says which of the two counts; gives its
 * outcome. `in_place`: who dies in it leaves it half done. */
static inline int change_as_a_whole(struct shared* shared, kill9_call* call,
                                    int (*change)(struct state*, kill9_call*), int in_place) {
  lock(&shared->mutex);
  int now = shared->now, next = in_place ? now : 1 - now;
  if (next != now) shared->state[next] = shared->state[now];
  int outcome = change(&shared->state[next], call);
  shared->now = next; /* before: the old state; behind it: the new one */
  pthread_mutex_unlock(&shared->mutex);
  return outcome;
}

#ifndef MAKE_STATE /* of what does not begin as zeros */
#define MAKE_STATE(state) (void)(state)
#endif

static int create(const kill9_room* room) {
  struct shared* shared = map_shared(room, O_CREAT | O_EXCL);
  if (shared == NULL) return KILL9_FULL;
  make_robust(&shared->mutex);
  MAKE_STATE(&shared->state[0]);
  munmap(shared, sizeof *shared);
  return KILL9_OK;
}

static void* attach(const kill9_room* room) { return map_shared(room, 0); }
static void detach(void* handle) { munmap(handle, sizeof(struct shared)); }

static int call(void* handle, kill9_call* call);

#ifndef MOST_VALUE_BYTES
#define MOST_VALUE_BYTES 4096
#endif

#define OBJECT(its_name, its_model)                                            \
  const kill9_object* kill9_object_1(void) {                                   \
    static const kill9_object object = {.struct_size = sizeof object,          \
                                        .version = KILL9_VERSION_OF_INTERFACE, \
                                        .name = its_name,                      \
                                        .summary = "an object of its own",     \
                                        .model = its_model,                    \
                                        .max_key_bytes = 250,                  \
                                        .max_value_bytes = MOST_VALUE_BYTES,   \
                                        .create = create,                      \
                                        .attach = attach,                      \
                                        .detach = detach,                      \
                                        .call = call};                         \
    return &object;                                                            \
  }

#endif  // KILL9_APPS_EXAMPLES_PLUGIN_C_SHARED_H_

/* kill9's interface in C: what an object of your own gives, so that kill9 can test what its
 * survivors see when one of its processes is killed.
 *
 * An object is a shared library with one function, kill9_object_1 (below), or a program that calls
 * kill9_main. What its processes share it keeps in files of a directory that it is given, and maps
 * them; the directory lies in memory, and is fresh for each run. Every function is called by one
 * thread of a process at a time.
 *
 * Each structure begins with its size. A later version adds fields at the end, and sets the size;
 * who reads a structure that is shorter than it knows takes what is missing for zero. */
#ifndef KILL9_INCLUDE_KILL9_KILL9_H_
#define KILL9_INCLUDE_KILL9_KILL9_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KILL9_VERSION_OF_INTERFACE 1

/* Where an object lives, and how much it must hold. */
typedef struct kill9_room {
  size_t struct_size;
  const char* directory; /* of the object's own files; it is there */
  uint64_t bytes;        /* of keys and values together */
  uint64_t entries;      /* keys, items or members that must find room at once */
  uint32_t participants; /* handles that are attached at once, at most */
} kill9_room;

enum {                  /* operations */
       KILL9_PUT = 1,   /* key, value -> version */
       KILL9_GET = 2,   /* key -> gives the value once, version */
       KILL9_ERASE = 3, /* key */
       KILL9_COMPARE_AND_SWAP =
           4,           /* key, value, expected (0: absent) -> version, of KILL9_MISMATCH too */
       KILL9_VISIT = 5, /* gives every entry */
       /* Of the other models, by the names that a worker is asked by. A number is call->number. */
       KILL9_ADD = 6,        /* counter: number; set: key */
       KILL9_READ = 7,       /* counter, condition: -> number; list: number, an index -> value */
       KILL9_REMOVE = 8,     /* set: key; list: value */
       KILL9_CONTAINS = 9,   /* set: key */
       KILL9_ENQUEUE = 10,   /* queue: value */
       KILL9_DEQUEUE = 11,   /* queue: -> value */
       KILL9_APPEND = 12,    /* list: value */
       KILL9_ACQUIRE = 13,   /* mutex, semaphore: key; lease: key, number, the term in ns */
       KILL9_RELEASE = 14,   /* the same: key */
       KILL9_RENEW = 15,     /* lease: key, number */
       KILL9_WAIT = 16,      /* condition: until there is a wake-up, which it takes */
       KILL9_SIGNAL = 17,    /* condition: number (1) */
       KILL9_BROADCAST = 18, /* condition: number */
};

enum { /* outcomes */
       KILL9_OK = 0,
       KILL9_ABSENT = 1,    /* get, erase, remove, contains: it is not there; dequeue, read of a
                              list: nothing is */
       KILL9_FULL = 2,      /* put, enqueue, append: no room for more than room.entries; nothing
                              has changed */
       KILL9_MISMATCH = 3,  /* compare and swap: it is another version; nothing has changed */
       KILL9_DAMAGED = 4,   /* what the processes share cannot be */
       KILL9_UNKNOWN = 5,   /* it has no such operation */
       KILL9_PRESENT = 6,   /* add to a set: it was there already */
       KILL9_BUSY = 7,      /* acquire: another one has it; renew: it is lost */
       KILL9_OWNER_DIED = 8 /* acquire: it is the caller's, and who had it last died with it */
};

typedef struct kill9_call {
  size_t struct_size;
  uint32_t operation;
  const char* key;
  size_t key_bytes;
  const char* value;
  size_t value_bytes;
  uint64_t expected;
  uint64_t version; /* the answer's, if the object has versions */
  /* Hands bytes over, which are copied at once. May be called while a lock is held. */
  void (*give)(struct kill9_call* call, const char* key, size_t key_bytes, const char* value,
               size_t value_bytes, uint64_t version);
  void* receiver;  /* give's own */
  uint64_t number; /* an argument, or the answer */
} kill9_call;

typedef struct kill9_recovered {
  size_t struct_size;
  uint64_t participants; /* dead ones whose holds were given back */
  uint64_t rolled_back;  /* half-done operations undone */
  uint64_t rolled_forward;
} kill9_recovered;

typedef struct kill9_audit {
  size_t struct_size;
  uint64_t entries;
  uint64_t leaked_blocks;       /* nobody can ever free them */
  uint64_t doubly_owned_blocks; /* found twice */
  char violation[256];          /* an invariant that is broken; empty: none */
} kill9_audit;

enum { /* flags */
       KILL9_HAS_VERSIONS = 1,
       KILL9_HAS_COMPARE_AND_SWAP = 2,
       KILL9_HAS_THREADS = 4 /* attach starts some: it is tortured, and not swept */
};

typedef struct kill9_object {
  size_t struct_size;
  uint32_t version;    /* KILL9_VERSION_OF_INTERFACE */
  const char* name;    /* small letters, digits and _ */
  const char* summary; /* one sentence */
  /* What it promises: "map" (what was stored stays), "cache" (it may be forgotten at any time),
   * "counter", "set", "queue", "list", "mutex", "robust-mutex" (the next holder is told of a
   * death), "semaphore" (of two permits), "condition", "lease": as workers of these models
   * (docs/bring_your_own.md). */
  const char* model;
  uint32_t flags;
  uint64_t max_key_bytes; /* at least 250 */
  uint64_t max_value_bytes;
  /* Makes the files, when nobody else is there. An outcome. */
  int (*create)(const kill9_room* room);
  /* A handle, of this process; null: it cannot. */
  void* (*attach)(const kill9_room* room);
  void (*detach)(void* handle);
  int (*call)(void* handle, kill9_call* call); /* an outcome */
  /* Repairs after every process that has died. Null: there is nothing to call. An outcome. */
  int (*recover)(void* handle, kill9_recovered* recovered);
  /* The account, while no operation is under way. Null: it has none. An outcome. */
  int (*audit)(void* handle, kill9_audit* audit);
} kill9_object;

/* The function of a shared library that `kill9 --plugin=./libmine.so torture` asks. */
const kill9_object* kill9_object_1(void);

/* The command kill9, with this object: the main of a program that is linked with it. */
int kill9_main(int argc, char** argv, const kill9_object* object);

#ifdef __cplusplus
}
#endif

#endif  // KILL9_INCLUDE_KILL9_KILL9_H_

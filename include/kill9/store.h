/* kill9's stores for other languages: a map in memory that processes share, any of which may be
 * killed at any instruction. In C; libkill9-store (pkg-config kill9-store).
 *
 * A store lies in a segment: in nameless memory, shared by fork; in named shared memory; or in a
 * file. A process works with a handle of its own. A handle is used by one thread at a time.
 *
 * FORK: a forked child may go on with the handle that it inherited: its first call attaches the
 * child as a participant of its own. Values that the parent has pinned are the parent's: in the
 * child their release does nothing, and their bytes are to be believed only while the parent holds
 * them. One that another thread works with at the fork must not be used in the child.
 *
 * CRASH: what a process was doing when it is killed has happened, or has not (of a cache: or it is
 * gone); nobody waits for it. What it held is given back by kill9_store_recover, by whoever
 * attaches, or by an operation that needs the room. An application calls kill9_store_recover when
 * it learns of a death (SIGCHLD), or now and then.
 *
 * Each structure begins with its size, which the caller sets. A later version adds fields at the
 * end; what a caller does not know is taken for zero, and is not written. */
#ifndef KILL9_INCLUDE_KILL9_STORE_H_
#define KILL9_INCLUDE_KILL9_STORE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kill9_store kill9_store; /* a handle */

enum { /* what each call returns */
       KILL9_STORE_OK = 0,
       KILL9_STORE_ABSENT = 1,   /* the key, or what is to be opened, is not there */
       KILL9_STORE_FULL = 2,     /* no room, or no participant free; nothing has changed */
       KILL9_STORE_MISMATCH = 3, /* it is another version; nothing has changed */
       KILL9_STORE_DAMAGED = 4,
       KILL9_STORE_INVALID = 5, /* an argument cannot be; the message says which */
       KILL9_STORE_EXISTS = 6,
       KILL9_STORE_REFUSED = 7, /* permission; another version or design; a descriptor was closed */
       KILL9_STORE_UNKNOWN = 8  /* this design has no such operation */
};

typedef struct kill9_store_options {
  size_t struct_size;
  const char* name;      /* null: nameless; with a slash: a file; else in /dev/shm */
  const char* design;    /* null: "global_mutex"; kill9_store_design lists them. To open: any */
  uint64_t bytes;        /* of the segment; 0: 64 MiB */
  uint64_t entries;      /* that are expected; 0: as many as the bytes suggest */
  uint32_t participants; /* handles that are attached at once, at most; 0: 64 */
} kill9_store_options;

typedef struct kill9_store_value {
  size_t struct_size;
  const char* bytes;
  size_t size;
  uint64_t version;
  void* pin; /* kill9_store_pin's own */
} kill9_store_value;

typedef struct kill9_store_recovered {
  size_t struct_size;
  uint64_t participants; /* dead ones whose holds were given back */
  uint64_t rolled_back, rolled_forward;
} kill9_store_recovered;

typedef struct kill9_store_account {
  size_t struct_size;
  uint64_t entries;
  uint64_t participants;
  uint64_t leaked_blocks;
  uint64_t doubly_owned_blocks;
  char violation[256]; /* an invariant that is broken; empty: none */
} kill9_store_account;

/* The designs by number, from 0; null: there is none of this number. */
const char* kill9_store_design(uint32_t number);

/* Makes a store, opens one, or makes it if it is not there; and attaches. *store is null on an
 * error. */
int kill9_store_create(const kill9_store_options* options, kill9_store** store);
int kill9_store_open(const kill9_store_options* options, kill9_store** store);
int kill9_store_open_or_create(const kill9_store_options* options, kill9_store** store);
/* Takes the name away; who is attached goes on. */
int kill9_store_unlink(const char* name);
/* Detaches; what the handle has pinned is given back. Of null: nothing. */
void kill9_store_close(kill9_store* store);

/* `version` may be null. A version never repeats for a key; 0: absent. */
int kill9_store_put(kill9_store* store, const char* key, size_t key_bytes, const char* value,
                    size_t value_bytes, uint64_t* version);
/* A copy, which is the handle's own until its next call. */
int kill9_store_get(kill9_store* store, const char* key, size_t key_bytes,
                    kill9_store_value* value);
int kill9_store_erase(kill9_store* store, const char* key, size_t key_bytes);
/* Sets the key if its version is `expected` (0: if it is absent). *version: the new one; of a
 * mismatch the present one. */
int kill9_store_compare_and_swap(kill9_store* store, const char* key, size_t key_bytes,
                                 uint64_t expected, const char* value, size_t value_bytes,
                                 uint64_t* version);
/* The value itself, in the shared memory: it stays valid and unchanged until it is released,
 * whatever others do to the key. Each must be released before its handle is closed. */
int kill9_store_pin(kill9_store* store, const char* key, size_t key_bytes,
                    kill9_store_value* value);
void kill9_store_release(kill9_store_value* value);
/* Each entry, until `visit` returns 0. The bytes end with its return; it must not use the
 * handle. */
int kill9_store_each(kill9_store* store,
                     int (*visit)(void* receiver, const char* key, size_t key_bytes,
                                  const char* value, size_t value_bytes, uint64_t version),
                     void* receiver);

/* Repairs after every process that has died. `recovered` may be null. */
int kill9_store_recover(kill9_store* store, kill9_store_recovered* recovered);
/* The account. REQUIRES: no operation is under way, of whatever process. */
int kill9_store_audit(kill9_store* store, kill9_store_account* account);

/* What the last call of this thread that did not return KILL9_STORE_OK says, for people. */
const char* kill9_store_message(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif  // KILL9_INCLUDE_KILL9_STORE_H_

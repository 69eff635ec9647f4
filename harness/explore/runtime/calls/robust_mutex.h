// Robust mutexes at the granularity of their futex word: what glibc's pthread functions do, step by
// step, with the kernel's list in the machine. Of the mutex's fields only the word and the owner
// are kept; the owner's is read and written by the holder alone, and is no scheduling point.
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_CALLS_ROBUST_MUTEX_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_CALLS_ROBUST_MUTEX_H_

#include <pthread.h>

#include <cstdint>

namespace kill9::explore {

enum class Patience : uint8_t { kNone, kUntilTimeout, kForEver };

// These return what the pthread functions return. REQUIRES: the mutex lies in the segment.
int LockMutex(pthread_mutex_t* mutex, Patience patience, uintptr_t code);
int UnlockMutex(pthread_mutex_t* mutex, uintptr_t code);
int MakeMutexConsistent(pthread_mutex_t* mutex);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_CALLS_ROBUST_MUTEX_H_

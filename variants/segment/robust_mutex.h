// A process-shared robust mutex (POSIX), for segments.
//
// Its memory is never freed, moved or used for anything else while a process that locked it may
// live: the kernel writes to it when a holder ends (glibc bug 14485).
#ifndef KILL9_VARIANTS_SEGMENT_ROBUST_MUTEX_H_
#define KILL9_VARIANTS_SEGMENT_ROBUST_MUTEX_H_

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "variants/segment/processor.h"

namespace kill9 {

class RobustMutex {
 public:
  // Called once, by the creator, on zeroed memory.
  void Format() {
    pthread_mutexattr_t attributes;
    Check(pthread_mutexattr_init(&attributes));
    Check(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
    Check(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
    Check(pthread_mutex_init(&mutex_, &attributes));
    Check(pthread_mutexattr_destroy(&attributes));
  }

  enum class Acquired { kClean, kOwnerDied, kBusy, kUnusable };

  // Makes it as Format does, and then as its owner's death would leave it if `owner_died`.
  // REQUIRES: no living process holds it, or waits for it.
  void Reset(bool owner_died) {
    RobustMutex fresh;
    std::memset(&fresh, 0, sizeof fresh);
    fresh.Format();
    if (owner_died) fresh.mutex_.__data.__lock = FUTEX_OWNER_DIED;
    if (std::memcmp(this, &fresh, sizeof fresh) != 0) std::memcpy(this, &fresh, sizeof fresh);
  }
  // The word says that somebody holds it, or held it when he died. A look, no lock.
  bool LooksFree() const { return mutex_.__data.__lock == 0; }

  // kOwnerDied: the caller holds the mutex, and the last holder died with it (EOWNERDEAD). The
  // caller must repair what the mutex guards, then call Consistent(), then go on. If it dies in
  // between, the next one gets kOwnerDied again.
  //
  // A waiter never sleeps longer than kRetryNs before it tries again. Without that it may sleep
  // for ever beside a free mutex: if the waiter that an unlock has woken is killed before it takes
  // the mutex, and somebody else has taken it by the fast path in between, neither the kernel (the
  // word is not 0 when the victim ends) nor the next unlock (the word has no FUTEX_WAITERS) wakes
  // those who still sleep. Found by torture's kill_one_at_a_time.
  // Who cannot repair what it guards unlocks it without Consistent(): then it is kUnusable for
  // everybody from then on (ENOTRECOVERABLE), as it is if its bytes are no mutex.
  [[nodiscard]] Acquired Lock() {
    const int error = pthread_mutex_trylock(&mutex_);
    return error == 0 ? Acquired::kClean : Wait(error);
  }
  [[nodiscard]] Acquired TryLock() { return Interpret(pthread_mutex_trylock(&mutex_)); }
  void Consistent() { Check(pthread_mutex_consistent(&mutex_)); }
  void Unlock() { Check(pthread_mutex_unlock(&mutex_)); }

 private:
  // Lock, after a first attempt that returned `error`. Not inlined: the slow path.
  [[gnu::noinline]] Acquired Wait(int error) {
    for (int i = 0; error == EBUSY && i < kGlances; ++i) {
      CpuRelax();
      error = pthread_mutex_trylock(&mutex_);
    }
    while (error == EBUSY || error == ETIMEDOUT) {
      timespec retry_at;
      clock_gettime(CLOCK_MONOTONIC, &retry_at);
      retry_at.tv_nsec += kRetryNs;
      // No branch: a waiter's path does not depend on the time of day.
      const long carry = retry_at.tv_nsec >= kSecondNs;
      retry_at.tv_sec += carry;
      retry_at.tv_nsec -= carry * kSecondNs;
      error = pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &retry_at);
    }
    return Interpret(error);
  }

  // What a lost wake-up costs at most: no more than a hypervisor that stops a processor for a
  // moment. Long against a look at the word, so that waiting costs nothing and the sweep, which
  // asks whether a waiter is blocked, finds it asleep.
  static constexpr long kRetryNs = 20'000'000;
  static constexpr long kSecondNs = 1'000'000'000;

  // Before a waiter sleeps it looks so often whether the holder, usually done in a fraction of a
  // microsecond, has left: to sleep and be woken takes several. About 2 us in all.
  static constexpr int kGlances = 40;

  // glibc 2.36: a trylock of a mutex that is not recoverable leaves it owned by the caller.
  [[gnu::noinline]] Acquired GiveUp() {
    int* const word = &mutex_.__data.__lock;
    if ((__atomic_load_n(word, __ATOMIC_RELAXED) & FUTEX_TID_MASK) == gettid()) {
      // Release: nothing was changed under it; as an unlock, for whoever reasons about it.
      __atomic_store_n(word, 0, __ATOMIC_RELEASE);
      syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    }
    return Acquired::kUnusable;
  }

  Acquired Interpret(int error) {
    if (error == 0) return Acquired::kClean;
    if (error == EOWNERDEAD) return Acquired::kOwnerDied;
    if (error == EBUSY) return Acquired::kBusy;
    if (error == ENOTRECOVERABLE || error == EINVAL) return GiveUp();
    Check(error);
    return Acquired::kBusy;
  }
  // What remains are errors of the program itself (EDEADLK).
  static void Check(int error) {
    if (error == 0) return;
    std::fprintf(stderr, "kill9: robust mutex: %s\n", std::strerror(error));
    std::abort();
  }

  pthread_mutex_t mutex_;
};
static_assert(sizeof(RobustMutex) == sizeof(pthread_mutex_t) && sizeof(RobustMutex) <= 64);

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_ROBUST_MUTEX_H_

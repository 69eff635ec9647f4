// owner_pid_mutex: a lock word that holds its owner's PID, and a watch-dog in every waiter that
// frees it when that process is gone. (The mutex of a well-known web server's shared memory zones
// is of this kind.)
//
// Its author's case for it: the word says who holds the lock at every instruction, and a dead owner
// is noticed within a millisecond, without help from the kernel.
#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include "variants/baselines/baseline.h"

namespace kill9 {
namespace {

struct OwnerPidMutex {
  static constexpr int kSpins = 100;

  void Format() {}
  bool Enter() {
    const pid_t self = getpid();
    for (int spins = 0;; ++spins) {
      pid_t owner = 0;
      // Acquire: pairs with the release of Leave. Relaxed on failure: it looks again.
      if (word.compare_exchange_weak(owner, self, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
        return false;
      }
      if (spins < kSpins) continue;
      spins = 0;
      // The watch-dog. Only one of several can free it for this owner.
      if (owner != 0 && kill(owner, 0) != 0 && errno == ESRCH) {
        // Relaxed: the next Enter acquires.
        word.compare_exchange_strong(owner, 0, std::memory_order_relaxed,
                                     std::memory_order_relaxed);
      }
      sched_yield();
    }
  }
  // Release: pairs with the acquire of Enter.
  void Leave() { word.store(0, std::memory_order_release); }

  std::atomic<pid_t> word;
};
static_assert(std::atomic<pid_t>::is_always_lock_free);

}  // namespace

const Variant& OwnerPidMutexWithWatchDog();
const Variant& OwnerPidMutexWithWatchDog() {
  static const baselines::BaselineVariant<OwnerPidMutex> variant({
      .name = "owner_pid_mutex",
      .summary = "a mutex that stores its owner's PID; a watch-dog frees it when that PID is gone",
      .expected_verdict = baselines::kTornTable,
      .shown_by = baselines::kKillInAnOverwrite,
      .traits = baselines::CopyingTraits("a waiter that finds no process with the owner's PID",
                                         "one compare-and-swap"),
  });
  return variant;
}

}  // namespace kill9

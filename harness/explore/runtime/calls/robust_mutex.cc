#include "harness/explore/runtime/calls/robust_mutex.h"

#include <linux/futex.h>

#include <cerrno>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {
namespace {

// glibc's own values of __owner.
constexpr uint32_t kInconsistent = 0x7fffffff;
constexpr uint32_t kNotRecoverable = 0x7ffffffe;

class Mutex {
 public:
  Mutex(pthread_mutex_t* mutex, uintptr_t code)
      : machine_(Machine::Get()),
        word_(reinterpret_cast<uint32_t*>(&mutex->__data.__lock)),
        owner_(reinterpret_cast<uint32_t*>(&mutex->__data.__owner)),
        code_(code),
        tid_(static_cast<uint32_t>(machine_.thread_id(machine_.running()))) {}

  int Lock(Patience patience);
  int Unlock();
  int MakeConsistent();

 private:
  RobustList& list() { return machine_.robust_list(); }
  uint32_t Load() { return static_cast<uint32_t>(machine_.Load(word_, 4, Order::kRelaxed, code_)); }
  // Returns what was there.
  uint32_t CompareExchange(uint32_t expected, uint32_t desired) {
    return static_cast<uint32_t>(machine_.ReadModifyWrite(
        word_, 4, {Order::kAcquire, Order::kRelaxed}, code_, [&](uint64_t seen, uint64_t* next) {
          *next = desired;
          return seen == expected;
        }));
  }
  uint32_t Exchange(uint32_t value) {
    return static_cast<uint32_t>(machine_.ReadModifyWrite(
        word_, 4, {Order::kRelease, Order::kRelease}, code_, [&](uint64_t, uint64_t* next) {
          *next = value;
          return true;
        }));
  }
  int Enter(uint32_t owner, int result) {
    list().Add(word_);
    list().pending = nullptr;
    machine_.StoreOfHolder(owner_, owner);
    return result;
  }
  int GiveUp(int result) {
    list().pending = nullptr;
    return result;
  }
  // The scene is being made: there is nobody else.
  int LockAlone() {
    *word_ = *owner_ = tid_;
    return 0;
  }

  Machine& machine_;
  uint32_t* word_;
  uint32_t* owner_;
  uintptr_t code_;
  uint32_t tid_;
};

int Mutex::Lock(Patience patience) {
  machine_.NoteMutex(word_);
  if (!machine_.exploring()) return LockAlone();
  machine_.SignalFence();
  list().pending = word_;
  uint32_t seen = Load();
  uint32_t waiters = 0;  // who has slept leaves the bit to those who may sleep still
  for (;;) {
    if ((seen & FUTEX_OWNER_DIED) != 0) {
      const uint32_t now = CompareExchange(seen, tid_ | (seen & FUTEX_WAITERS) | waiters);
      if (now == seen) return Enter(kInconsistent, EOWNERDEAD);
      seen = now;
      continue;
    }
    // A trylock of glibc tries whatever it has seen.
    if (seen == 0 || patience == Patience::kNone) {
      seen = CompareExchange(0, tid_ | waiters);
      if (patience == Patience::kNone && seen != 0 && (seen & FUTEX_OWNER_DIED) == 0) {
        machine_.NoteBusy(word_);
        return GiveUp(EBUSY);
      }
      if (seen != 0) continue;
      if (machine_.LoadOfHolder(owner_) != kNotRecoverable) return Enter(tid_, 0);
      // glibc 2.36: a trylock leaves it owned by the caller.
      if (patience != Patience::kNone && (Exchange(0) & FUTEX_WAITERS) != 0) {
        machine_.Wake(word_, 1);
      }
      return GiveUp(ENOTRECOVERABLE);
    }
    if ((seen & FUTEX_WAITERS) == 0) {
      const uint32_t now = CompareExchange(seen, seen | FUTEX_WAITERS);
      if (now != seen) {
        seen = now;
        continue;
      }
      seen |= FUTEX_WAITERS;
    }
    waiters = FUTEX_WAITERS;
    // The kernel compares and sleeps in one step, after a fence of its own.
    machine_.SeeNewest();
    const uint32_t now = Load();
    if (now == seen && !machine_.WaitForWake(word_) && patience == Patience::kUntilTimeout) {
      return GiveUp(ETIMEDOUT);
    }
    seen = Load();
  }
}

int Mutex::Unlock() {
  if (!machine_.exploring()) {
    *word_ = *owner_ = 0;
    return 0;
  }
  machine_.SignalFence();
  if ((Load() & FUTEX_TID_MASK) != tid_) return EPERM;
  const uint32_t owner = machine_.LoadOfHolder(owner_) == kInconsistent ? kNotRecoverable : 0;
  list().pending = word_;
  list().Remove(word_);
  machine_.StoreOfHolder(owner_, owner);
  if ((Exchange(0) & FUTEX_WAITERS) != 0) machine_.Wake(word_, 1);
  return GiveUp(0);
}

int Mutex::MakeConsistent() {
  machine_.SignalFence();
  if (machine_.LoadOfHolder(owner_) != kInconsistent) return EINVAL;
  machine_.StoreOfHolder(owner_, tid_);
  return 0;
}

}  // namespace

int LockMutex(pthread_mutex_t* mutex, Patience patience, uintptr_t code) {
  return Mutex(mutex, code).Lock(patience);
}
int UnlockMutex(pthread_mutex_t* mutex, uintptr_t code) { return Mutex(mutex, code).Unlock(); }
int MakeMutexConsistent(pthread_mutex_t* mutex) { return Mutex(mutex, 0).MakeConsistent(); }

}  // namespace kill9::explore

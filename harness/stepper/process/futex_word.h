// A word of shared memory by which one process of a cell tells another to go on.
#ifndef KILL9_HARNESS_STEPPER_PROCESS_FUTEX_WORD_H_
#define KILL9_HARNESS_STEPPER_PROCESS_FUTEX_WORD_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <ctime>

namespace kill9::stepper {

inline constexpr long kLookNanoseconds = 100'000'000;

inline void FutexWait(std::atomic<uint32_t>& word, uint32_t value, long nanoseconds) {
  timespec limit{0, nanoseconds};
  syscall(SYS_futex, &word, FUTEX_WAIT, value, &limit, nullptr, 0);
}

// Release, and acquire in Await: the word hands what was written before from one to the other.
inline void Signal(std::atomic<uint32_t>& word, uint32_t value = 1) {
  word.store(value, std::memory_order_release);
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}
inline void Await(std::atomic<uint32_t>& word) {
  while (word.load(std::memory_order_acquire) == 0) FutexWait(word, 0, kLookNanoseconds);
}

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_PROCESS_FUTEX_WORD_H_

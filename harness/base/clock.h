// The clock that histories are recorded with.
//
// C1  Ordered across cores: if a reading by AfterOperation() on one core happens before one by it
//     on another, its result is not greater. This is what H2 (history.h) rests on; a clock that
//     breaks it makes false violations.
// C2  A reading bounds the operation: what precedes AfterOperation() in the program has taken
//     effect (a store: is visible to all) when it reads; nothing that follows BeforeOperation()
//     begins before it has read. BeforeOperation() may itself read a little early, by at most what
//     the processor executes out of order: an interval is stretched by that, which can hide an
//     order of two operations, never invent one.
//
// The source is the processor's time stamp counter where CPUID calls it invariant and a start-up
// check finds every pair of neighbouring cores in order; otherwise CLOCK_MONOTONIC, which the
// kernel keeps ordered.
#ifndef KILL9_HARNESS_BASE_CLOCK_H_
#define KILL9_HARNESS_BASE_CLOCK_H_

#include <atomic>
#include <cstdint>
#include <ctime>
#include <string>

#include "absl/functional/function_ref.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace kill9 {

// A plain value: copy it freely, across fork too.
class Clock {
 public:
  enum class Source : uint8_t { kTimeStampCounter, kMonotonic };

  // Checks the time stamp counter (some milliseconds a core) and falls back if it fails. Done once
  // in a process; later calls return the same clock. Call it before forking workers.
  static const Clock& Checked();
  // Without any check, for tests. Ticks of kMonotonic are nanoseconds.
  static Clock Of(Source source);

  // The time at which an operation is called, or a little less: read before anything of it happens.
  uint64_t BeforeOperation() const {
#if defined(__x86_64__)
    if (source_ == Source::kTimeStampCounter) {
      uint64_t ticks =
          __rdtsc();  // may overtake what precedes it (C2); a third cheaper than rdtscp
      _mm_lfence();   // nothing overtakes it
      return ticks;
    }
#endif
    return Monotonic();
  }

  // The time at which an operation has returned: read after all of it happened. The full fence
  // matters: without it the operation's last store may still be on its way to the other cores when
  // the counter is read.
  uint64_t AfterOperation() const {
    // seq_cst: orders the operation's stores before the read of the clock; pairs with nothing else.
#pragma GCC diagnostic push
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
// No order between threads is meant that ThreadSanitizer would have to know of.
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    std::atomic_thread_fence(std::memory_order_seq_cst);
#pragma GCC diagnostic pop
#if defined(__x86_64__)
    if (source_ == Source::kTimeStampCounter) {
      unsigned core;
      return __rdtscp(&core);
    }
#endif
    return Monotonic();
  }

  uint64_t Now() const { return AfterOperation(); }

  Source source() const { return source_; }
  // One line: the source, its rate, and why it was chosen ("time stamp counter, 2.10 GHz,
  // invariant, …").
  std::string description() const;
  // Why the source was chosen.
  const char* reason() const { return reason_; }
  double ticks_per_second() const { return ticks_per_second_; }
  uint64_t ToNanoseconds(uint64_t ticks) const {
    return static_cast<uint64_t>(static_cast<double>(ticks) * (1e9 / ticks_per_second_));
  }
  uint64_t ToTicks(uint64_t nanoseconds) const {
    return static_cast<uint64_t>(static_cast<double>(nanoseconds) * (ticks_per_second_ / 1e9));
  }

 private:
  static uint64_t Monotonic() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
  }

  Source source_ = Source::kMonotonic;
  double ticks_per_second_ = 1e9;
  char reason_[160] = "";
};

// The result of passing a message to and fro between pairs of cores, each time with the sender's
// clock.
struct ClockOrder {
  uint64_t messages = 0;
  uint64_t violations = 0;  // a message that arrived before it was sent
  uint32_t cores = 0;
};

// Runs `rounds` messages each way between neighbouring cores among those this process may run on
// (each with the next, the last with the first); fewer if two of them take seconds. `read(core)`
// reads the clock under test, on that core.
ClockOrder CheckClockOrder(absl::FunctionRef<uint64_t(int core)> read, int rounds);

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_CLOCK_H_

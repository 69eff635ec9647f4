// Until when a call may wait.
#ifndef KILL9_VARIANTS_DEADLINE_H_
#define KILL9_VARIANTS_DEADLINE_H_

#include <chrono>
#include <cstdint>
#include <limits>

namespace kill9 {

// Of CLOCK_MONOTONIC.
class Deadline {
 public:
  static constexpr Deadline None() { return Deadline(0); }  // the call does not wait
  static constexpr Deadline Never() { return Deadline(std::numeric_limits<int64_t>::max()); }
  static constexpr Deadline AtNs(int64_t monotonic_ns) { return Deadline(monotonic_ns); }
  static Deadline After(std::chrono::nanoseconds wait);

  constexpr bool waits() const { return monotonic_ns_ != 0; }
  constexpr bool forever() const { return *this == Never(); }
  constexpr int64_t monotonic_ns() const { return monotonic_ns_; }
  constexpr bool operator==(const Deadline&) const = default;

 private:
  explicit constexpr Deadline(int64_t monotonic_ns) : monotonic_ns_(monotonic_ns) {}
  int64_t monotonic_ns_;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_DEADLINE_H_

#include "variants/deadline.h"

#include <ctime>

namespace kill9 {
namespace {

int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

Deadline Deadline::After(std::chrono::nanoseconds wait) {
  if (wait <= wait.zero()) return None();
  const int64_t now = MonotonicNs();
  if (wait.count() > std::numeric_limits<int64_t>::max() - now) return Never();
  return AtNs(now + wait.count());
}

}  // namespace kill9

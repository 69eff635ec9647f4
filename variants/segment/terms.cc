#include "variants/segment/terms.h"

#include <ctime>

namespace kill9 {

namespace {

std::atomic<const std::atomic<int64_t>*> moved_ms = nullptr;

}  // namespace

Expiry Expiry::Now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t ns = now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
  // Relaxed, both: they stand for themselves.
  if (const auto* const ms = moved_ms.load(std::memory_order_relaxed); ms != nullptr) [[unlikely]] {
    ns += ms->load(std::memory_order_relaxed) * 1'000'000;
  }
  return AtNs(ns);
}

void Expiry::MoveClock(const std::atomic<int64_t>* ms) {
  // Relaxed: as above.
  moved_ms.store(ms, std::memory_order_relaxed);
}

Expiry Expiry::After(std::chrono::nanoseconds life) {
  const int64_t now = Now().unix_ns();
  if (life.count() > std::numeric_limits<int64_t>::max() - now) return Never();
  return AtNs(now + life.count());
}

}  // namespace kill9

#include "variants/segment/terms.h"

#include <ctime>

namespace kill9 {

Expiry Expiry::Now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return AtNs(now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec);
}

Expiry Expiry::After(std::chrono::nanoseconds life) {
  const int64_t now = Now().unix_ns();
  if (life.count() > std::numeric_limits<int64_t>::max() - now) return Never();
  return AtNs(now + life.count());
}

}  // namespace kill9

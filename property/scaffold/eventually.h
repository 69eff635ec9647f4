// Waits of tests. What ends a wait is that the condition holds; its bound finds a hang, and says
// nothing about speed: it is far above what a slow and busy machine needs.
#ifndef KILL9_PROPERTY_SCAFFOLD_EVENTUALLY_H_
#define KILL9_PROPERTY_SCAFFOLD_EVENTUALLY_H_

#include "absl/functional/function_ref.h"
#include "property/scaffold/children.h"

namespace kill9 {

// False: `condition` did not hold at any of some 10^5 looks, which take kWatchdogSeconds or more.
inline bool Eventually(absl::FunctionRef<bool()> condition) {
  constexpr uint64_t kBetweenLooksUs = 5000;
  constexpr uint64_t kLooks = kWatchdogSeconds * 1'000'000ull / kBetweenLooksUs;
  for (uint64_t look = 0; look < kLooks; ++look) {
    if (condition()) return true;
    SleepMicroseconds(kBetweenLooksUs);
  }
  return condition();
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_EVENTUALLY_H_

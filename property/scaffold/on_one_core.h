// A test's process, and whatever it starts, on one core: what runs there waits for the others.
#ifndef KILL9_PROPERTY_SCAFFOLD_ON_ONE_CORE_H_
#define KILL9_PROPERTY_SCAFFOLD_ON_ONE_CORE_H_

#include <sched.h>

#include "harness/base/pin_to_core.h"

namespace kill9 {

// Until it goes out of scope.
class OnOneCore {
 public:
  OnOneCore() {
    sched_getaffinity(0, sizeof usual_, &usual_);
    PinToCore(static_cast<unsigned>(sched_getcpu()));
  }
  ~OnOneCore() { sched_setaffinity(0, sizeof usual_, &usual_); }
  OnOneCore(const OnOneCore&) = delete;
  OnOneCore& operator=(const OnOneCore&) = delete;

 private:
  cpu_set_t usual_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_ON_ONE_CORE_H_

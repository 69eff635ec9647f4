// What a worker that is stuck waits for, as the supervisor leaves it for its caller.
#ifndef KILL9_HARNESS_TORTURE_FAILURE_STUCK_H_
#define KILL9_HARNESS_TORTURE_FAILURE_STUCK_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "harness/result/result.h"

namespace kill9 {

struct Stuck {
  uint32_t process = 0;  // 0: nobody is
  char what[300] = {};
  char stack[2000] = {};

  // Looks at the worker's process; `who` as LookAtWaiting's.
  void Look(uint32_t number, pid_t pid, absl::FunctionRef<std::string(pid_t thread)> who);
  // The run's field "waiting"; null if nobody is stuck, or nothing is known.
  Json ToJson() const;
};
static_assert(std::is_trivially_copyable_v<Stuck>);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_FAILURE_STUCK_H_

// What a process that makes no progress waits for, as /proc and its stack tell it.
#ifndef KILL9_HARNESS_STEPPER_TRACE_WAITING_H_
#define KILL9_HARNESS_STEPPER_TRACE_WAITING_H_

#include <sys/types.h>

#include <string>

#include "absl/functional/function_ref.h"

namespace kill9::stepper {

struct WaitingFor {
  std::string what;  // "asleep in futex, on the word at byte 80 of …", "running"; empty: not known
  std::string stack;  // as RenderStack; empty where ptrace is not allowed
};

// Of a process that is not traced; it goes on as it was. `who` tells of a thread's number, as a
// lock's word has it, who that is.
WaitingFor LookAtWaiting(pid_t pid, absl::FunctionRef<std::string(pid_t thread)> who);

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_TRACE_WAITING_H_

// The calls that a stopped process is in, by libdw.
#ifndef KILL9_HARNESS_STEPPER_TRACE_BACKTRACE_H_
#define KILL9_HARNESS_STEPPER_TRACE_BACKTRACE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harness/stepper/trace/symbols.h"

namespace kill9::stepper {

struct StackFrame {
  uint64_t address;  // of the instruction that comes next; of a caller: within its call
  std::string function;
  SourceLine
      line;  // where a library's function is part of it (inlined): of the caller's own source
};

// The innermost call first. The process is stopped for that, and goes on (or stays stopped, if it
// was) afterwards. Empty where ptrace is not allowed, or the process is traced by somebody.
std::vector<StackFrame> Backtrace(pid_t pid);

// The first frame whose source is one of an object's: of variants/, or of none of this project's
// folders. `frames.size()` if there is none.
size_t FirstOfTheObject(const std::vector<StackFrame>& frames);

// One line for each call down to the object's own: "#0  memcpy", "#1  Put  variants/…:120". Where
// none is known to be the object's (an interpreter's), some of them.
std::string RenderStack(const std::vector<StackFrame>& frames);

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_TRACE_BACKTRACE_H_

// PID namespaces for tests.
#ifndef KILL9_PROPERTY_SCAFFOLD_NAMESPACES_H_
#define KILL9_PROPERTY_SCAFFOLD_NAMESPACES_H_

#include <sched.h>

#include "absl/functional/function_ref.h"
#include "property/scaffold/children.h"

namespace kill9 {

inline constexpr int kNoNamespace = 77;

// Runs `body` as the first process of a new PID namespace. kNoNamespace where the machine forbids
// it.
inline int InNewPidNamespace(absl::FunctionRef<int()> body) {
  Child outer([&](Line&) {
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
      return kNoNamespace;
    Child first([&](Line&) { return body(); });
    return first.ExitStatus();
  });
  return outer.ExitStatus();
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_NAMESPACES_H_

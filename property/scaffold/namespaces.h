// PID namespaces for tests; and a machine that allows no namespaces, as most containers are.
#ifndef KILL9_PROPERTY_SCAFFOLD_NAMESPACES_H_
#define KILL9_PROPERTY_SCAFFOLD_NAMESPACES_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <thread>

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

// Of the calling thread, and of all processes that it starts. False: it may filter no system calls.
inline bool RefuseNamespaces() {
  constexpr uint32_t kAll = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWIPC;
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 6, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 5, 0),  // whose flags are not seen here
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kAll, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
  };
  sock_fprog program{std::size(filter), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// What `body` starts is on such a machine; it is not called where the machine cannot be made so.
inline void WithoutNamespaces(absl::FunctionRef<void()> body) {
  std::thread([&] {
    if (RefuseNamespaces()) body();
  }).join();
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_NAMESPACES_H_

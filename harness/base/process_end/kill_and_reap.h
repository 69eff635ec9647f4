// The end of a child that must not be waited for without a bound.
#ifndef KILL9_HARNESS_BASE_PROCESS_END_KILL_AND_REAP_H_
#define KILL9_HARNESS_BASE_PROCESS_END_KILL_AND_REAP_H_

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace kill9 {

// Sends SIGKILL, and waits some seconds at most. False: it is not reaped; the kernel or a debugger
// holds it, and nobody who is killed can do anything more.
inline bool KillAndReap(pid_t child, int* status) {
  constexpr int kLooks = 2000;
  constexpr useconds_t kLookUs = 2'000;
  kill(child, SIGKILL);
  for (int look = 0; look < kLooks; ++look) {
    if (waitpid(child, status, WNOHANG) != 0) return true;  // reaped, or somebody else's
    usleep(kLookUs);
  }
  return false;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_PROCESS_END_KILL_AND_REAP_H_

// The end of a child that ends by itself, or has been killed.
#ifndef KILL9_HARNESS_BASE_PROCESS_END_WAIT_FOR_END_H_
#define KILL9_HARNESS_BASE_PROCESS_END_WAIT_FOR_END_H_

#include <sys/types.h>
#include <sys/wait.h>

#include <cerrno>

namespace kill9 {

// Waits, whatever signals come meanwhile, and reaps it. Its status; 0 if there is no such child.
inline int WaitForEnd(pid_t child) {
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_PROCESS_END_WAIT_FOR_END_H_

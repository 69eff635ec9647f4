// Follows a process, with all its threads, from one entry to, or exit from, a system call to the
// next, by ptrace.
//
// One process follows any number of others; SIGCHLD tells it that there may be something to take.
// Who is followed stays so until it dies.
#ifndef KILL9_HARNESS_PROGRAMS_PROCESS_SYSTEM_CALLS_H_
#define KILL9_HARNESS_PROGRAMS_PROCESS_SYSTEM_CALLS_H_

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

namespace kill9::programs {

class SystemCalls {
 public:
  // An error: this machine does not permit it, or the process has ended.
  static absl::StatusOr<std::unique_ptr<SystemCalls>> Follow(pid_t pid);

  // Counts from here on; `target`: the stop, counted from 1, at which the process is left stopped;
  // 0: none.
  void Count(uint64_t target);
  // Takes the stops that there are, and lets who stopped go on. True: the target is reached.
  bool Advance();
  uint64_t stops() const { return stops_; }

  // Waits for the ends of those threads that the process's own end waits for. REQUIRES: it was sent
  // SIGKILL, or has ended.
  void ReapThreads();

 private:
  struct Thread {
    pid_t id;
    bool gone = false;
  };
  explicit SystemCalls(pid_t pid) : pid_(pid) {}
  absl::Status FollowThreads();
  void Take(pid_t id, int signal, int event);

  pid_t pid_;
  std::vector<Thread> threads_;
  uint64_t stops_ = 0;
  uint64_t target_ = 0;
  bool reached_ = false;
};

// From here on SIGCHLD only wakes who waits with *unblocked as its mask.
bool WakeByChildren(sigset_t* unblocked);

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_PROCESS_SYSTEM_CALLS_H_

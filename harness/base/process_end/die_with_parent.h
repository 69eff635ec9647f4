// No process of ours outlives the one that started it, however that one ends.
#ifndef KILL9_HARNESS_BASE_PROCESS_END_DIE_WITH_PARENT_H_
#define KILL9_HARNESS_BASE_PROCESS_END_DIE_WITH_PARENT_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace kill9 {

// In a child, first of all: from here on the kernel kills it when its parent dies. `parent` is what
// getpid() said before the fork; if that one has died already, the child exits with `status`.
inline void DieWithParent(pid_t parent, int status = 1) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(status);
}

// The same for a child that is the first process of a PID namespace, where its parent has no PID
// that it could ask for. Made before the fork; the parent keeps it as long as the child shall live.
class ParentPipe {
 public:
  ParentPipe() {
    if (pipe2(ends_, O_CLOEXEC) != 0) ends_[0] = ends_[1] = -1;
  }
  ~ParentPipe() {
    for (const int end : ends_) close(end);
  }
  ParentPipe(const ParentPipe&) = delete;
  ParentPipe& operator=(const ParentPipe&) = delete;

  void DieWithParent(int status) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends_[1]);
    ends_[1] = -1;
    // The parent's end is closed when it has died, be it before prctl took hold.
    struct pollfd end {
      .fd = ends_[0], .events = 0, .revents = 0
    };
    if (ends_[0] < 0 || poll(&end, 1, 0) != 0) _exit(status);
  }

 private:
  int ends_[2];
};

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_PROCESS_END_DIE_WITH_PARENT_H_

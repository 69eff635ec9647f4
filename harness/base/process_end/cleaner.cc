#include "harness/base/process_end/cleaner.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kill9 {

absl::Status Cleaner::Watch(absl::FunctionRef<void()> clean) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot make a pipe: ", std::strerror(errno)));
  }
  pid_ = fork();
  if (pid_ < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    return absl::ResourceExhaustedError(absl::StrCat("cannot fork: ", std::strerror(error)));
  }
  if (pid_ == 0) {
    // No signal meant for the command reaches it, and it holds none of the command's files open.
    setsid();
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
      std::signal(signal, SIG_IGN);
    const int wait_end = dup2(ends[0], 3);
    close_range(4, ~0u, 0);
    for (int fd = 0; fd < 3; ++fd) close(fd);
    char ignored;
    while (read(wait_end, &ignored, 1) < 0 && errno == EINTR) {
    }
    clean();
    _exit(0);
  }
  close(ends[0]);
  keep_ = ends[1];
  return absl::OkStatus();
}

Cleaner::~Cleaner() {
  if (keep_ < 0) return;
  close(keep_);
  // A process that cannot be reaped may hold the pipe for long: the cleaner outlives this one then.
  constexpr int kLooks = 2000;
  for (int look = 0; look < kLooks && waitpid(pid_, nullptr, WNOHANG) == 0; ++look) usleep(2'000);
}

}  // namespace kill9

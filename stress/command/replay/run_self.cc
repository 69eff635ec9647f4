#include "stress/command/replay/run_self.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "harness/base/signals.h"
#include "harness/result/verdict.h"
#include "stress/command/interrupts.h"

namespace kill9 {

int RunSelf(std::vector<std::string> words) {
  words.insert(words.begin(), "kill9");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const sigset_t before = HoldInterrupts();  // until somebody waits who tells them
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(kExitUndecided);
    execv("/proc/self/exe", arguments.data());
    _exit(kExitUsage);
  }
  int status = kExitUsage << 8;
  if (child > 0) {
    struct pollfd end {
      .fd = static_cast<int>(syscall(SYS_pidfd_open, child, 0)), .events = POLLIN, .revents = 0
    };
    while (end.fd >= 0 && ppoll(&end, 1, nullptr, &before) < 0 && errno == EINTR) {
      if (is_interrupted != 0) kill(child, SIGTERM);
    }
    if (end.fd >= 0) close(end.fd);
    // Where there is no such descriptor, this is all that waits.
    sigprocmask(SIG_SETMASK, &before, nullptr);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
      if (is_interrupted != 0) kill(child, SIGTERM);
    }
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailed;
}

}  // namespace kill9

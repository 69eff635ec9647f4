#include "harness/programs/process/system_calls.h"

#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kill9::programs {
namespace {

constexpr int kSystemCallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD
constexpr intptr_t kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
constexpr int kRounds = 8;  // in which new threads are looked for
constexpr int kReapLooks = 2000;
constexpr useconds_t kReapLookUs = 1000;

absl::Status TraceRefused(pid_t pid) {
  return absl::UnavailableError(absl::StrCat("ptrace of ", pid, ": ", std::strerror(errno)));
}

std::vector<pid_t> ThreadsOf(pid_t pid) {
  std::vector<pid_t> threads;
  DIR* folder = opendir(absl::StrCat("/proc/", pid, "/task").c_str());
  if (folder == nullptr) return threads;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') threads.push_back(std::atoi(entry->d_name));
  }
  closedir(folder);
  return threads;
}

}  // namespace

bool WakeByChildren(sigset_t* unblocked) {
  struct sigaction wake {};
  wake.sa_handler = [](int) {};
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  return sigaction(SIGCHLD, &wake, nullptr) == 0 && sigprocmask(SIG_BLOCK, &child, unblocked) == 0;
}

absl::StatusOr<std::unique_ptr<SystemCalls>> SystemCalls::Follow(pid_t pid) {
  std::unique_ptr<SystemCalls> calls(new SystemCalls(pid));
  if (absl::Status status = calls->FollowThreads(); !status.ok()) return status;
  return calls;
}

// Threads may begin meanwhile: until a round finds no new one.
absl::Status SystemCalls::FollowThreads() {
  for (int round = 0; round < kRounds; ++round) {
    bool found = false;
    for (const pid_t id : ThreadsOf(pid_)) {
      const auto same = [id](const Thread& one) { return one.id == id; };
      if (std::any_of(threads_.begin(), threads_.end(), same)) continue;
      if (ptrace(PTRACE_SEIZE, id, nullptr, kOptions) != 0) {
        if (errno == ESRCH || (errno == EPERM && !threads_.empty())) continue;  // followed, or gone
        return TraceRefused(id);
      }
      // It stops, and then goes on to its next system call (Take).
      ptrace(PTRACE_INTERRUPT, id, nullptr, nullptr);
      threads_.push_back({id});
      found = true;
    }
    if (!found) break;
  }
  return threads_.empty() ? TraceRefused(pid_) : absl::OkStatus();
}

void SystemCalls::Count(uint64_t target) {
  stops_ = 0;
  target_ = target;
  reached_ = false;
}

bool SystemCalls::Advance() {
  // By index: a thread that begins is added.
  for (size_t n = 0; n < threads_.size() && !reached_; ++n) {
    const pid_t id = threads_[n].id;
    // The end of the first thread is the process's, and another's to take.
    const int wanted = WNOHANG | __WALL | WSTOPPED | (id == pid_ ? 0 : WEXITED);
    while (!threads_[n].gone && !reached_) {
      siginfo_t info{};
      if (waitid(P_PID, static_cast<id_t>(id), &info, wanted) != 0 || info.si_pid != id) break;
      if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
        threads_[n].gone = true;
      } else {
        Take(id, info.si_status & 0xff, info.si_status >> 8);
      }
    }
  }
  return reached_;
}

// A thread has stopped: lets it go on, unless it has reached the target.
void SystemCalls::Take(pid_t id, int signal, int event) {
  int pass_on = 0;
  if (signal == kSystemCallStop) {
    reached_ = ++stops_ == target_;
    if (reached_) return;
  } else if (event == PTRACE_EVENT_CLONE) {
    unsigned long began = 0;
    if (ptrace(PTRACE_GETEVENTMSG, id, nullptr, &began) == 0) {
      threads_.push_back({static_cast<pid_t>(began)});
    }
  } else if (event == 0) {
    pass_on = signal;
  }
  ptrace(PTRACE_SYSCALL, id, nullptr, pass_on);
}

void SystemCalls::ReapThreads() {
  for (int look = 0; look < kReapLooks; ++look) {
    // One that began while its process was being killed is followed, too.
    for (const pid_t id : ThreadsOf(pid_)) {
      const auto same = [id](const Thread& one) { return one.id == id; };
      if (std::none_of(threads_.begin(), threads_.end(), same)) threads_.push_back({id});
    }
    bool all = true;
    for (Thread& thread : threads_) {
      if (thread.gone || thread.id == pid_) continue;
      int status = 0;
      const pid_t got = waitpid(thread.id, &status, WNOHANG | __WALL);
      thread.gone = got < 0 || (got == thread.id && !WIFSTOPPED(status));
      all &= thread.gone;
    }
    if (all) return;
    usleep(kReapLookUs);
  }
}

}  // namespace kill9::programs

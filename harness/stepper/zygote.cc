#include "harness/stepper/zygote.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/base/namespaces/namespaces.h"
#include "harness/base/signals.h"
#include "harness/result/verdict.h"
#include "harness/stepper/process/process_wait.h"

namespace kill9::stepper {
namespace {

constexpr char kZygoteName[] = "kill9-zygote";
constexpr int kSocket = 3;
constexpr int kArea = 4;
constexpr pid_t kWorkPid = 10;
constexpr char kHello = 'h';
constexpr char kDone = 'd';

void* MapArea(int fd, size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

bool EnterNamespace() {
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (mount("proc", "/proc", "proc", 0, nullptr) != 0) return false;
  MountOwnSharedMemory();  // refused: names are removed one by one
  UsePidNamespace();
  pid_t child = ForkAs(kWorkPid);
  if (child == 0) _exit(0);
  int status = 0;
  waitpid(child, &status, 0);
  return child == kWorkPid;
}

int Serve(bool in_namespace, const ZygoteWork& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  IgnoreInterrupts();
  if (in_namespace && !EnterNamespace()) return kExitUsage;
  struct stat status {};
  if (fstat(kArea, &status) != 0) return kExitUsage;
  void* area = MapArea(kArea, static_cast<size_t>(status.st_size));
  if (area == nullptr) return kExitUsage;
  if (write(kSocket, &kHello, 1) != 1) return kExitUsage;
  char asked = 0;
  while (read(kSocket, &asked, 1) == 1) {
    pid_t child = ForkAs(kWorkPid);
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      work.run(area);
      _exit(0);
    }
    int ended = 0;
    while (waitpid(child, &ended, 0) != child && errno == EINTR) {
    }
    char how[96];
    if (WIFSIGNALED(ended)) {
      std::snprintf(how, sizeof how, "signal %d (%s)", WTERMSIG(ended), strsignal(WTERMSIG(ended)));
    } else {
      std::snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(ended));
    }
    work.ended(area, how);
    if (write(kSocket, &kDone, 1) != 1) break;
  }
  return kExitPass;
}

// In a child that shares nothing it may damage: only system calls until exec.
[[noreturn]] void ExecZygote(int socket, int area, const char* mode) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  personality(ADDR_NO_RANDOMIZE);
  int high_socket = fcntl(socket, F_DUPFD, 10);
  int high_area = fcntl(area, F_DUPFD, 10);
  dup2(high_socket, kSocket);
  dup2(high_area, kArea);
  syscall(SYS_close_range, 5, ~0U, 0);
  char name[sizeof kZygoteName];
  std::memcpy(name, kZygoteName, sizeof kZygoteName);
  char mode_copy[16] = {};
  std::snprintf(mode_copy, sizeof mode_copy, "%s", mode);
  char* arguments[] = {name, mode_copy, nullptr};
  // Every library's calls are bound now, not at the first one, in each victim anew.
  char bind_now[] = "LD_BIND_NOW=1";
  // What main was given, main is given again.
  char plugin[4200] = {};
  const char* given = std::getenv("KILL9_PLUGIN");
  if (given != nullptr) std::snprintf(plugin, sizeof plugin, "KILL9_PLUGIN=%s", given);
  char* environment[] = {bind_now, given != nullptr ? plugin : nullptr, nullptr};
  execve("/proc/self/exe", arguments, environment);
  _exit(kExitUsage);
}

}  // namespace

std::optional<int> RunIfZygote(int argc, char** argv, const ZygoteWork& work) {
  if (argc != 2 || std::strcmp(argv[0], kZygoteName) != 0) return std::nullopt;
  return Serve(std::strcmp(argv[1], "namespace") == 0, work);
}

absl::Status Zygote::Launch(int clone_flags) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return absl::ErrnoToStatus(errno, "cannot make a socket pair");
  }
  std::fflush(nullptr);
  const bool namespaced = clone_flags != 0;
  pid_t child = static_cast<pid_t>(
      syscall(SYS_clone, SIGCHLD | clone_flags, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) {
    close(sockets[0]);
    ExecZygote(sockets[1], area_fd_, namespaced ? "namespace" : "plain");
  }
  int error = errno;
  close(sockets[1]);
  if (child < 0) {
    close(sockets[0]);
    return absl::ErrnoToStatus(error, "cannot start a zygote");
  }
  char hello = 0;
  if (read(sockets[0], &hello, 1) == 1) {
    pid_ = child;
    socket_ = sockets[0];
    return absl::OkStatus();
  }
  close(sockets[0]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return absl::UnavailableError("a zygote did not start");
}

absl::StatusOr<std::unique_ptr<Zygote>> Zygote::Start(size_t area_bytes) {
  std::unique_ptr<Zygote> zygote(new Zygote(area_bytes));
  zygote->area_fd_ = memfd_create("kill9-zygote", MFD_CLOEXEC);
  if (zygote->area_fd_ < 0 || ftruncate(zygote->area_fd_, static_cast<off_t>(area_bytes)) != 0 ||
      (zygote->area_ = MapArea(zygote->area_fd_, area_bytes)) == nullptr) {
    return absl::ErrnoToStatus(errno, "cannot make shared memory");
  }
  absl::Status status = zygote->Launch(CLONE_NEWPID | CLONE_NEWNS);
  if (!status.ok()) status = zygote->Launch(0);
  if (!status.ok()) return status;
  return zygote;
}

Zygote::~Zygote() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (socket_ >= 0) close(socket_);
  if (area_ != nullptr) munmap(area_, area_bytes_);
  if (area_fd_ >= 0) close(area_fd_);
}

void Zygote::Send() {
  char ask = 'r';
  (void)!write(socket_, &ask, 1);
}

bool Zygote::Receive() {
  char done = 0;
  return read(socket_, &done, 1) == 1;
}

}  // namespace kill9::stepper

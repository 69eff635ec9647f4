#include "harness/sweep/worker.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"

namespace kill9::sweep {
namespace {

constexpr char kWorkerName[] = "kill9-sweep-worker";
constexpr int kSocket = 3;
constexpr int kArea = 4;
constexpr pid_t kCellPid = 10;
constexpr char kHello = 'h';
constexpr char kDone = 'd';

CellArea* MapArea(int fd) {
  void* memory = mmap(nullptr, sizeof(CellArea), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<CellArea*>(memory);
}

bool EnterNamespace() {
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (mount("proc", "/proc", "proc", 0, nullptr) != 0) return false;
  mount("tmpfs", "/dev/shm", "tmpfs", 0, nullptr);  // refused: names are removed one by one
  UsePidNamespace();
  pid_t child = ForkAs(kCellPid);
  if (child == 0) _exit(0);
  int status = 0;
  waitpid(child, &status, 0);
  return child == kCellPid;
}

int Work(bool in_namespace, VariantFinder find) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGINT, SIG_IGN);  // the driver ends us
  if (in_namespace && !EnterNamespace()) return kExitUsage;
  CellArea* area = MapArea(kArea);
  if (area == nullptr) return kExitUsage;
  if (write(kSocket, &kHello, 1) != 1) return kExitUsage;
  char asked = 0;
  while (read(kSocket, &asked, 1) == 1) {
    pid_t cell = ForkAs(kCellPid);
    if (cell == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      RunCell(*area, find);
      _exit(0);
    }
    int status = 0;
    while (waitpid(cell, &status, 0) != cell && errno == EINTR) {
    }
    if (!area->result.finished) {
      std::snprintf(area->result.error, sizeof area->result.error,
                    "the sweep's own process died (%s %d)",
                    WIFSIGNALED(status) ? "signal" : "status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
      area->result.verdict = Verdict::kUndecided;
    }
    if (write(kSocket, &kDone, 1) != 1) break;
  }
  return kExitPass;
}

// In a child that shares nothing it may damage: only system calls until exec.
[[noreturn]] void ExecWorker(int socket, int area, const char* mode) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  personality(ADDR_NO_RANDOMIZE);
  int high_socket = fcntl(socket, F_DUPFD, 10);
  int high_area = fcntl(area, F_DUPFD, 10);
  dup2(high_socket, kSocket);
  dup2(high_area, kArea);
  syscall(SYS_close_range, 5, ~0U, 0);
  char name[sizeof kWorkerName];
  std::memcpy(name, kWorkerName, sizeof kWorkerName);
  char mode_copy[16] = {};
  std::snprintf(mode_copy, sizeof mode_copy, "%s", mode);
  char* arguments[] = {name, mode_copy, nullptr};
  // Every library's calls are bound now, not at the first one, in each victim anew.
  char bind_now[] = "LD_BIND_NOW=1";
  char* environment[] = {bind_now, nullptr};
  execve("/proc/self/exe", arguments, environment);
  _exit(kExitUsage);
}

}  // namespace

std::optional<int> RunIfWorker(int argc, char** argv, VariantFinder find) {
  if (argc != 2 || std::strcmp(argv[0], kWorkerName) != 0) return std::nullopt;
  return Work(std::strcmp(argv[1], "namespace") == 0, find);
}

absl::Status Worker::Launch(int clone_flags) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return absl::ErrnoToStatus(errno, "the sweep cannot make a socket pair");
  }
  std::fflush(nullptr);
  const bool namespaced = clone_flags != 0;
  pid_t child = static_cast<pid_t>(
      syscall(SYS_clone, SIGCHLD | clone_flags, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) {
    close(sockets[0]);
    ExecWorker(sockets[1], area_fd_, namespaced ? "namespace" : "plain");
  }
  int error = errno;
  close(sockets[1]);
  if (child < 0) {
    close(sockets[0]);
    return absl::ErrnoToStatus(error, "the sweep cannot start a worker");
  }
  char hello = 0;
  if (read(sockets[0], &hello, 1) == 1) {
    pid_ = child;
    socket_ = sockets[0];
    has_namespace_ = namespaced;
    return absl::OkStatus();
  }
  close(sockets[0]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return absl::UnavailableError("the sweep's worker did not start");
}

absl::StatusOr<std::unique_ptr<Worker>> Worker::Start() {
  std::unique_ptr<Worker> worker(new Worker);
  worker->area_fd_ = memfd_create("kill9-sweep", MFD_CLOEXEC);
  if (worker->area_fd_ < 0 || ftruncate(worker->area_fd_, sizeof(CellArea)) != 0 ||
      (worker->area_ = MapArea(worker->area_fd_)) == nullptr) {
    return absl::ErrnoToStatus(errno, "the sweep cannot make shared memory");
  }
  absl::Status status = worker->Launch(CLONE_NEWPID | CLONE_NEWNS);
  if (!status.ok()) status = worker->Launch(0);
  if (!status.ok()) return status;
  return worker;
}

Worker::~Worker() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (socket_ >= 0) close(socket_);
  if (area_ != nullptr) munmap(area_, sizeof(CellArea));
  if (area_fd_ >= 0) close(area_fd_);
}

void Worker::Send() {
  char ask = 'r';
  (void)!write(socket_, &ask, 1);
}

bool Worker::Receive() {
  char done = 0;
  return read(socket_, &done, 1) == 1;
}

}  // namespace kill9::sweep

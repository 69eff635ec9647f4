#include "harness/programs/process/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "harness/base/namespaces/namespaces.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/process_end/wait_for_end.h"
#include "harness/base/signals.h"

namespace kill9::programs {
namespace {

constexpr char kPrivateFolder[] = "/dev/shm/kill9";
constexpr char kPages[] = "/marks";

absl::Status SandboxRefused(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// A file with a page for each participant.
absl::StatusOr<int> MakePages(const std::string& folder, uint32_t participants) {
  const std::string path = folder + kPages;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(participants * Sandbox::kPageBytes)) != 0) {
    return SandboxRefused(path);
  }
  return fd;
}

// What the keeper tells its maker: a message, empty if all went well, and the pages' descriptor.
bool SendReport(int socket, const std::string& message, int fd) {
  char text[512];
  const size_t size = message.copy(text, sizeof text - 1);
  text[size] = '\0';
  iovec part{text, size + 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* passed = CMSG_FIRSTHDR(&header);
    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(passed), &fd, sizeof fd);
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL) > 0;
}

absl::StatusOr<int> ReceiveReport(int socket) {
  char text[512] = "the keeper died";
  iovec part{text, sizeof text};
  int fd = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  cmsghdr* passed = CMSG_FIRSTHDR(&header);
  if (text[0] == '\0' && passed != nullptr && passed->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&fd, CMSG_DATA(passed), sizeof fd);
    return fd;
  }
  return absl::UnavailableError(text);
}

absl::StatusOr<int> MakeMounts(const SandboxOptions& options) {
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0) return SandboxRefused("no namespace of mounts");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return SandboxRefused("mount /");
  if (!MountOwnSharedMemory()) return SandboxRefused("mount /dev/shm");
  if (options.private_tmp &&
      mount("kill9", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) {
    return SandboxRefused("mount /tmp");
  }
  if (mount("kill9", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return SandboxRefused("mount /proc");
  }
  if (mkdir(kPrivateFolder, 0777) != 0) return SandboxRefused(kPrivateFolder);
  return MakePages(kPrivateFolder, options.pages);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Make(const SandboxOptions& options) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox(options));
  char current[PATH_MAX];
  if (getcwd(current, sizeof current) == nullptr) return SandboxRefused("no current folder");
  sandbox->current_ = current;
  sandbox->folder_ = options.isolated ? kPrivateFolder : options.folder;
  sandbox->state_ = sandbox->folder_ + "/state";
  if (options.isolated) {
    if (absl::Status status = sandbox->Isolate(); !status.ok()) return status;
    return sandbox;
  }
  const absl::StatusOr<int> pages = MakePages(options.folder, options.pages);
  if (!pages.ok()) return pages.status();
  if (mkdir(sandbox->state_.c_str(), 0777) != 0) return SandboxRefused(sandbox->state_);
  if (absl::Status status = sandbox->MapPages(*pages); !status.ok()) return status;
  return sandbox;
}

absl::Status Sandbox::Isolate() {
  if (!EnterUserNamespace()) return SandboxRefused("no user namespace");
  if (unshare(CLONE_NEWPID) != 0) return SandboxRefused("no namespace of PIDs");
  int report[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) != 0) {
    return SandboxRefused("socketpair");
  }
  keeper_ = fork();
  if (keeper_ < 0) return SandboxRefused("cannot fork");
  if (keeper_ == 0) Keep(report[1]);
  close(report[1]);
  const absl::StatusOr<int> pages = ReceiveReport(report[0]);
  close(report[0]);
  if (!pages.ok()) return pages.status();
  const std::string spaces = absl::StrCat("/proc/", keeper_, "/ns/");
  mounts_fd_ = open((spaces + "mnt").c_str(), O_RDONLY | O_CLOEXEC);
  objects_fd_ = open((spaces + "ipc").c_str(), O_RDONLY | O_CLOEXEC);
  if (mounts_fd_ < 0 || objects_fd_ < 0) return SandboxRefused(spaces);
  return MapPages(*pages);
}

// The keeper's life. It is the parent of whoever lost its own, and reaps nobody by hand.
void Sandbox::Keep(int report_fd) {
  lives_.DieWithParent(1);
  ResetSignals();
  umask(0);
  std::signal(SIGCHLD, SIG_IGN);
  const absl::StatusOr<int> pages = MakeMounts(options_);
  std::string message;
  if (!pages.ok()) {
    message = std::string(pages.status().message());
  } else if (mkdir(state_.c_str(), 0777) != 0) {
    message = std::string(SandboxRefused(state_).message());
  }
  if (!SendReport(report_fd, message, pages.ok() ? *pages : -1) || !message.empty()) _exit(1);
  close(report_fd);
  for (;;) pause();
}

absl::Status Sandbox::MapPages(int fd) {
  void* mapped =
      mmap(nullptr, options_.pages * kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return SandboxRefused("cannot map the marks");
  marks_ = static_cast<char*>(mapped);
  return absl::OkStatus();
}

std::string Sandbox::WhyNotIsolated(bool private_tmp) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::strerror(errno);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return std::strerror(errno);
  if (child == 0) {
    DieWithParent(parent);
    const auto sandbox =
        Make({.isolated = true, .private_tmp = private_tmp, .folder = {}, .pages = 1});
    std::string why = sandbox.ok() ? "" : std::string(sandbox.status().message());
    if (sandbox.ok()) {
      // Whether children can enter it shows in one only.
      const pid_t inside = fork();
      if (inside == 0) _exit((*sandbox)->Enter() && getpid() > 1 ? 0 : 1);
      int status = 0;
      if (inside < 0 || waitpid(inside, &status, 0) != inside || status != 0) {
        why = "a child cannot enter the namespaces";
      }
    }
    const bool told = write(ends[1], why.data(), why.size()) == static_cast<ssize_t>(why.size());
    _exit(why.empty() && told ? 0 : 1);
  }
  close(ends[1]);
  char text[512];
  const ssize_t size = read(ends[0], text, sizeof text);
  close(ends[0]);
  const int status = WaitForEnd(child);
  if (size > 0) return std::string(text, static_cast<size_t>(size));
  return status == 0 ? "" : "the attempt died";
}

Sandbox::~Sandbox() {
  if (keeper_ > 0) KillAndReap(keeper_, nullptr);
  if (mounts_fd_ >= 0) close(mounts_fd_);
  if (objects_fd_ >= 0) close(objects_fd_);
  if (marks_ != nullptr) munmap(marks_, options_.pages * kPageBytes);
}

bool Sandbox::Enter() const {
  if (!options_.isolated) return true;
  return setns(objects_fd_, CLONE_NEWIPC) == 0 && setns(mounts_fd_, CLONE_NEWNS) == 0 &&
         chdir(current_.c_str()) == 0;
}

std::string Sandbox::pages() const { return folder_ + kPages; }

uint32_t Sandbox::Mark(uint32_t participant) const {
  // acquire: pairs with whatever order the program stores with; read after its death.
  return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(marks_ + participant * kPageBytes))
      .load(std::memory_order_acquire);
}

void Sandbox::ClearMark(uint32_t participant) {
  // relaxed: the fork that follows makes it visible.
  std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(marks_ + participant * kPageBytes))
      .store(0, std::memory_order_relaxed);
}

}  // namespace kill9::programs

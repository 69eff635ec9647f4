#include "harness/run/attempt/isolation.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/text/below.h"
#include "harness/run/attempt/copy_into.h"

namespace kill9::run {
namespace {

constexpr char kSharedMemory[] = "/dev/shm";
constexpr char kTemporary[] = "/tmp";

absl::Status Forbidden(const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", std::strerror(errno)));
}

std::string OfDescriptor(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

bool WriteText(const char* path, std::string_view text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

uid_t g_user = 0;
gid_t g_group = 0;
bool g_in_user_namespace = false;

// A process may name nobody but itself in a user namespace that it has made.
bool NameOurselves() {
  WriteText("/proc/self/setgroups", "deny");  // not there in old kernels
  return WriteText("/proc/self/uid_map", absl::StrCat(g_user, " ", g_user, " 1")) &&
         WriteText("/proc/self/gid_map", absl::StrCat(g_group, " ", g_group, " 1"));
}

// As mount_setattr(2) has it; not every C library does.
struct MountAttributes {
  uint64_t set, clear, propagation, user_namespace;
};
constexpr uint64_t kReadOnly = 1;  // MOUNT_ATTR_RDONLY

bool ChangeMount(const char* path, unsigned flags, const MountAttributes& attributes) {
  return syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attributes, sizeof attributes) == 0;
}

struct Shown {
  std::string path;
  int fd;
};

// Those paths that an empty /tmp would hide. Nothing: /tmp itself is among them.
std::optional<std::vector<Shown>> ShownInTemporary(const AttemptSurroundings& surroundings) {
  std::vector<std::string> paths = surroundings.seen;
  for (const std::string* path : {&surroundings.state, &surroundings.start, &surroundings.kept}) {
    paths.push_back(*path);
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Shown> shown;
  for (const std::string& path : paths) {
    if (path == kTemporary) return std::nullopt;
    if (!IsBelow(path, kTemporary)) continue;
    const bool there = std::any_of(shown.begin(), shown.end(), [&](const Shown& other) {
      return other.path == path || IsBelow(path, other.path);
    });
    if (there) continue;
    const int fd = open(path.c_str(), O_PATH | O_CLOEXEC);
    if (fd >= 0) shown.push_back({path, fd});
  }
  return shown;
}

absl::Status EmptyTemporary(const std::vector<Shown>& shown) {
  if (mount("tmpfs", kTemporary, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) {
    return Forbidden("cannot mount an empty /tmp");
  }
  std::error_code ignored;
  for (const auto& [path, fd] : shown) {
    struct stat status {};
    fstat(fd, &status);
    const std::filesystem::path place(path);
    std::filesystem::create_directories(S_ISDIR(status.st_mode) ? place : place.parent_path(),
                                        ignored);
    if (!S_ISDIR(status.st_mode)) close(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    if (mount(OfDescriptor(fd).c_str(), path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      return Forbidden(absl::StrCat("cannot show ", path, " below an empty /tmp"));
    }
    close(fd);
  }
  return absl::OkStatus();
}

// The copy lies over what it is of.
absl::Status CopyOver(const std::string& directory) {
  const int original = open(directory.c_str(), O_PATH | O_DIRECTORY);
  struct stat status {};
  if (original < 0 || fstat(original, &status) != 0) return Forbidden("cannot open the state");
  if (mount("tmpfs", directory.c_str(), "tmpfs", MS_NODEV, nullptr) != 0) {
    return Forbidden("cannot mount a copy of the state");
  }
  // Somebody else's, who has no name in a user namespace, becomes ours.
  (void)!chown(directory.c_str(), status.st_uid, status.st_gid);
  chmod(directory.c_str(), status.st_mode & 07777);
  absl::Status copied = CopyInto(OfDescriptor(original), directory);
  close(original);
  return copied;
}

// Returns the directories that the program works on.
absl::StatusOr<std::vector<std::string>> EnterNamespaces(const AttemptSurroundings& surroundings) {
  if (g_in_user_namespace && !NameOurselves()) return Forbidden("cannot name the user");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Forbidden("cannot make mounts private");
  }
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return Forbidden("cannot mount /proc");
  }
  const char* kept = surroundings.kept.c_str();
  if (!ChangeMount("/", AT_RECURSIVE,
                   {.set = kReadOnly, .clear = 0, .propagation = 0, .user_namespace = 0}) ||
      mount(kept, kept, nullptr, MS_BIND, nullptr) != 0 ||
      !ChangeMount(kept, 0,
                   {.set = 0, .clear = kReadOnly, .propagation = 0, .user_namespace = 0})) {
    return Forbidden("cannot make all but the copy read-only");
  }
  std::vector<std::string> roots = {surroundings.state};
  if (access(kSharedMemory, F_OK) == 0) {
    if (mount("tmpfs", kSharedMemory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) {
      return Forbidden("cannot mount an empty /dev/shm");
    }
    roots.emplace_back(kSharedMemory);
  }
  if (const auto shown = ShownInTemporary(surroundings); shown.has_value()) {
    if (absl::Status status = EmptyTemporary(*shown); !status.ok()) return status;
    roots.emplace_back(kTemporary);
  }
  if (absl::Status status = CopyOver(surroundings.state); !status.ok()) return status;
  return roots;
}

}  // namespace

pid_t ForkIsolated(bool namespaces) {
  int flags = SIGCHLD;
  if (namespaces) flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
  g_user = geteuid();
  g_group = getegid();
  auto fork_with = [](int with) {
    return static_cast<pid_t>(syscall(SYS_clone, with, nullptr, nullptr, nullptr, nullptr));
  };
  const pid_t child = fork_with(flags);
  if (child >= 0 || !namespaces) return child;
  const pid_t in_user_namespace = fork_with(flags | CLONE_NEWUSER);
  g_in_user_namespace = in_user_namespace == 0;
  return in_user_namespace;
}

absl::StatusOr<std::vector<std::string>> Isolate(const AttemptSurroundings& surroundings) {
  if (!surroundings.namespaces) {
    if (mkdir(surroundings.copy.c_str(), 0700) != 0) return Forbidden("cannot make a copy");
    absl::Status copied = CopyInto(surroundings.state, surroundings.copy);
    if (!copied.ok()) return copied;
    if (chdir(surroundings.copy.c_str()) != 0) return Forbidden("cannot enter the copy");
    return std::vector<std::string>{surroundings.copy};
  }
  absl::StatusOr<std::vector<std::string>> roots = EnterNamespaces(surroundings);
  // It may be the state, which lies behind its copy now.
  if (roots.ok() && chdir(surroundings.start.c_str()) != 0) {
    return Forbidden("cannot enter the directory");
  }
  return roots;
}

}  // namespace kill9::run

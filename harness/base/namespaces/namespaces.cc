#include "harness/base/namespaces/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "harness/base/text/write_all.h"

namespace kill9 {
namespace {

constexpr char kSource[] = "kill9";  // as /proc/self/mountinfo shows it

bool WriteTo(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = WriteAll(fd, text);
  close(fd);
  return written;
}

}  // namespace

bool EnterUserNamespace() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (user == 0) return true;
  return unshare(CLONE_NEWUSER) == 0 && WriteTo("/proc/self/setgroups", "deny") &&
         WriteTo("/proc/self/uid_map", absl::StrCat(user, " ", user, " 1")) &&
         WriteTo("/proc/self/gid_map", absl::StrCat(group, " ", group, " 1"));
}

bool EnterOwnSharedMemory() {
  return unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && MountOwnSharedMemory();
}

bool MountOwnSharedMemory() {
  return mount(kSource, "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0;
}

bool HasOwnSharedMemory() {
  bool is_own = false;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (!absl::StrContains(line, " /dev/shm ")) continue;
    is_own = line.find(absl::StrCat(" - tmpfs ", kSource, " ")) != line.npos;  // the last one
  }
  return is_own;
}

}  // namespace kill9

#include "harness/stepper/process/shared_mappings.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kill9::stepper {

// A line of /proc/PID/maps: "begin-end rw-s ...". False: there are too many of them.
bool SharedMappings::Take(const char* line) {
  char* behind = nullptr;
  const uint64_t begin = std::strtoull(line, &behind, 16);
  if (*behind != '-') return true;
  const uint64_t end = std::strtoull(behind + 1, &behind, 16);
  if (std::strlen(behind) < 5 || behind[2] != 'w' || behind[4] != 's') return true;
  if (count_ > 0 && ranges_[count_ - 1].end == begin) {
    ranges_[count_ - 1].end = end;
    return true;
  }
  if (count_ == kMost) return false;
  ranges_[count_++] = {begin, end};
  return true;
}

bool SharedMappings::Read(pid_t pid) {
  count_ = 0;
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/maps", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  static char text[1 << 14];  // the stack is the tracees' as well, page by page
  size_t filled = 0;
  ssize_t got = 0;
  bool good = true;
  while (good && (got = read(fd, text + filled, sizeof text - 1 - filled)) > 0) {
    filled += static_cast<size_t>(got);
    text[filled] = '\0';
    char* line = text;
    for (char* end = nullptr; good && (end = std::strchr(line, '\n')) != nullptr; line = end + 1) {
      *end = '\0';
      good = Take(line);
    }
    filled -= static_cast<size_t>(line - text);
    std::memmove(text, line, filled);
  }
  close(fd);
  return good && got == 0;
}

bool MapsMemory(long number) {
  switch (number) {
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_pkey_mprotect:
    case SYS_munmap:
    case SYS_mremap:
    case SYS_remap_file_pages:
    case SYS_shmat:
    case SYS_shmdt:
      return true;
    default:
      return false;
  }
}

}  // namespace kill9::stepper

#include "harness/base/mappings/mappings.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kill9 {
namespace {

// The longest line has a path of 4 KiB, each byte of which the kernel may write as four.
constexpr size_t kTextBytes = 1 << 15;

// "begin-end rights offset major:minor inode  path"
Mapping ReadLine(char* line) {
  Mapping mapping;
  char* at = line;
  const auto number = [&at](int base) {
    const uint64_t value = std::strtoull(at, &at, base);
    if (*at != '\0') ++at;  // what stands between it and the next
    return value;
  };
  mapping.begin = number(16);
  mapping.end = number(16);
  mapping.rights = std::string_view(at, 4);
  at += mapping.rights.size();
  mapping.offset = number(16);
  const auto major = static_cast<unsigned>(number(16));
  mapping.device = makedev(major, static_cast<unsigned>(number(16)));
  mapping.inode = number(10);
  mapping.path = at + std::strspn(at, " ");
  return mapping;
}

}  // namespace

int VisitMappings(pid_t pid, absl::FunctionRef<bool(const Mapping&)> visit) {
  char path[32] = "/proc/self/maps";
  if (pid != 0) std::snprintf(path, sizeof path, "/proc/%d/maps", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  static char text[kTextBytes];  // the stack may be a tracee's as well, page by page
  size_t filled = 0;
  ssize_t got = 0;
  bool go_on = true;
  while (go_on && (got = read(fd, text + filled, sizeof text - 1 - filled)) > 0) {
    filled += static_cast<size_t>(got);
    text[filled] = '\0';
    char* line = text;
    for (char* end = nullptr; go_on && (end = std::strchr(line, '\n')) != nullptr; line = end + 1) {
      *end = '\0';
      go_on = visit(ReadLine(line));
    }
    filled -= static_cast<size_t>(line - text);
    std::memmove(text, line, filled);
  }
  const int error = got < 0 ? errno : 0;
  close(fd);
  return error;
}

}  // namespace kill9

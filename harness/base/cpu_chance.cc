#include "harness/base/cpu_chance.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace kill9 {

bool ReadProcFile(pid_t pid, const char* name, char* text, size_t size) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = read(fd, text, size - 1);
  close(fd);
  text[got > 0 ? got : 0] = '\0';
  return got > 0;
}

ProcessTimes ReadProcessTimes(pid_t pid) {
  ProcessTimes times;
  char text[512];
  if (!ReadProcFile(pid, "stat", text, sizeof text)) return times;
  const char* after_name = std::strrchr(text, ')');
  if (after_name == nullptr || after_name[1] == '\0') return times;
  times.state = after_name[2];
  times.known = true;
  unsigned long long ran_ns = 0;
  unsigned long long waited_ns = 0;
  if (ReadProcFile(pid, "schedstat", text, sizeof text) &&
      std::sscanf(text, "%llu %llu", &ran_ns, &waited_ns) == 2) {
    times.ran_ns = ran_ns;
    times.waited_ns = waited_ns;
    return times;
  }
  clockid_t clock = 0;  // the kernel does not count waits
  timespec ran{};
  if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &ran) == 0) {
    times.ran_ns =
        static_cast<uint64_t>(ran.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(ran.tv_nsec);
  }
  return times;
}

bool ProcShowsOurPids() {
  char target[32];
  const ssize_t size = readlink("/proc/self", target, sizeof target - 1);
  if (size <= 0) return false;
  target[size] = '\0';
  return std::atoi(target) == getpid();
}

uint64_t CpuChance::Look(uint64_t now_ns, uint64_t charged_ns) {
  const ProcessTimes now = ReadProcessTimes(pid_);
  if (!now.known) return charged_ns;
  const uint64_t elapsed = now_ns - std::min(now_ns, last_ns_);
  const uint64_t ran = now.ran_ns - std::min(now.ran_ns, last_.ran_ns);
  uint64_t waited = now.waited_ns - std::min(now.waited_ns, last_.waited_ns);
  // A wait for a CPU that goes on is not counted yet: of a process that is ready, whatever it did
  // not run may have been one.
  if (now.state == 'R') waited = std::max(waited, elapsed - std::min(elapsed, ran));
  last_ = now;
  last_ns_ = now_ns;
  return charged_ns - std::min(charged_ns, waited);
}

}  // namespace kill9

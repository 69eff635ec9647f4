#include "harness/base/cpu_chance.h"

#include <dirent.h>
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
  // The 17th field after the state.
  std::sscanf(after_name + 3, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %u",
              &times.threads);
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

// Two threads may have one place: then either counts as new each time, which charges less.
CpuChance::Thread& CpuChance::Known(pid_t tid) {
  Thread* place = &others_[static_cast<size_t>(tid) % kThreads];
  if (place->tid != tid) *place = {.tid = tid};
  return *place;
}

uint64_t CpuChance::WaitedOf(Thread& thread, const ProcessTimes& now, uint64_t elapsed_ns) {
  const uint64_t ran = now.ran_ns - std::min(now.ran_ns, thread.ran_ns);
  uint64_t waited = now.waited_ns - std::min(now.waited_ns, thread.waited_ns);
  // A wait for a CPU that goes on is not counted yet: of what is ready, whatever it did not run may
  // have been one.
  if (now.state == 'R') waited = std::max(waited, elapsed_ns - std::min(elapsed_ns, ran));
  thread.ran_ns = now.ran_ns;
  thread.waited_ns = now.waited_ns;
  return waited;
}

uint64_t CpuChance::LongestWaitOfOthers(uint64_t elapsed_ns) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/task", pid_);
  const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return 0;
  uint64_t longest = 0;
  alignas(dirent64) char entries[4096];
  for (ssize_t got; (got = getdents64(folder, entries, sizeof entries)) > 0;) {
    for (ssize_t at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      const pid_t tid = std::atoi(entry->d_name);  // 0: "." and ".."
      if (tid == 0 || tid == pid_) continue;
      const ProcessTimes now = ReadProcessTimes(tid);
      if (now.known) longest = std::max(longest, WaitedOf(Known(tid), now, elapsed_ns));
    }
  }
  close(folder);
  return longest;
}

uint64_t CpuChance::Look(uint64_t now_ns, uint64_t charged_ns) {
  const ProcessTimes now = ReadProcessTimes(pid_);
  if (!now.known) return charged_ns;
  const uint64_t elapsed = now_ns - std::min(now_ns, last_ns_);
  last_ns_ = now_ns;
  uint64_t waited = WaitedOf(first_, now, elapsed);
  if (now.threads > 1) waited = std::max(waited, LongestWaitOfOthers(elapsed));
  return charged_ns - std::min(charged_ns, waited);
}

}  // namespace kill9

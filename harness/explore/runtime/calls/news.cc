// Instances of inotify, as explored code has them: each watches the one file that there is.
#include "harness/explore/runtime/calls/news.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "harness/explore/base/arena.h"
#include "harness/explore/base/real_libc.h"
#include "harness/explore/runtime/machine.h"

using kill9::explore::Arena;
using kill9::explore::Kernel;
using kill9::explore::Machine;
using kill9::explore::SystemCall;
using kill9::explore::TellWatchers;

#define KILL9_CODE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

namespace kill9::explore {

void TellWatchers(Kernel::News news, uintptr_t code, uint64_t call) {
  Machine& machine = Machine::Get();
  machine.TouchNews(true, code, call);
  machine.SyncThroughKernel();
  machine.kernel().Tell(news);
  machine.KernelChanged(machine.running());
}

namespace {

constexpr int kOnlyWatch = 1;  // as an instance numbers what it watches
constexpr std::pair<Kernel::News, uint32_t> kBits[] = {{Kernel::kModified, IN_MODIFY},
                                                       {Kernel::kClosed, IN_CLOSE_WRITE}};

int64_t NsOf(const timespec& time) { return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec; }

void SetWanted(int watch, uint32_t mask, uintptr_t code, uint64_t call) {
  Machine& machine = Machine::Get();
  machine.TouchNews(true, code, call);
  uint8_t wanted = Kernel::kNoNews;
  for (const auto& [news, bit] : kBits) {
    if ((mask & bit) != 0) wanted = static_cast<uint8_t>(wanted | news);
  }
  machine.kernel().SetWanted(watch, wanted);
  machine.KernelChanged(machine.running());
}

// As many events as there are bits of news.
ssize_t ReadNews(int watch, void* to, uintptr_t code) {
  Machine& machine = Machine::Get();
  machine.TouchNews(true, code, SystemCall(SYS_read));
  machine.SyncThroughKernel();
  const uint8_t news = machine.kernel().TakeNews(watch);
  machine.Answer(news);
  if (news == Kernel::kNoNews) {
    errno = EAGAIN;
    return -1;
  }
  machine.KernelChanged(machine.running());
  auto* event = static_cast<inotify_event*>(to);
  ssize_t bytes = 0;
  for (const auto& [bit, mask] : kBits) {
    if ((news & bit) == 0) continue;
    *event++ = {.wd = kOnlyWatch, .mask = mask, .cookie = 0, .len = 0};
    bytes += static_cast<ssize_t>(sizeof *event);
  }
  return bytes;
}

}  // namespace
}  // namespace kill9::explore

extern "C" {

ssize_t __real_read(int fd, void* to, size_t bytes);
ssize_t __real_pwrite(int fd, const void* from, size_t bytes, off_t at);
int __real_inotify_init1(int flags);
int __real_inotify_add_watch(int fd, const char* path, uint32_t mask);
int __real_inotify_rm_watch(int fd, int watched);
int __real_ppoll(pollfd* watched, nfds_t count, const timespec* timeout, const sigset_t* mask);

int __wrap_inotify_init1(int flags) {
  if (!Arena::Get().on) return __real_inotify_init1(flags);
  Machine& machine = Machine::Get();
  const int watch = machine.kernel().OpenWatch(machine.running());
  if (watch != Kernel::kNone) return Kernel::DescriptorOfWatch(watch);
  errno = EMFILE;
  return -1;
}

int __wrap_inotify_add_watch(int fd, const char* path, uint32_t mask) {
  const int watch = Kernel::WatchOf(fd);
  if (watch == Kernel::kNone) return __real_inotify_add_watch(fd, path, mask);
  kill9::explore::SetWanted(watch, mask, KILL9_CODE, SystemCall(SYS_inotify_add_watch));
  return kill9::explore::kOnlyWatch;
}

int __wrap_inotify_rm_watch(int fd, int watched) {
  const int watch = Kernel::WatchOf(fd);
  if (watch == Kernel::kNone) return __real_inotify_rm_watch(fd, watched);
  kill9::explore::SetWanted(watch, 0, KILL9_CODE, SystemCall(SYS_inotify_rm_watch));
  return 0;
}

ssize_t __wrap_read(int fd, void* to, size_t bytes) {
  const int watch = Kernel::WatchOf(fd);
  if (watch == Kernel::kNone) return __real_read(fd, to, bytes);
  return kill9::explore::ReadNews(watch, to, KILL9_CODE);
}

ssize_t __wrap_pwrite(int fd, const void* from, size_t bytes, off_t at) {
  if (!Kernel::IsDescriptor(fd)) return __real_pwrite(fd, from, bytes, at);
  TellWatchers(Kernel::kModified, KILL9_CODE, SystemCall(SYS_pwrite64));
  return static_cast<ssize_t>(bytes);
}

int __wrap_ppoll(pollfd* watched, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  const int watch = count == 1 ? Kernel::WatchOf(watched->fd) : Kernel::kNone;
  if (watch == Kernel::kNone) return __real_ppoll(watched, count, timeout, mask);
  Machine& machine = Machine::Get();
  machine.TouchNews(false, KILL9_CODE, SystemCall(SYS_ppoll));
  machine.SyncThroughKernel();
  const bool told = machine.WaitForNews(
      watch,
      timeout == nullptr ? Machine::kNeverNs : machine.now_ns() + kill9::explore::NsOf(*timeout));
  machine.Answer(told ? 1 : 0);
  watched->revents = told ? POLLIN : 0;
  return told ? 1 : 0;
}

// What explored code has in the place of the processor's instruction.
void kill9_explored_pause() {
  if (Machine::exploring()) Machine::Get().Pause();
}

}  // extern "C"

#include "harness/stepper/trace/waiting.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/mappings/mappings.h"
#include "harness/stepper/trace/backtrace.h"

namespace kill9::stepper {
namespace {

// The system calls in which processes wait for each other.
constexpr struct {
  long number;
  const char* name;
} kCalls[] = {
    {SYS_futex, "futex"},
    {SYS_sched_yield, "sched_yield"},
    {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_poll, "poll"},
    {SYS_ppoll, "ppoll"},
    {SYS_select, "select"},
    {SYS_pselect6, "pselect6"},
    {SYS_epoll_wait, "epoll_wait"},
    {SYS_epoll_pwait, "epoll_pwait"},
    {SYS_read, "read"},
    {SYS_write, "write"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_fcntl, "fcntl (a file lock)"},
    {SYS_flock, "flock"},
    {SYS_semop, "semop"},
    {SYS_semtimedop, "semtimedop"},
    {SYS_wait4, "wait4"},
    {SYS_waitid, "waitid"},
};

std::string NameOfCall(long number) {
  for (const auto& call : kCalls) {
    if (call.number == number) return call.name;
  }
  return absl::StrCat("system call ", number);
}

bool ReadWords(pid_t pid, uint64_t address, uint32_t* words, size_t count) {
  iovec local{words, count * sizeof *words};
  iovec remote{reinterpret_cast<void*>(address), count * sizeof *words};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0) ==
         static_cast<ssize_t>(count * sizeof *words);
}

// "byte 80 of /dev/shm/x", "address 0x7f…".
std::string PlaceOf(pid_t pid, uint64_t address) {
  std::string place = absl::StrFormat("address %#x", address);
  VisitMappings(pid, [&](const Mapping& one) {
    if (address >= one.end) return true;
    if (address >= one.begin && one.IsShared()) {
      place = absl::StrCat("byte ", address - one.begin + one.offset, " of ",
                           one.path.empty() ? "shared memory" : std::string(one.path));
    }
    return false;
  });
  return place;
}

bool Calls(const std::vector<StackFrame>& stack, std::string_view part) {
  return std::any_of(stack.begin(), stack.end(), [part](const StackFrame& frame) {
    return frame.function.find(part) != std::string::npos;
  });
}

// What the word says, where it is known which kind of word it is.
std::string OwnerOf(pid_t pid, uint64_t address, const std::vector<StackFrame>& stack,
                    absl::FunctionRef<std::string(pid_t)> who) {
  constexpr size_t kWords = 3;
  constexpr size_t kOwner = 2;  // of a pthread_mutex_t: lock, count, owner
  uint32_t words[kWords];
  if (!ReadWords(pid, address, words, kWords)) return "";
  if (Calls(stack, "sem_wait") || Calls(stack, "sem_timedwait") || Calls(stack, "sem_clockwait")) {
    return absl::StrCat(": a semaphore at ", words[0], ", which somebody would have to post");
  }
  if (!Calls(stack, "pthread_mutex")) return absl::StrCat(", which is ", words[0]);
  const bool names_owner = (words[0] & FUTEX_TID_MASK) > 2;  // a robust one; else 1 or 2
  const auto owner = static_cast<pid_t>(names_owner ? words[0] & FUTEX_TID_MASK : words[kOwner]);
  if (owner == 0) return ": a mutex that has no owner";
  return absl::StrCat(": a mutex whose owner is ", who(owner));
}

}  // namespace

WaitingFor LookAtWaiting(pid_t pid, absl::FunctionRef<std::string(pid_t)> who) {
  WaitingFor waiting;
  // Before its stack is looked at: that ends a call.
  std::string text;
  std::getline(std::ifstream(absl::StrCat("/proc/", pid, "/syscall")), text);
  const std::vector<StackFrame> stack = Backtrace(pid);
  waiting.stack = RenderStack(stack);
  if (text.empty()) return waiting;
  std::istringstream fields(text);
  long call = -1;
  uint64_t address = 0;
  if (!(fields >> call) || call < 0) {
    waiting.what = "running: it looks again and again";
    return waiting;
  }
  waiting.what = absl::StrCat("asleep in ", NameOfCall(call));
  if (call == SYS_sched_yield) waiting.what = "running: it looks again and again (sched_yield)";
  if (call == SYS_futex && fields >> std::hex >> address) {
    absl::StrAppend(&waiting.what, ", on the word at ", PlaceOf(pid, address),
                    OwnerOf(pid, address, stack, who));
  }
  return waiting;
}

}  // namespace kill9::stepper

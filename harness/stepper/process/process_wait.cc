#include "harness/stepper/process/process_wait.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "harness/base/process_end/address_space_lock.h"
#include "harness/base/shared_mapping.h"

namespace kill9::stepper {
namespace {

int LastPidFile() {
  static const int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  return fd;
}

bool WritePid(pid_t pid) {
  char text[16];
  int length = std::snprintf(text, sizeof text, "%d", pid);
  return LastPidFile() >= 0 &&
         pwrite(LastPidFile(), text, static_cast<size_t>(length), 0) == length;
}

constexpr long kTickMicroseconds = 250'000;
constexpr long kFineTickMicroseconds = 2'000;
bool pid_namespace = false;

// Interrupts waitpid every so often.
void SetTicker(long microseconds) {
  itimerval value{};
  value.it_interval.tv_usec = microseconds;
  value.it_value = value.it_interval;
  setitimer(ITIMER_REAL, &value, nullptr);
}

uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// Of the processes that ForkAs made, by PID: this one's children, and theirs, are in one namespace.
const AddressSpaceLocks& MemoriesByPid() {
  static const AddressSpaceLocks memories;
  return memories;
}

// In memory that all processes share which ForkAs made.
struct Numbers {
  std::atomic<pid_t> pid[kNumbers];  // relaxed: who is asked of is forked before, or waited for
};
Numbers& NumbersOfAll() {
  static Numbers* const numbers = MapShared<Numbers>().release();
  if (numbers == nullptr) std::abort();
  return *numbers;
}

}  // namespace

double NowSeconds() { return static_cast<double>(NowNs()) * 1e-9; }

Waiting HowItWaits(pid_t pid) {
  const char state = ReadProcessTimes(pid).state;
  if (state == '?' || state == 'Z' || state == 'X') return Waiting::kGone;
  if (state != 'S' && state != 'D') return Waiting::kNo;
  char text[128];
  if (!ReadProcFile(pid, "syscall", text, sizeof text)) return Waiting::kForATime;
  long number = -1;
  if (std::sscanf(text, "%ld", &number) != 1) return Waiting::kNo;  // "running"
  // Whether a futex wait has a time-out is not asked: a mutex whose waiters look again now and then
  // (RobustMutex) is as held as one whose waiters sleep until they are woken.
  const bool for_others =
      number == SYS_futex || number == SYS_fcntl || number == SYS_flock || number == SYS_semop;
  return for_others ? Waiting::kForOthers : Waiting::kForATime;
}

double CpuSeconds(pid_t pid) {
  clockid_t clock = 0;
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

uint64_t OwnPageFaults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_minflt);
}

OwnClock::OwnClock(pid_t pid) : looked_ns_(NowNs()) {
  chance_.Begin(pid, looked_ns_);
  chance_.Look(looked_ns_, 0);  // what it has done before does not count
}

double OwnClock::Seconds() {
  constexpr uint64_t kMostPerLookNs = static_cast<uint64_t>(kMostPerLook * 1e9);
  const uint64_t now_ns = NowNs();
  const uint64_t passed_ns = std::min(now_ns - looked_ns_, kMostPerLookNs);
  seconds_ += static_cast<double>(chance_.Look(now_ns, passed_ns)) * 1e-9;
  looked_ns_ = now_ns;
  return seconds_;
}

pid_t ForkAs(pid_t wanted) {
  if (wanted > 0 && pid_namespace) WritePid(wanted - 1);
  const AddressSpaceLocks& memories = MemoriesByPid();
  Numbers* const numbers = pid_namespace ? nullptr : &NumbersOfAll();
  pid_t child = fork();
  const auto number = static_cast<size_t>(wanted - kFirstNumber);
  if (numbers != nullptr && child > 0 && number < kNumbers) {
    numbers->pid[number].store(child, std::memory_order_relaxed);
  }
  if (child == 0) memories.Take(static_cast<uint32_t>(getpid()));
  // In a namespace the death of its first process ends all others.
  if (child == 0 && !pid_namespace) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return child;
}

void AwaitMemoryGone(pid_t reaped) {
  MemoriesByPid().AwaitGone(static_cast<uint32_t>(reaped));
  if (pid_namespace) return;
  for (std::atomic<pid_t>& pid : NumbersOfAll().pid) {
    pid_t expected = reaped;
    pid.compare_exchange_strong(expected, 0, std::memory_order_relaxed, std::memory_order_relaxed);
  }
}

PidsByNumber PidsOfNumbers() {
  PidsByNumber pids{};
  for (size_t n = 0; n < kNumbers && !pid_namespace; ++n) {
    pids[n] = NumbersOfAll().pid[n].load(std::memory_order_relaxed);
  }
  return pids;
}

bool PidsRepeat() { return pid_namespace; }
void UsePidNamespace() { pid_namespace = true; }

void StartTicker() {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART: the system call returns EINTR
  sigaction(SIGALRM, &action, nullptr);
  SetTicker(kTickMicroseconds);
}

FineTicker::FineTicker() { SetTicker(kFineTickMicroseconds); }
FineTicker::~FineTicker() { SetTicker(kTickMicroseconds); }

StuckDetector::StuckDetector(pid_t pid, double limit_seconds)
    : pid_(pid), limit_seconds_(limit_seconds), clock_(pid), cpu_start_(CpuSeconds(pid)) {}

bool StuckDetector::Exhausted() {
  const double elapsed = clock_.Seconds();
  if (elapsed < limit_seconds_ / 8) return false;
  const Waiting waiting = HowItWaits(pid_);
  if (waiting != Waiting::kForOthers)
    asleep_since_ = -1;
  else if (asleep_since_ < 0)
    asleep_since_ = elapsed;
  // Longer than a lock takes whose waiters look again every second.
  if (asleep_since_ >= 0 && elapsed - asleep_since_ >= std::max(1.5, limit_seconds_ / 4)) {
    return true;
  }
  const bool busy = CpuSeconds(pid_) - cpu_start_ >= limit_seconds_ / 2;
  const bool asleep = waiting == Waiting::kForOthers || waiting == Waiting::kForATime;
  return elapsed >= limit_seconds_ && (busy || asleep || elapsed >= 20 * limit_seconds_);
}

bool Reap(pid_t pid, double limit_seconds, int* status) {
  if (waitpid(pid, status, WNOHANG) == pid) {
    AwaitMemoryGone(pid);
    return true;
  }
  StuckDetector stuck_detector(pid, limit_seconds);
  while (true) {
    pid_t got = waitpid(pid, status, 0);
    if (got == pid) {
      AwaitMemoryGone(pid);
      return true;
    }
    if (got < 0 && errno != EINTR) return false;
    if (!stuck_detector.Exhausted()) continue;
    KillAndReap(pid);
    return false;
  }
}

uint64_t KillAndReap(pid_t pid) {
  kill(pid, SIGKILL);
  while (true) {
    int status = 0;
    rusage usage{};
    pid_t got = wait4(pid, &status, 0, &usage);
    if (got == pid && (WIFSIGNALED(status) || WIFEXITED(status))) {
      AwaitMemoryGone(pid);
      return static_cast<uint64_t>(usage.ru_minflt);
    }
    if (got < 0 && errno != EINTR) return 0;  // not a child, or reaped before
  }
}

}  // namespace kill9::stepper

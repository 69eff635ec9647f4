#include "harness/stepper/tracee.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

extern "C" const char kill9_sweep_end[];  // a label in MarkEnd

namespace kill9::sweep {
namespace {

size_t ReadProc(pid_t pid, const char* name, char* text, size_t size) {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, text, size - 1);
  close(fd);
  text[got < 0 ? 0 : got] = '\0';
  return got < 0 ? 0 : static_cast<size_t>(got);
}

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

// Interrupts waitpid every so often, so that a wait has a bound. Timers are not inherited by fork.
void SetTicker(long microseconds) {
  itimerval value{};
  value.it_interval.tv_usec = microseconds;
  value.it_value = value.it_interval;
  setitimer(ITIMER_REAL, &value, nullptr);
}

}  // namespace

// What a victim did before may have left something in the registers that a call may change: its
// random identity, for one. So that it begins the same every time, they begin as zero.
[[gnu::noinline]] void MarkBegin() {
  asm volatile(
      "xor %%eax, %%eax\nxor %%ecx, %%ecx\nxor %%edx, %%edx\nxor %%esi, %%esi\nxor %%edi, %%edi\n"
      "xor %%r8d, %%r8d\nxor %%r9d, %%r9d\nxor %%r10d, %%r10d\nxor %%r11d, %%r11d\nint3"
      :
      :
      : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
}
[[gnu::noinline]] void MarkEnd() {
  asm volatile(".globl kill9_sweep_end\nkill9_sweep_end: int3" ::: "memory");
}
uint64_t EndAddress() { return reinterpret_cast<uint64_t>(kill9_sweep_end); }

void TraceMe() { ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }

double NowSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Waiting HowItWaits(pid_t pid) {
  char text[512];
  if (ReadProc(pid, "stat", text, sizeof text) == 0) return Waiting::kGone;
  const char* after_name = std::strrchr(text, ')');
  if (after_name == nullptr || after_name[1] == '\0') return Waiting::kGone;
  char state = after_name[2];
  if (state == 'Z' || state == 'X') return Waiting::kGone;
  if (state != 'S' && state != 'D') return Waiting::kNo;
  if (ReadProc(pid, "syscall", text, sizeof text) == 0) return Waiting::kForATime;
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

double SecondsWithoutCpu(pid_t pid) {
  char text[128];
  unsigned long long ran_ns = 0;
  unsigned long long waited_ns = 0;
  if (ReadProc(pid, "schedstat", text, sizeof text) == 0 ||
      std::sscanf(text, "%llu %llu", &ran_ns, &waited_ns) != 2) {
    return 0;
  }
  return static_cast<double>(waited_ns) * 1e-9;
}

OwnClock::OwnClock(pid_t pid)
    : pid_(pid), looked_(NowSeconds()), without_cpu_(SecondsWithoutCpu(pid)) {}

double OwnClock::Seconds() {
  const double now = NowSeconds();
  const double without_cpu = SecondsWithoutCpu(pid_);
  const double passed = std::min(now - looked_, kMostPerLook);
  seconds_ += std::max(0.0, passed - (without_cpu - without_cpu_));
  looked_ = now;
  without_cpu_ = without_cpu;
  return seconds_;
}

pid_t ForkAs(pid_t wanted) {
  if (wanted > 0 && pid_namespace) WritePid(wanted - 1);
  pid_t child = fork();
  // In a namespace the death of its first process ends all others.
  if (child == 0 && !pid_namespace) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return child;
}

bool PidsRepeat() { return pid_namespace; }
void UsePidNamespace() { pid_namespace = true; }

void StartTicker() {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART: the system call returns EINTR
  sigaction(SIGALRM, &action, nullptr);
  SetTicker(kTickMicroseconds);
}

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
  return elapsed >= limit_seconds_ &&
         (busy || waiting != Waiting::kNo || elapsed >= 20 * limit_seconds_);
}

bool Reap(pid_t pid, double limit_seconds, int* status) {
  if (waitpid(pid, status, WNOHANG) == pid) return true;
  StuckDetector stuck_detector(pid, limit_seconds);
  while (true) {
    pid_t got = waitpid(pid, status, 0);
    if (got == pid) return true;
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
      return static_cast<uint64_t>(usage.ru_minflt);
    }
    if (got < 0 && errno != EINTR) return 0;  // not a child, or reaped before
  }
}

Tracee::Stop Tracee::Interpret(int status) {
  if (WIFSTOPPED(status)) {
    if (WSTOPSIG(status) == SIGTRAP) return Stop::kTrap;
    signal_ = WSTOPSIG(status);
    return Stop::kDied;  // a fault that is about to kill it
  }
  signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  pid_ = 0;
  return WIFSIGNALED(status) ? Stop::kDied : Stop::kExited;
}

Tracee::Stop Tracee::Wait() {
  std::optional<StuckDetector> stuck_detector;  // most stops come before the first tick
  int status = 0;
  while (waitpid(pid_, &status, 0) != pid_) {
    if (errno != EINTR) return Stop::kBlocked;
    if (!stuck_detector.has_value()) stuck_detector.emplace(pid_, kLimitSeconds);
    if (stuck_detector->Exhausted()) return Stop::kBlocked;
  }
  return Interpret(status);
}

Tracee::Stop Tracee::WaitOrBlocked() {
  SetTicker(kFineTickMicroseconds);
  StuckDetector stuck_detector(pid_, kLimitSeconds);  // for one that spins
  int asleep = 0;
  int status = 0;
  Stop stop = Stop::kBlocked;
  while (asleep < 3) {
    if (waitpid(pid_, &status, 0) == pid_) {
      stop = Interpret(status);
      break;
    }
    if (errno != EINTR) break;
    asleep = HowItWaits(pid_) == Waiting::kForOthers ? asleep + 1 : 0;
    if (stuck_detector.Exhausted()) break;
  }
  SetTicker(kTickMicroseconds);
  return stop;
}

Tracee::Stop Tracee::Step(bool may_block) {
  if (ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) return Stop::kExited;
  if (!may_block) return Wait();
  const Stop stop = WaitOrBlocked();
  // A waiter that looks again now and then (RobustMutex) may have given up before it was seen
  // asleep.
  const bool gave_up = stop == Stop::kTrap && Registers().rax == static_cast<uint64_t>(-ETIMEDOUT);
  return gave_up ? Stop::kBlocked : stop;
}

Tracee::Stop Tracee::Continue(bool may_block) {
  if (ptrace(PTRACE_CONT, pid_, nullptr, nullptr) != 0) return Stop::kExited;
  return may_block ? WaitOrBlocked() : Wait();
}

Tracee::Stop Tracee::RunTo(uint64_t address, uint32_t hits) {
  return breakpoints_ == Breakpoints::kDebugRegisters ? RunByDebugRegister(address, hits)
                                                      : RunByInt3(address, hits);
}

Tracee::Stop Tracee::RunByDebugRegister(uint64_t address, uint32_t hits) {
  constexpr size_t kAddress0 = offsetof(user, u_debugreg) + 0 * sizeof(uint64_t);
  constexpr size_t kControl = offsetof(user, u_debugreg) + 7 * sizeof(uint64_t);
  constexpr uint64_t kExecute0 = 1;  // enable breakpoint 0 locally: on execution
  auto poke = [this](size_t where, uint64_t word) {
    return ptrace(PTRACE_POKEUSER, pid_, where, word) == 0;
  };
  if (!poke(kAddress0, address) || !poke(kControl, kExecute0)) return Stop::kExited;
  for (uint32_t hit = 0; hit < hits; ++hit) {
    if (Stop stop = Continue(); stop != Stop::kTrap) return stop;
    if (InstructionPointer() != address) return Stop::kTrap;
  }
  return poke(kControl, 0) ? Stop::kTrap : Stop::kExited;
}

// The kernel gives the tracee a copy of the page when it is first written to: nobody else, the
// tracer that reads the same code included, sees the int3. The original is this process's own.
Tracee::Stop Tracee::RunByInt3(uint64_t address, uint32_t hits) {
  const uint64_t word_at = address & ~uint64_t{7};
  const uint64_t shift = (address - word_at) * 8;
  const uint64_t original = *reinterpret_cast<const uint64_t*>(word_at);
  const uint64_t planted = (original & ~(uint64_t{0xFF} << shift)) | uint64_t{0xCC} << shift;
  auto poke = [this, word_at](uint64_t word) {
    return ptrace(PTRACE_POKETEXT, pid_, word_at, word) == 0;
  };
  for (uint32_t hit = 0; hit < hits; ++hit) {
    if (hit > 0) {
      if (Stop stop = Step(); stop != Stop::kTrap) return stop;
      if (InstructionPointer() == address) continue;  // a jump to itself
    }
    if (!poke(planted)) return Stop::kExited;
    if (Stop stop = Continue(); stop != Stop::kTrap) return stop;
    if (!poke(original)) return Stop::kExited;
    if (InstructionPointer() != address + 1) return Stop::kTrap;
    if (!SetInstructionPointer(address)) return Stop::kExited;
  }
  return Stop::kTrap;
}

Tracee::Stop Tracee::RunInsideString(uint64_t bytes, uint32_t iterations) {
  const user_regs_struct before = Registers();
  user_regs_struct registers = before;
  registers.rcx = iterations;
  if (ptrace(PTRACE_SETREGS, pid_, nullptr, &registers) != 0) return Stop::kExited;
  if (Stop stop = RunTo(before.rip + bytes, 1); stop != Stop::kTrap) return stop;
  registers = Registers();
  if (registers.rip != before.rip + bytes || registers.rcx != 0) return Stop::kTrap;  // strayed
  registers.rip = before.rip;
  registers.rcx = before.rcx - iterations;
  return ptrace(PTRACE_SETREGS, pid_, nullptr, &registers) == 0 ? Stop::kTrap : Stop::kExited;
}

bool Tracee::SetInstructionPointer(uint64_t address) {
  constexpr size_t kRip = offsetof(user, regs) + offsetof(user_regs_struct, rip);
  return ptrace(PTRACE_POKEUSER, pid_, kRip, address) == 0;
}

uint64_t Tracee::InstructionPointer() const {
  constexpr size_t kRip = offsetof(user, regs) + offsetof(user_regs_struct, rip);
  return static_cast<uint64_t>(ptrace(PTRACE_PEEKUSER, pid_, kRip, nullptr));
}

user_regs_struct Tracee::Registers() const {
  user_regs_struct registers{};
  ptrace(PTRACE_GETREGS, pid_, nullptr, &registers);
  return registers;
}

uint64_t Tracee::Word(uint64_t address) const {
  errno = 0;
  return static_cast<uint64_t>(ptrace(PTRACE_PEEKDATA, pid_, address, nullptr));
}

uint64_t Tracee::Kill() {
  if (pid_ == 0) return 0;
  // On a loaded machine a victim waits milliseconds for a CPU to die on; refused without the
  // privilege.
  sched_param priority{};
  priority.sched_priority = 1;
  sched_setscheduler(pid_, SCHED_FIFO, &priority);
  return KillAndReap(std::exchange(pid_, 0));
}

void Tracee::Detach(int signal) {
  ptrace(PTRACE_DETACH, pid_, nullptr, static_cast<uint64_t>(signal));
}

const char* WhyTheSweepCannotRun() {
  if (access("/proc/self/stat", R_OK) != 0 || access("/proc/self/exe", X_OK) != 0) {
    return "the sweep needs /proc: its workers are this program started anew (/proc/self/exe), and "
           "how a process waits is told there alone. Mount it: mount -t proc proc /proc";
  }
  return WhyPtraceIsForbidden();
}

const char* WhyPtraceIsForbidden() {
  pid_t child = fork();
  if (child == 0) _exit(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int status = 0;
  if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
      WEXITSTATUS(status) == 0) {
    return nullptr;
  }
  return "the sweep needs ptrace(2), and this machine forbids it. In a container: start it with "
         "--cap-add=SYS_PTRACE (and, with Docker before 19.03 or an old kernel, --security-opt "
         "seccomp=unconfined). Elsewhere: sysctl kernel.yama.ptrace_scope must not be 3.";
}

}  // namespace kill9::sweep

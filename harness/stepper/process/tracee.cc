#include "harness/stepper/process/tracee.h"

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "harness/base/cpu_chance.h"

extern "C" const char kill9_stepper_end[];  // a label in MarkEnd

namespace kill9::stepper {
namespace {

bool IsIgnored(pid_t pid, int signal) {
  constexpr char kIgnored[] = "\nSigIgn:";
  char text[4096];
  if (!ReadProcFile(pid, "status", text, sizeof text)) return false;
  const char* const line = std::strstr(text, kIgnored);
  return line != nullptr &&
         (std::strtoull(line + sizeof kIgnored - 1, nullptr, 16) >> (signal - 1) & 1) != 0;
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
  asm volatile(".globl kill9_stepper_end\nkill9_stepper_end: int3" ::: "memory");
}
uint64_t EndAddress() { return reinterpret_cast<uint64_t>(kill9_stepper_end); }

void TraceMe() { ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }

bool Tracee::Resume(int signal) {
  return ptrace(steps_ ? PTRACE_SINGLESTEP : PTRACE_CONT, pid_, nullptr,
                static_cast<uint64_t>(signal)) == 0;
}

// A traced process stops for each signal, also for one that does nothing to it: a terminal's other
// size, the end of a pause of the whole group. It has done nothing since it was resumed, or a part
// of what it is to do: it is resumed anew. A stop by others would only keep the tracer waiting.
bool Tracee::GoesOn(int status) {
  if (!WIFSTOPPED(status)) return false;
  const int signal = WSTOPSIG(status);
  switch (signal) {
    case SIGTRAP:
      return false;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return Resume(0);
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
      return Resume(signal);
    default:
      return IsIgnored(pid_, signal) && Resume(signal);
  }
}

Tracee::Stop Tracee::Interpret(int status) {
  if (WIFSTOPPED(status)) {
    if (WSTOPSIG(status) == SIGTRAP) return Stop::kTrap;
    signal_ = WSTOPSIG(status);
    return Stop::kDied;  // a fault that is about to kill it
  }
  signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  AwaitMemoryGone(std::exchange(pid_, 0));
  return WIFSIGNALED(status) ? Stop::kDied : Stop::kExited;
}

Tracee::Stop Tracee::Wait() {
  std::optional<StuckDetector> stuck_detector;  // most stops come before the first tick
  int status = 0;
  while (true) {
    if (waitpid(pid_, &status, 0) == pid_) {
      if (GoesOn(status)) continue;
      return Interpret(status);
    }
    if (errno != EINTR) return Stop::kBlocked;
    if (!stuck_detector.has_value()) stuck_detector.emplace(pid_, kLimitSeconds);
    if (stuck_detector->Exhausted()) return Stop::kBlocked;
  }
}

Tracee::Stop Tracee::WaitOrBlocked() {
  FineTicker ticker;
  StuckDetector stuck_detector(pid_, kLimitSeconds);  // for one that spins
  int asleep = 0;
  int status = 0;
  Stop stop = Stop::kBlocked;
  while (asleep < 3) {
    if (waitpid(pid_, &status, 0) == pid_) {
      if (GoesOn(status)) continue;
      stop = Interpret(status);
      break;
    }
    if (errno != EINTR) break;
    asleep = HowItWaits(pid_) == Waiting::kForOthers ? asleep + 1 : 0;
    if (stuck_detector.Exhausted()) break;
  }
  return stop;
}

Tracee::Stop Tracee::Step(bool may_block) {
  steps_ = true;
  if (!Resume(0)) return Stop::kExited;
  if (!may_block) return Wait();
  const Stop stop = WaitOrBlocked();
  // A waiter that looks again now and then (RobustMutex) may have given up before it was seen
  // asleep.
  const bool gave_up = stop == Stop::kTrap && Registers().rax == static_cast<uint64_t>(-ETIMEDOUT);
  return gave_up ? Stop::kBlocked : stop;
}

Tracee::Stop Tracee::Continue(bool may_block) {
  steps_ = false;
  if (!Resume(0)) return Stop::kExited;
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
  if (registers.rip != before.rip + bytes || registers.rcx != 0) return Stop::kTrap;  // elsewhere
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

const char* WhySteppingCannotRun() {
  if (access("/proc/self/stat", R_OK) != 0 || access("/proc/self/exe", X_OK) != 0) {
    return "stepping a process needs /proc: zygotes are this program started anew "
           "(/proc/self/exe), and "
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
  return "stepping a process needs ptrace(2), and this machine forbids it. In a container: start "
         "it with "
         "--cap-add=SYS_PTRACE (and, with Docker before 19.03 or an old kernel, --security-opt "
         "seccomp=unconfined). Elsewhere: sysctl kernel.yama.ptrace_scope must not be 3.";
}

}  // namespace kill9::stepper

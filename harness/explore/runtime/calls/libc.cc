// Calls of the C library and of the kernel that explored code makes: simulated where they are about
// other participants or about time; else the real ones. The link leads here all calls of the
// program (--wrap); what is not explored code gets the real ones.
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

#include "harness/explore/base/arena.h"
#include "harness/explore/base/real_libc.h"
#include "harness/explore/runtime/calls/news.h"
#include "harness/explore/runtime/calls/robust_mutex.h"
#include "harness/explore/runtime/machine.h"

using kill9::explore::Arena;
using kill9::explore::Kernel;
using kill9::explore::LockMutex;
using kill9::explore::Machine;
using kill9::explore::MakeMutexConsistent;
using kill9::explore::Order;
using kill9::explore::Patience;
using kill9::explore::SystemCall;
using kill9::explore::TellWatchers;
using kill9::explore::UnlockMutex;

#define KILL9_CODE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

namespace {

// Explored code is what allocates in the arena: also while its scene is being made.
bool IsExploredCode() { return Arena::Get().on; }

// A mapping that keeps an open description alive is one page that nobody touches.
constexpr size_t kPageBytes = 4096;
char* ProofPages() {
  static char* const pages = static_cast<char*>(
      mmap(nullptr, Kernel::kMost * kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  return pages;
}
int DescriptionOfProof(const void* page) {
  const size_t offset = static_cast<size_t>(static_cast<const char*>(page) - ProofPages());
  return offset < Kernel::kMost * kPageBytes ? static_cast<int>(offset / kPageBytes)
                                             : Kernel::kNone;
}

void Drop(int description, uint64_t call) {
  Machine& machine = Machine::Get();
  machine.TouchResource(static_cast<uint32_t>(description), true, 0, call);
  machine.SyncThroughKernel();
  if (!machine.kernel().DropReference(description)) return;
  if (machine.kernel().IsWatched()) {
    TellWatchers(Kernel::kClosed, 0, 0);
    machine.TouchResource(static_cast<uint32_t>(description), true, 0, 0);
  }
  machine.kernel().UnlockAll(description);
  machine.KernelChanged(machine.running());
}

int SetByteLock(int fd, struct flock* lock, uintptr_t code) {
  Machine& machine = Machine::Get();
  const int description = Kernel::DescriptionOf(fd);
  const bool writes = lock->l_type != F_UNLCK;
  if (description == Kernel::kNone) return 0;  // the segment's own descriptor never has any
  machine.NoteQuestionOfLife();
  machine.TouchResource(static_cast<uint32_t>(lock->l_start), true, code,
                        SystemCall(SYS_fcntl, F_OFD_SETLK));
  machine.SyncThroughKernel();
  if (!writes) {
    machine.kernel().Unlock(lock->l_start, description);
    machine.KernelChanged(machine.running());
    return 0;
  }
  if (machine.kernel().Lock(lock->l_start, description)) {
    machine.KernelChanged(machine.running());
    machine.Answer(1);
    return 0;
  }
  machine.Answer(0);
  errno = EAGAIN;
  return -1;
}

int GetByteLock(int fd, struct flock* lock, uintptr_t code) {
  Machine& machine = Machine::Get();
  machine.NoteQuestionOfLife();
  machine.TouchResource(static_cast<uint32_t>(lock->l_start), false, code,
                        SystemCall(SYS_fcntl, F_OFD_GETLK));
  machine.SyncThroughKernel();
  const int holder = machine.kernel().HolderOf(lock->l_start);
  const bool taken = holder != Kernel::kNone && holder != Kernel::DescriptionOf(fd);
  if (!taken) lock->l_type = F_UNLCK;
  machine.Answer(taken ? 1 : 0);
  return 0;
}

}  // namespace

extern "C" {

int __real_fcntl(int fd, int command, ...);
int __real_open(const char* path, int flags, ...);
int __real_close(int fd);
void* __real_mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void* address, size_t bytes);
int __real_madvise(void* address, size_t bytes, int advice);
int __real_fstat(int fd, struct stat* result);
long __real_syscall(long number, ...);
int __real_nanosleep(const timespec* time, timespec* left);
int __real_sched_yield();
int __real_usleep(useconds_t us);
int __real_clock_gettime(clockid_t clock, timespec* time);
pid_t __real_getpid();
pid_t __real_gettid();
int __real_kill(pid_t pid, int signal);
ssize_t __real_getrandom(void* to, size_t bytes, unsigned flags);
int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t* mutex);
int __real_pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* until);
int __real_pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until);
int __real_pthread_mutex_unlock(pthread_mutex_t* mutex);
int __real_pthread_mutex_consistent(pthread_mutex_t* mutex);

// ---- Mutexes ----

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  if (Machine::Get().Covers(mutex)) return LockMutex(mutex, Patience::kForEver, KILL9_CODE);
  // A mutex of the participant's own process: no thread of it but this one.
  return IsExploredCode() ? 0 : __real_pthread_mutex_lock(mutex);
}
int __wrap_pthread_mutex_trylock(pthread_mutex_t* mutex) {
  if (Machine::Get().Covers(mutex)) return LockMutex(mutex, Patience::kNone, KILL9_CODE);
  return IsExploredCode() ? 0 : __real_pthread_mutex_trylock(mutex);
}
int __wrap_pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  if (Machine::Get().Covers(mutex)) return LockMutex(mutex, Patience::kUntilTimeout, KILL9_CODE);
  return IsExploredCode() ? 0 : __real_pthread_mutex_clocklock(mutex, clock, until);
}
int __wrap_pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) {
  if (Machine::Get().Covers(mutex)) return LockMutex(mutex, Patience::kUntilTimeout, KILL9_CODE);
  return IsExploredCode() ? 0 : __real_pthread_mutex_timedlock(mutex, until);
}
int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  if (Machine::Get().Covers(mutex)) return UnlockMutex(mutex, KILL9_CODE);
  return IsExploredCode() ? 0 : __real_pthread_mutex_unlock(mutex);
}
int __wrap_pthread_mutex_consistent(pthread_mutex_t* mutex) {
  if (Machine::Get().Covers(mutex)) return MakeMutexConsistent(mutex);
  return __real_pthread_mutex_consistent(mutex);
}

// ---- Semaphores: their value is the low half of their first word ----

int __real_sem_wait(sem_t* semaphore);
int __real_sem_trywait(sem_t* semaphore);
int __real_sem_post(sem_t* semaphore);

int __wrap_sem_trywait(sem_t* semaphore) {
  Machine& machine = Machine::Get();
  if (!machine.Covers(semaphore) || !machine.exploring()) return __real_sem_trywait(semaphore);
  const uint64_t seen = machine.ReadModifyWrite(semaphore, 4, {Order::kAcquire, Order::kRelaxed},
                                                KILL9_CODE, [](uint64_t value, uint64_t* next) {
                                                  *next = value - 1;
                                                  return value != 0;
                                                });
  if (seen != 0) return 0;
  errno = EAGAIN;
  return -1;
}
int __wrap_sem_wait(sem_t* semaphore) {
  Machine& machine = Machine::Get();
  if (!machine.Covers(semaphore) || !machine.exploring()) return __real_sem_wait(semaphore);
  while (__wrap_sem_trywait(semaphore) != 0) machine.WaitForChange(semaphore);
  return 0;
}
int __wrap_sem_post(sem_t* semaphore) {
  Machine& machine = Machine::Get();
  if (!machine.Covers(semaphore) || !machine.exploring()) return __real_sem_post(semaphore);
  machine.ReadModifyWrite(semaphore, 4, {Order::kRelease, Order::kRelease}, KILL9_CODE,
                          [](uint64_t value, uint64_t* next) {
                            *next = value + 1;
                            return true;
                          });
  return 0;
}

// ---- Descriptors, mappings and byte locks of the segment's file ----

int __wrap_open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  constexpr char kOwnDescriptors[] = "/proc/self/fd/";
  if (!IsExploredCode() || std::strncmp(path, kOwnDescriptors, sizeof kOwnDescriptors - 1) != 0) {
    return __real_open(path, flags, mode);
  }
  Machine& machine = Machine::Get();
  const int description = machine.kernel().Open(machine.running());
  if (description != Kernel::kNone) return Kernel::DescriptorOf(description);
  errno = ENFILE;
  return -1;
}

int __wrap_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (IsExploredCode() && command == F_OFD_SETLK) {
    return SetByteLock(fd, static_cast<struct flock*>(argument), KILL9_CODE);
  }
  if (IsExploredCode() && command == F_OFD_GETLK) {
    return GetByteLock(fd, static_cast<struct flock*>(argument), KILL9_CODE);
  }
  return __real_fcntl(fd, command, argument);
}

int __wrap_close(int fd) {
  if (const int watch = Kernel::WatchOf(fd); watch != Kernel::kNone) {
    Machine::Get().kernel().CloseWatch(watch);
    return 0;
  }
  if (!Kernel::IsDescriptor(fd)) return __real_close(fd);
  Drop(Kernel::DescriptionOf(fd), SystemCall(SYS_close));
  return 0;
}

// A segment that grows is mapped whole before its file is: the machine looks at all of it.
static void HaveWhole(int fd, off_t bytes) {
  struct stat file;
  if (__real_fstat(fd, &file) != 0 || file.st_size >= bytes) return;
  if (ftruncate(fd, bytes) != 0) std::abort();
}

void* __wrap_mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if (Kernel::IsDescriptor(fd)) {
    const int description = Kernel::DescriptionOf(fd);
    Machine::Get().kernel().AddReference(description);
    return ProofPages() + static_cast<size_t>(description) * kPageBytes;
  }
  void* const mapped = __real_mmap(address, bytes, protection, flags, fd, offset);
  if (IsExploredCode() && mapped != MAP_FAILED && fd >= 0 && (flags & MAP_SHARED) != 0 &&
      (protection & PROT_WRITE) != 0) {
    HaveWhole(fd, static_cast<off_t>(bytes) + offset);
    Machine::Get().NoteMapping(static_cast<char*>(mapped), bytes);
  }
  return mapped;
}

int __wrap_munmap(void* address, size_t bytes) {
  const int description = DescriptionOfProof(address);
  if (description == Kernel::kNone) return __real_munmap(address, bytes);
  Drop(description, SystemCall(SYS_munmap));
  return 0;
}

int __wrap_madvise(void* address, size_t bytes, int advice) {
  if (DescriptionOfProof(address) != Kernel::kNone) {
    // A hole in the file changes it.
    if (advice == MADV_REMOVE) {
      TellWatchers(Kernel::kModified, KILL9_CODE, SystemCall(SYS_madvise));
    }
    return 0;
  }
  return __real_madvise(address, bytes, advice);
}

int __wrap_fstat(int fd, struct stat* result) {
  static struct stat of_segment;
  static int segment_fd = -1;
  if (!IsExploredCode()) return __real_fstat(fd, result);
  // All descriptors of explored code are of the one file, which does not change meanwhile.
  if (Machine::Get().exploring() && segment_fd >= 0) {
    *result = of_segment;
    return 0;
  }
  if (Kernel::IsDescriptor(fd) || Kernel::WatchOf(fd) != Kernel::kNone) {
    *result = of_segment;
    return 0;
  }
  const int error = __real_fstat(fd, result);
  if (error == 0) {
    of_segment = *result;
    segment_fd = fd;
  }
  return error;
}

// ---- Other calls ----

long __wrap_syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  long argument[6];
  for (long& one : argument) one = va_arg(arguments, long);
  va_end(arguments);
  Machine& machine = Machine::Get();
  if (IsExploredCode() && number == SYS_membarrier) {
    if (!machine.has_barrier()) {
      errno = ENOSYS;
      return -1;
    }
    if (argument[0] == MEMBARRIER_CMD_GLOBAL_EXPEDITED && machine.exploring()) {
      machine.BarrierOfAll(KILL9_CODE);
    }
    return 0;
  }
  if (machine.exploring() && number == SYS_futex) {
    machine.Wake(reinterpret_cast<void*>(argument[0]), static_cast<int>(argument[2]));
    return 0;
  }
  return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                        argument[5]);
}

int __wrap_nanosleep(const timespec* time, timespec* left) {
  if (!IsExploredCode()) return __real_nanosleep(time, left);
  Machine::Get().Sleep();
  return 0;
}
int __wrap_usleep(useconds_t us) {
  if (!IsExploredCode()) return __real_usleep(us);
  Machine::Get().Sleep();
  return 0;
}
int __wrap_sched_yield() {
  if (!IsExploredCode()) return __real_sched_yield();
  Machine::Get().Sleep();
  return 0;
}
int __wrap_clock_gettime(clockid_t clock, timespec* time) {
  if (!IsExploredCode()) return __real_clock_gettime(clock, time);
  constexpr int64_t kSecondNs = 1'000'000'000;
  Machine& machine = Machine::Get();
  machine.TouchClock(false, KILL9_CODE);
  const int64_t now_ns = machine.now_ns();
  machine.Answer(static_cast<uint64_t>(now_ns));
  *time = {now_ns / kSecondNs, now_ns % kSecondNs};
  return 0;
}
pid_t __wrap_getpid() {
  const Machine& machine = Machine::Get();
  return IsExploredCode() ? machine.thread_id(machine.running()) : __real_getpid();
}
pid_t __wrap_gettid() {
  const Machine& machine = Machine::Get();
  return IsExploredCode() ? machine.thread_id(machine.running()) : __real_gettid();
}
int __wrap_kill(pid_t pid, int signal) {
  Machine& machine = Machine::Get();
  if (!IsExploredCode()) return __real_kill(pid, signal);
  const int number = machine.NumberOf(pid);
  machine.NoteQuestionOfLife();
  machine.TouchResource(static_cast<uint32_t>(pid), false, KILL9_CODE, SystemCall(SYS_kill));
  machine.Answer(machine.Exists(number) ? 1 : 0);
  if (machine.Exists(number)) return 0;
  machine.SyncThroughKernel();
  errno = ESRCH;
  return -1;
}
ssize_t __wrap_getrandom(void* to, size_t bytes, unsigned flags) {
  if (!IsExploredCode()) return __real_getrandom(to, bytes, flags);
  __real_memset(to, 0x5a, bytes);
  return static_cast<ssize_t>(bytes);
}

}  // extern "C"

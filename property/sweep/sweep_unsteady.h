// What an operation may do that is not the same instruction by instruction every time, or is not
// one instruction at a time: the sweep must bring its victims through all of it.
#ifndef KILL9_PROPERTY_SWEEP_SWEEP_UNSTEADY_H_
#define KILL9_PROPERTY_SWEEP_SWEEP_UNSTEADY_H_

#include <cpuid.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/time.h>
#include <x86intrin.h>

#include <cstdint>
#include <cstring>
#include <ctime>
#include <string_view>

namespace kill9 {

// The vDSO's clocks begin again where the kernel changes them meanwhile.
[[gnu::noinline]] inline void ReadClocks() {
  for (int n = 0; n < 24; ++n) {
    timespec now{};
    timeval day{};
    unsigned cpu = 0;
    unsigned node = 0;
    clock_gettime(n % 2 == 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &now);
    gettimeofday(&day, nullptr);
    time(nullptr);
    getcpu(&cpu, &node);
    sched_getcpu();
  }
}

[[gnu::noinline]] inline void ReadCounters() {
  for (int n = 0; n < 24; ++n) {
    unsigned processor = 0, a = 0, b = 0, c = 0, d = 0;
    asm volatile("" : : "r"(__rdtsc()));
    asm volatile("" : : "r"(__rdtscp(&processor)));
    __get_cpuid(1, &a, &b, &c, &d);
    constexpr unsigned kHasRdrand = 1u << 30;
    if (c & kHasRdrand) {
      asm volatile("rdrand %0" : "=r"(a) : : "cc");
    }
  }
}

// The C library has several of each, for this CPU, that CPU, these sizes and that alignment.
[[gnu::noinline]] inline void UseDispatchedStrings(std::string_view value) {
  static char room[8192];
  for (size_t offset = 0; offset < 4; ++offset) {
    for (size_t size : {size_t{3}, size_t{100}, size_t{1500}}) {
      char* to = room + offset;
      std::memset(to, static_cast<int>(offset), size);
      std::memcpy(to, value.data(), std::min(size, value.size()));
      std::memmove(to + 3, to, size);
      asm volatile("" : : "r"(std::memcmp(to, to + 3, size)), "r"(std::memchr(to, 'x', size)));
    }
  }
}

// Into what is shared, one byte an iteration, and compared.
[[gnu::noinline]] inline bool CopyByStringInstruction(char* to, const char* from, size_t bytes) {
  char* end = to;
  const char* at = from;
  size_t count = bytes;
  asm volatile("rep movsb" : "+c"(count), "+S"(at), "+D"(end) : : "memory");
  const char* one = to;
  const char* two = from;
  count = bytes;
  bool same = false;
  asm volatile("repe cmpsb\nsete %0"
               : "=r"(same), "+c"(count), "+S"(one), "+D"(two)
               :
               : "memory", "cc");
  return same;
}

// Adds one within a restartable sequence, and begins it again whenever it was interrupted.
[[gnu::noinline]] inline void AddRestartably(uint64_t* counter) {
  struct rseq* area = reinterpret_cast<struct rseq*>(
      static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset);
  asm volatile(
      ".pushsection __kill9_rseq, \"aw\"\n"
      ".balign 32\n"
      "3: .long 0, 0\n"
      ".quad 1f, 2f - 1f, 4f\n"
      ".popsection\n"
      "0: leaq 3b(%%rip), %%rax\n"
      "movq %%rax, %[area]\n"
      "1: movq %[counter], %%rax\n"
      "addq $1, %%rax\n"
      "movq %%rax, %[counter]\n"
      "2: jmp 5f\n"
      ".long 0x53053053\n"  // what the kernel looks for before an abort handler
      "4: jmp 0b\n"
      "5:\n"
      : [counter] "+m"(*counter), [area] "=m"(area->rseq_cs)
      :
      : "rax", "memory", "cc");
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SWEEP_SWEEP_UNSTEADY_H_

#include "harness/explore/base/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if !defined(__x86_64__)
#error "the explorer switches stacks on x86-64 only; its build leaves it out elsewhere"
#endif

// What the System V ABI lets a called function not change: six registers. The control words of the
// floating point units are the same on all stacks.
asm(R"(
.text
.globl kill9_explore_switch
.type kill9_explore_switch, @function
kill9_explore_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size kill9_explore_switch, .-kill9_explore_switch
)");

namespace kill9::explore {

Stack::Stack() {
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, 4096, PROT_NONE) != 0) {
    std::perror("kill9-explore: cannot map a stack");
    std::abort();
  }
  memory_ = static_cast<char*>(memory);
}

Stack::~Stack() { munmap(memory_, kBytes); }

void Stack::Begin(void (*entry)()) {
  // The switch pops six registers, then returns to `entry`, whose own return address is 0. A
  // function finds its stack pointer 8 bytes beside a multiple of 16.
  auto* top = reinterpret_cast<uint64_t*>(memory_ + kBytes);
  *--top = 0;
  *--top = reinterpret_cast<uint64_t>(entry);
  for (int i = 0; i < 6; ++i) *--top = 0;
  standing = top;
}

}  // namespace kill9::explore

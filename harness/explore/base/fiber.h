// Switching between stacks, without system calls: what each participant of an explored scene runs
// on.
#ifndef KILL9_HARNESS_EXPLORE_BASE_FIBER_H_
#define KILL9_HARNESS_EXPLORE_BASE_FIBER_H_

#include <cstddef>

namespace kill9::explore {

// A stack of its own, and where on it its owner stands while somebody else runs.
class Stack {
 public:
  Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack();

  // Whoever switches here next runs `entry`, which never returns.
  void Begin(void (*entry)());
  void* standing = nullptr;  // the stack pointer; of a context that runs: unspecified

 private:
  static constexpr size_t kBytes = size_t{512} << 10;
  char* memory_;
};

// Leaves the present stack, whose pointer goes to *from, for the one that stands at `to`. Returns
// when somebody switches back.
extern "C" void kill9_explore_switch(void** from, void* to);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_BASE_FIBER_H_

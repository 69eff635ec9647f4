// Where a victim is stopped that goes on later.
//
// Between two accesses to the segment (system calls count as such) a process sees and changes
// nothing of the others, so a stop right before each access speaks for all instructions between it
// and the access before. Inside a repeated string instruction the first, second, fourth, eighth ...
// iteration is taken, or (`inside_strings` false) the first alone.
#ifndef KILL9_HARNESS_SWEEP_CELL_RESUME_POINTS_H_
#define KILL9_HARNESS_SWEEP_CELL_RESUME_POINTS_H_

#include <algorithm>
#include <bit>
#include <cstdint>

#include "harness/base/random.h"
#include "harness/stepper/trace/trace.h"

namespace kill9::sweep {

// Of fixed size, and large: not on the stack, and not allocated.
class ResumePoints {
 public:
  // Accesses, and the end of the operation.
  void FindAll(const stepper::Trace& trace) {
    FindAccesses(trace, /*inside_strings=*/true);
    if (size_ < kMost) points_[size_++] = trace.size() - 1;
  }
  void FindAccesses(const stepper::Trace& trace, bool inside_strings) {
    size_ = 0;
    uint32_t iteration = 0;
    for (uint32_t at = 0; at + 1 < trace.size() && size_ + 1 < kMost; ++at) {
      iteration = trace[at].flags & stepper::kInsideString ? iteration + 1 : 0;
      if (!(trace[at].flags & stepper::kTouches)) continue;
      if (iteration > 0 && !inside_strings) continue;
      if (iteration > 1 && !std::has_single_bit(iteration)) continue;
      points_[size_++] = at;
    }
  }
  // A step, and from there on the first step in each of a trace's distinct states, but for the end
  // of the operation.
  void FindStates(const stepper::Trace& trace, uint32_t from) {
    size_ = 0;
    if (from + 1 < trace.size()) points_[size_++] = from;
    for (uint32_t state = 0; state < trace.state_count() && size_ < kMost; ++state) {
      const uint32_t first = trace.state(state).first;
      if (first > from && first + 1 < trace.size()) points_[size_++] = first;
    }
  }
  // In a drawn order.
  void Shuffle(Random& random) { random.DrawFirst(points_, size_, size_); }
  // So many of them, or (0) all.
  void Sample(uint32_t wanted, Random& random) {
    if (wanted == 0 || wanted >= size_) return;
    random.DrawFirst(points_, size_, wanted);
    size_ = wanted;
    std::sort(points_, points_ + size_);
  }
  uint32_t size() const { return size_; }
  uint32_t operator[](uint32_t n) const { return points_[n]; }

 private:
  static constexpr uint32_t kMost = 64u << 10;
  uint32_t size_ = 0;
  uint32_t points_[kMost];
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_CELL_RESUME_POINTS_H_

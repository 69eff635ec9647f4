// The trace of one operation: every machine instruction, and which of the distinct states the
// segment was in before it.
//
// A *state* is all that a death at this instruction leaves behind: the segment's bytes, the robust
// list that the kernel will walk, and the number of system calls made (descriptors, locks and names
// change only by those). Two instructions in the same state leave the same thing behind, so one
// kill speaks for both; a seeded sample is killed all the same, to keep this honest.
#ifndef KILL9_HARNESS_STEPPER_TRACE_TRACE_H_
#define KILL9_HARNESS_STEPPER_TRACE_TRACE_H_

#include <cstdint>

#include "harness/stepper/process/breakpoints.h"
#include "harness/stepper/process/uninherited_array.h"

namespace kill9::stepper {

struct StateId {
  uint64_t segment_hash;
  uint64_t robust_next;
  uint64_t robust_pending;
  uint64_t system_calls;
  friend bool operator==(const StateId&, const StateId&) = default;
};

struct DistinctState {
  StateId id;
  uint32_t first;   // the step that first met it: the one that is killed at
  uint32_t points;  // how many instructions are in it
};

// Flags of a step.
inline constexpr uint32_t kSystemCall = 1;  // the instruction is a system call
inline constexpr uint32_t kInsideString =
    2;                                // a further iteration of a repeated string instruction
inline constexpr uint32_t kVdso = 4;  // a call into the kernel's own page, which is one step
inline constexpr uint32_t kUnrepeatable =
    8;                                    // registers depend on a clock or on chance from here on
inline constexpr uint32_t kChanged = 16;  // the segment changes by this instruction
inline constexpr uint32_t kKilled = 32;   // a victim was killed here
inline constexpr uint32_t kTouches = 64;  // the instruction may read or write the segment
// A restartable sequence (rseq(2)), which is one step: each stop inside would begin it again.
inline constexpr uint32_t kRestartable = 128;
inline constexpr uint32_t kNotSurvived = 256;  // a kill here was not survived
inline constexpr uint32_t kManyInstructions = kVdso | kRestartable;

struct TraceStep {
  uint64_t address;
  uint32_t registers;  // a hash of all of them
  uint32_t state;      // an index of DistinctState
  // The last part of the cheapest way here begins at step `from` (of step 0: nowhere). It goes to
  // the `hits`-th execution of the address by a breakpoint, or, inside a repeated string
  // instruction, over so many of its iterations at once; 0: by single steps.
  uint32_t from;
  uint32_t hits;
  uint32_t cost;  // of the whole way, as WayCosts has it
  uint32_t flags;
};

// Of fixed size: nothing is allocated while victims are forked.
class Trace {
 public:
  static constexpr uint32_t kMaxSteps = 4u << 20;
  static constexpr uint32_t kMaxStates = 64u << 10;

  void Clear();
  // False: there is no room for more.
  bool Add(uint64_t address, uint32_t registers, const StateId& state, uint32_t flags);
  // Plans the cheapest way to each step. Called once, when all are there.
  void PlanWays(const WayCosts& costs);
  // How often a victim stops on the way to a step.
  uint32_t StopsOnWay(uint32_t at, const WayCosts& costs) const;

  uint32_t size() const { return size_; }
  TraceStep& operator[](uint32_t at) { return steps_[at]; }
  const TraceStep& operator[](uint32_t at) const { return steps_[at]; }
  uint32_t state_count() const { return state_count_; }
  const DistinctState& state(uint32_t index) const { return states_[index]; }
  bool ends_blocked() const { return ends_blocked_; }
  void set_ends_blocked() { ends_blocked_ = true; }

  // The first step in which two runs differ, or `size()` if they are the same.
  uint32_t FirstDifference(const Trace& other) const;

 private:
  uint32_t FindState(const StateId& id);

  UninheritedArray<TraceStep> steps_{kMaxSteps};
  UninheritedArray<DistinctState> states_{kMaxStates};
  UninheritedArray<uint32_t> index_{4 * kMaxStates};  // of states, by hash
  uint32_t size_ = 0;
  uint32_t state_count_ = 0;
  bool ends_blocked_ = false;
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_TRACE_TRACE_H_

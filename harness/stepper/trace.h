// The trace of one operation: every machine instruction, and which of the distinct states the
// segment was in before it.
//
// A *state* is all that a death at this instruction leaves behind: the segment's bytes, the robust
// list that the kernel will walk, and the number of system calls made (descriptors, locks and names
// change only by those). Two instructions in the same state leave the same thing behind, so one
// kill speaks for both; a seeded sample is killed all the same, to keep this honest.
#ifndef KILL9_HARNESS_STEPPER_TRACE_H_
#define KILL9_HARNESS_STEPPER_TRACE_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>

namespace kill9::sweep {

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
inline constexpr uint32_t kManyInstructions = kVdso | kRestartable;

struct Step {
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

// What the parts of a way cost, in quarters of a stop.
struct WayCosts {
  bool breakpoints = false;  // else only single steps
  uint32_t step = 4;
  uint32_t first_hit = 0, further_hit = 0;  // what setting the breakpoint costs is in the first
  bool steps_over = false;  // a further hit steps over the instruction: not a repeated string one
};

// Fixed memory that forked children do not inherit: nothing is allocated while victims are forked.
class Trace {
 public:
  static constexpr uint32_t kMaxSteps = 4u << 20;
  static constexpr uint32_t kMaxStates = 64u << 10;

  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  void Clear();
  // False: there is no room for more.
  bool Add(uint64_t address, uint32_t registers, const StateId& state, uint32_t flags);
  // Plans the cheapest way to each step. Called once, when all are there.
  void PlanWays(const WayCosts& costs);
  // How often a victim stops on the way to a step.
  uint32_t StopsOnWay(uint32_t at, const WayCosts& costs) const;

  uint32_t size() const { return size_; }
  Step& operator[](uint32_t at) { return steps_[at]; }
  const Step& operator[](uint32_t at) const { return steps_[at]; }
  uint32_t state_count() const { return state_count_; }
  const DistinctState& state(uint32_t index) const { return states_[index]; }
  bool ends_blocked() const { return ends_blocked_; }
  void set_ends_blocked() { ends_blocked_ = true; }

  // The first step in which two runs differ, or `size()` if they are the same.
  uint32_t FirstDifference(const Trace& other) const;

 private:
  uint32_t FindState(const StateId& id);

  Step* steps_;
  DistinctState* states_;
  uint32_t* index_;  // of states, by hash
  uint32_t size_ = 0;
  uint32_t state_count_ = 0;
  bool ends_blocked_ = false;
};

// Counts by address, over all traces of a cell: what coverage is made of.
struct AddressCount {
  uint64_t address;
  uint64_t executed;
  uint64_t killed;
  uint64_t spoken_for;
};
class AddressTable {
 public:
  static constexpr uint32_t kCapacity = 32u << 10;
  static constexpr size_t kBytes = kCapacity * sizeof(AddressCount);
  explicit AddressTable(AddressCount* counts) : counts_(counts) {}
  void AddTrace(const Trace& trace);

 private:
  AddressCount* counts_;
};

// What the instruction at an address is, as far as the sweep must know (by Capstone, each address
// once). The tracer has the same code at the same addresses as its victims.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  enum Kind : uint8_t {
    kOrdinary = 1,
    kSystemCallInstruction,
    kRepeatedString,  // interruptible between iterations
    kClockOrChance,   // rdtsc, rdrand and their like: not the same in every run
  };
  Kind Classify(uint64_t address);
  // Whether the instruction that is about to run may read or write memory in [begin, end). True for
  // system calls, and where it cannot be told.
  bool MayTouch(const user_regs_struct& registers, uint64_t begin, uint64_t end);
  uint32_t BytesOf(uint64_t address);  // of the instruction

 private:
  static constexpr size_t kCached = 1u << 16;
  struct Operand {  // of memory: numbers of registers (kNoRegister: none)
    uint8_t base, index, scale;
    bool thread_local_base;
    int64_t displacement;
  };
  struct Cached {
    uint64_t address;
    Kind kind;
    bool touches_anything;
    uint8_t bytes;
    uint8_t operands;
    Operand operand[2];
  };
  const Cached& Look(uint64_t address);
  void FindOperands(const void* instruction, Cached* cached);
  size_t engine_ = 0;
  void* instruction_ = nullptr;
  Cached* cache_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STEPPER_TRACE_H_

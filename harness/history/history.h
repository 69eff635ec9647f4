// A history: what every operation of a run was called with, when, and what came of it. It knows
// nothing of stores or of shared memory. Workers record Operations; the checker reads them; EDN is
// their outward form.
//
// H1  Each process (one incarnation of a worker) has at most one operation open at a time. A call
//     that moves several messages is an operation for each, all open at once: the first is the
//     process's, the others are its companions'.
// H2  `invoke` was read before the operation began and `finish` after it ended, by clocks that are
//     ordered across cores: if finish(a) < invoke(b), then a ended before b began.
//     The reverse need not be seen.
// H3  A crashed operation's `finish` is the death's:
//     no earlier than the death,
//     no later than its reaping.
#ifndef KILL9_HARNESS_HISTORY_HISTORY_H_
#define KILL9_HARNESS_HISTORY_HISTORY_H_

#include <cstdint>
#include <type_traits>
#include <vector>

#include "harness/history/function.h"

namespace kill9 {

enum class Outcome : uint8_t {
  kOpen,     // invoked, not yet finished
  kOk,       // completed, with the results recorded
  kFail,     // completed without any effect; of a compare-and-swap: because of a mismatch
  kCrashed,  // its process died: it took effect before `finish`, or never
  kUnknown,  // an :info that is not a death: it may take effect at any later time
  kRefused,  // completed without any effect and tells nothing of the key (full, too large)
};

inline constexpr uint64_t kNothing = 0;  // the value of an absent key; real values are 1 and up
// The value of a crashed write that nobody read: equal to no value ever read.
inline constexpr uint64_t kUnreadValue = ~0ull;
// The result of what does not tell whether the key was there.
inline constexpr uint64_t kErasedUntold = 2;
// The result of an acquisition (Field::kAcquired).
inline constexpr uint64_t kHeldByOther = 0;     // it had no effect
inline constexpr uint64_t kAcquired = 1;        // and nobody died holding it
inline constexpr uint64_t kAcquiredOfDead = 2;  // and the last one who held it died
inline constexpr uint64_t kAcquiredUntold = 3;  // and it does not tell who held it
// The `finish` of an operation that may take effect at any later time.
inline constexpr uint64_t kNever = ~0ull;

// A process's companions have numbers of their own, above those of processes (H1).
inline constexpr int kCompanionShift = 22;
inline constexpr uint32_t kMostCompanions = (1u << (32 - kCompanionShift)) - 1;
// `companion`: 0 is the process itself.
constexpr uint32_t CompanionOf(uint32_t process, uint32_t companion) {
  return process | companion << kCompanionShift;
}
constexpr uint32_t WhoseCompanion(uint32_t process) {
  return process & ((1u << kCompanionShift) - 1);
}

// One operation, as recorded: one cache line.
struct alignas(64) Operation {
  uint64_t invoke;  // ticks of the run's clock
  uint64_t finish;
  uint32_t process;  // an incarnation's number, never reused in a run
  Function function;
  Outcome outcome;
  uint16_t reserved;  // 0; the checker's own while it makes a counterexample
  uint64_t key;
  uint64_t argument;  // the id of the value written: unique in a run where the workload makes it so
  uint64_t expected;  // compare-and-swap: the expected version (0: absent); messages missed
  uint64_t result;    // the id of the value read
  uint64_t result_version;
};
static_assert(sizeof(Operation) == 64 && std::is_trivially_copyable_v<Operation> &&
              std::is_standard_layout_v<Operation>);

// Puts operations in the order of their calls. Calls at one time overlap: their order says nothing,
// but it is the same every time.
void SortByInvocation(std::vector<Operation>* operations);

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_HISTORY_H_

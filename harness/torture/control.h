// What the processes of a torture run share among themselves, beside the segment under test: one
// anonymous shared mapping, made before anything forks, all zero at first. Every field tolerates
// that any worker is killed at any moment: each is a single atomic word, or belongs to a step that
// is announced before it begins.
#ifndef KILL9_HARNESS_TORTURE_CONTROL_H_
#define KILL9_HARNESS_TORTURE_CONTROL_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/base/histogram.h"
#include "harness/history/history.h"
#include "harness/result/verdict.h"

namespace kill9 {

inline constexpr uint32_t kMaxWorkers = 62;  // and an auditor and the supervisor: 64 participants
inline constexpr uint32_t kAuditorSlot = kMaxWorkers;
inline constexpr uint32_t kSlots = kMaxWorkers + 1;
inline constexpr uint32_t kMaxProcesses = 1u << 23;  // incarnations in one run

// Where a worker is; what it is doing if it dies now.
enum class Activity : uint8_t {
  kStarting,
  kAttaching,
  kBetween,    // between operations
  kOperation,  // inside an operation of the object
  kRecovering,
  kDetaching,
  kIdle,
  kParked,
  kAuditing,
  kEnding,
};
inline constexpr size_t kActivities = 10;
std::string_view ActivityName(Activity activity);

// One for each worker slot. Written by the worker in it, unless said otherwise.
struct alignas(128) WorkerBoard {
  std::atomic<uint32_t> process;  // written by the supervisor before the fork
  std::atomic<Activity> activity;
  std::atomic<Function> function;  // what it does there, and to what: for messages only
  std::atomic<uint8_t>
      attached;  // between operations it tells whether a participant is counted for it
  std::atomic<uint8_t> cannot_audit;  // of it an audit is not asked
  std::atomic<uint64_t> subject;
  std::atomic<uint64_t> progress;     // grows with each step; the watchdog's evidence of life
  std::atomic<uint32_t> parked_at;    // the pause it has reached
  std::atomic<uint32_t> audited_at;   // the pause whose audit it has completed
  std::atomic<uint64_t> timer_at_ns;  // when its kill timer goes off (CLOCK_MONOTONIC); 0: not set
  std::atomic<uint32_t> timer_is_unsure;  // it is being set (kill_timer.h)
  std::atomic<uint64_t> pause_ends_ns;    // of the last of its own pauses; 0: there was none
  std::atomic<uint32_t> held;             // what it holds beyond an operation
  std::atomic<uint32_t> waits;            // odd: it waits for others (worker/last_to_wait.h)
  // Counts over all incarnations of the slot.
  std::atomic<uint64_t> operations;
  std::atomic<uint64_t> refused;  // the segment was full
  std::atomic<uint64_t> pauses;   // worker/pauses.h
};

// What makes a run fail; the first one stays. Who has found it may be killed before it has told it
// all: the verdict is there from the first moment on, above the byte of kBeingWritten.
struct Finding {
  enum State : uint32_t { kNone, kBeingWritten, kReady };
  static constexpr int kVerdictBit = 8;
  std::atomic<uint32_t> state;
  std::atomic<Verdict> verdict;
  std::atomic<uint32_t> process;  // who found it
  char text[1400];

  // Keeps the first finding; false if there was one already.
  bool Report(Verdict what, uint32_t finder, std::string_view message);
  bool is_being_written() const;
  // REQUIRES: there is one, and nobody writes it any more.
  Verdict found() const;
  std::string reason() const;
};

enum class AuditDepth : uint8_t {
  kAccount,  // recover, account, contents
  kFill,     // and fill the object until it is full, and remove that again
  kEmpty,    // and remove everything: all of the space must be free
};

struct Control {
  // Phases. Written by the supervisor; workers read `pause` and `stop` between operations.
  alignas(128) std::atomic<uint32_t> pause;  // 0: work; else the number of the pause
  std::atomic<uint32_t> news;        // a futex: changes when a parked worker must look again
  std::atomic<uint32_t> stop;        // workers detach and end
  std::atomic<uint32_t> killing;     // workers set their kill timers
  std::atomic<uint32_t> audit_slot;  // who audits in this pause (kSlots: nobody)
  std::atomic<AuditDepth> audit_depth;
  std::atomic<uint32_t> expected_participants;
  std::atomic<uint32_t> next_process;

  // Recovery: the supervisor counts the deaths it has reaped; a survivor claims each count.
  alignas(128) std::atomic<uint64_t> deaths_reaped;
  std::atomic<uint64_t> recovery_claimed;
  std::atomic<uint64_t> recovery_completed;  // the count that a completed Recover() has covered
  std::atomic<uint64_t> recoveries;          // calls that returned something
  std::atomic<uint64_t> recovered_participants;
  std::atomic<uint64_t> recovered_blocks;
  std::atomic<uint64_t> rolled_back;
  std::atomic<uint64_t> rolled_forward;
  std::atomic<uint64_t> recovery_ns;  // a moving average of a Recover(), to aim kills into it

  // Samples of RunTimes, written by the supervisor.
  alignas(128) Histogram recovery_us;
  Histogram death_noted_us;

  alignas(128) std::atomic<uint64_t> audits;
  std::atomic<uint64_t> fills;  // audits that filled the object until it was full
  std::atomic<uint64_t> leaked_blocks;
  std::atomic<uint64_t> doubly_owned_blocks;
  std::atomic<uint64_t> inherited_refusals;  // operations on an inherited handle that were refused
  std::atomic<uint64_t> last_audit_ns;

  // Progress for whoever watches, and the wish to end: written by the supervisor, and by the
  // command.
  alignas(128) std::atomic<uint64_t> kills;
  std::atomic<uint64_t> heartbeat;
  std::atomic<uint32_t> interrupted;
  std::atomic<uint32_t> machine_refused;  // what was found is the machine's, not the design's

  Finding finding;
  std::array<WorkerBoard, kSlots> boards;
};

// What the kind's driver shares among a run's processes, beside the control block.
struct BoardsSize {
  size_t bytes = 0;
  size_t eager_bytes = 0;  // of their beginning, what has its memory at once
};

// The run's shared memory: the control block, and behind it the driver's boards.
class ControlMemory {
 public:
  explicit ControlMemory(const BoardsSize& boards);
  ~ControlMemory();
  ControlMemory(const ControlMemory&) = delete;
  ControlMemory& operator=(const ControlMemory&) = delete;

  bool ok() const { return base_ != nullptr; }
  Control& control() const { return *reinterpret_cast<Control*>(base_); }
  char* boards() const;  // page-aligned, all zero

 private:
  char* base_ = nullptr;
  size_t bytes_ = 0;
};

// Raises `word` to at least `value`; returns what it was before.
inline uint64_t Raise(std::atomic<uint64_t>& word, uint64_t value) {
  // Acquire and release: who reads the raised word before an operation has seen the operation that
  // raised it.
  uint64_t seen = word.load(std::memory_order_acquire);
  while (seen < value && !word.compare_exchange_weak(seen, value, std::memory_order_acq_rel,
                                                     std::memory_order_acquire)) {
  }
  return seen;
}

// Futexes between processes. A wait ends at the latest after `timeout_us`.
void WaitWhile(const std::atomic<uint32_t>& word, uint32_t value, uint64_t timeout_us);
// Changes the word and wakes everybody who waits for that.
void ChangeAndWake(std::atomic<uint32_t>& word);

uint64_t MonotonicNs();

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_CONTROL_H_

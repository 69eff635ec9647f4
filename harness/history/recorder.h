// Recording: what each worker did, in memory that outlives it.
//
// The supervisor makes a Recording before it forks: one ring of Operations for each worker slot, in
// one shared mapping. A worker writes into the ring of its slot through a Recorder; the supervisor
// drains the rings while the workers run, and closes the ring of a victim when it has reaped it.
//
//     supervisor
//         auto recording = Recording::Create({.slots = 4}, Clock::Checked());
//         recording->Open(slot, process);
//         fork();
//         settled = recording->Drain(&batch);  // while the worker runs
//         checker.Feed(batch, settled);
//         … SIGKILL, waitpid …
//         bool inside = recording->CloseCrashed(slot, clock.Now());  // a kill in an operation
//         recording->Open(slot, next_process);
//         fork(); …
//     worker (forked)
//         Recorder recorder = recording->recorder(slot);
//         recorder.Begin(Function::kPut, key, argument);
//         auto version = store->Put(...);
//         recorder.End(Outcome::kOk, kNothing, *version);
//
// What to record: a Put that was refused (full) ends in kRefused; a compare-and-swap that did not
// match in kFail with the present version in result_version; Pin and Get of an absent key in kOk
// with kNothing.
//
// R1  Slot i of a ring is written only by the worker while published - drained < capacity, and read
//     only by the supervisor once published and no longer kOpen (or after the worker has been
//     reaped).
// R2  `published` counts what has been begun, `drained` what the supervisor has taken; no operation
//     is lost: a worker whose ring is full waits in Begin, before its operation is called.
// R3  At most the last published operations of a ring are open, those of one call.
//
// PROGRESS: Begin waits only for the supervisor, and only when the ring is full. End never waits.
// ON CRASH: at any instruction the ring is whole; an operation cut off is open, and is closed by
// CloseCrashed as kCrashed at the death (also when the victim died inside End, after its operation
// had returned).
#ifndef KILL9_HARNESS_HISTORY_RECORDER_H_
#define KILL9_HARNESS_HISTORY_RECORDER_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/base/clock.h"
#include "harness/history/history.h"
#include "variants/segment/processor.h"

namespace kill9 {

// The head of a ring. What the worker writes and what the supervisor writes share no cache line.
struct RecordingRing {
  alignas(64) std::atomic<uint64_t> published;  // written by the worker
  alignas(64) std::atomic<uint64_t> drained;    // written by the supervisor
  alignas(64) std::atomic<uint32_t> process;    // written by the supervisor (Open)
};
static_assert(sizeof(RecordingRing) == 192 && std::atomic<uint64_t>::is_always_lock_free &&
              std::atomic<uint32_t>::is_always_lock_free);

// The worker's end of one ring. Used by one thread.
class Recorder {
 public:
  // Publishes the operation as open. REQUIRES: none is open.
  void Begin(Function function, uint64_t key, uint64_t argument = kNothing, uint64_t expected = 0) {
    if (published_ - drained_ == capacity_) WaitForRoom(1);
    LayOut(0, 0, function, key, argument, expected);
    // The reading may be a little early (C2), but this process's operations follow one another.
    current_->invoke = std::max(clock_.BeforeOperation(), last_finish_ + 1);
    // release: pairs with the acquire in Recording::DrainRing and InOperation.
    ring_->published.store(++published_, std::memory_order_release);
    // The supervisor has read the records ahead a lap ago: asked for now, they are this core's
    // again when they are needed, and the operation's first fence does not wait for them.
    PrefetchToWrite(&operations_[(published_ + kAhead) & (capacity_ - 1)]);
  }

  // How many messages were missed before the one that the open operation got. Before End.
  void TellMissed(uint64_t missed) { current_->expected = missed; }

  // Completes the open operation.
  void End(Outcome result_outcome, uint64_t result = kNothing, uint64_t result_version = 0) {
    current_->finish = last_finish_ = clock_.AfterOperation();
    current_->result = result;
    current_->result_version = result_version;
    // release: pairs with the acquire in Recording::DrainRing.
    outcome().store(result_outcome, std::memory_order_release);
  }

  // Publishes a row of operations, of one call, as open: one for each argument, of this process and
  // of its companions in turn. REQUIRES: none is open; 1 to kMostCompanions of them.
  void BeginRow(Function function, uint64_t key, std::span<const uint64_t> arguments);
  // The same of one operation for each key.
  void BeginKeys(Function function, std::span<const uint64_t> keys);
  // Completes the row, its first operation last: until then the supervisor drains none of it (R3).
  // `result_of(i, operation)` fills in what came of each, and says its outcome.
  template <typename ResultOf>
  void EndRow(size_t count, ResultOf result_of) {
    last_finish_ = clock_.AfterOperation();
    Outcome of_first = Outcome::kOpen;
    for (size_t i = 0; i < count; ++i) {
      current_ = &operations_[(published_ - count + i) & (capacity_ - 1)];
      const Outcome its = result_of(i, *current_);
      current_->finish = last_finish_;
      // release, here and below: pairs with the acquire in Recording::DrainRing.
      if (i != 0) outcome().store(its, std::memory_order_release);
      if (i == 0) of_first = its;
    }
    current_ = &operations_[(published_ - count) & (capacity_ - 1)];
    outcome().store(of_first, std::memory_order_release);
  }

  // The operation that was ended last. REQUIRES: there is one, and none was begun since.
  const Operation& last() const { return *current_; }

 private:
  friend class Recording;
  static constexpr uint64_t kAhead = 4;  // operations
  Recorder(RecordingRing* ring, Operation* operations, uint64_t capacity, const Clock& clock);
  std::atomic_ref<Outcome> outcome() { return std::atomic_ref<Outcome>(current_->outcome); }
  // Lays out the operation that is published as the next but `ahead`.
  void LayOut(uint64_t ahead, uint32_t companion, Function function, uint64_t key,
              uint64_t argument, uint64_t expected) {
    current_ = &operations_[(published_ + ahead) & (capacity_ - 1)];
    current_->process = CompanionOf(process_, companion);
    current_->function = function;
    current_->reserved = 0;
    current_->key = key;
    current_->argument = argument;
    current_->expected = expected;
    current_->result = kNothing;
    current_->result_version = 0;
    current_->finish = 0;
    // relaxed: the release of `published` makes it visible.
    outcome().store(Outcome::kOpen, std::memory_order_relaxed);
  }
  void WaitForRoom(uint64_t operations);
  // Publishes the operations that were laid out.
  void PublishRow(uint64_t count);

  RecordingRing* ring_;
  Operation* operations_;
  Operation* current_ = nullptr;
  uint64_t capacity_;
  uint64_t published_;
  uint64_t drained_;
  uint64_t last_finish_ = 0;
  uint32_t process_;
  Clock clock_;
};

struct RecordingOptions {
  uint32_t slots = 1;
  uint32_t capacity = 1u << 14;  // operations a slot; a power of two
};

// The supervisor's end. Its functions but recorder() are for one thread.
class Recording {
 public:
  static absl::StatusOr<std::unique_ptr<Recording>> Create(const RecordingOptions& options,
                                                           const Clock& clock);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // A new incarnation is about to be forked into the slot. REQUIRES: the slot is closed; the
  // process's number was never used in this run.
  void Open(uint32_t slot, uint32_t process);

  // The worker's end of its slot. REQUIRES: the slot is open; one Recorder for each Open.
  Recorder recorder(uint32_t slot) const;

  // Whether the slot's worker is (or was, if it is dead) inside an operation.
  bool InOperation(uint32_t slot) const;
  // The open operation, if any.
  bool OpenOperation(uint32_t slot, Operation* operation) const;

  // The slot's worker has been reaped. ENSURES: what it has open, if any, is closed as kCrashed
  // at `death` (a reading of the clock after the reaping); true if there was one. Also for a worker
  // that exited.
  bool CloseCrashed(uint32_t slot, uint64_t death);

  // Appends every operation that was completed or closed since the last Drain, each slot's in
  // order. Returns a time such that every operation not yet drained is invoked at it or later:
  // history before it is settled.
  uint64_t Drain(std::vector<Operation>* operations);

  // After every worker has been reaped and closed: all operations recorded have been drained.
  bool empty() const;
  uint64_t drained() const { return drained_total_; }
  const Clock& clock() const { return clock_; }

 private:
  struct Slot {
    bool open = false;
    uint64_t bound = 0;  // no operation that is not yet drained was invoked before it
  };

  Recording(const RecordingOptions& options, const Clock& clock, char* base, size_t bytes);
  RecordingRing& ring(uint32_t slot) const;
  Operation* operations(uint32_t slot) const;
  void DrainRing(uint32_t slot, std::vector<Operation>* into);

  RecordingOptions options_;
  Clock clock_;
  char* base_;
  size_t bytes_;
  uint64_t drained_total_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_RECORDER_H_

// What the processes of a run on a store share beside the control block, so that each can check at
// once what it sees against what the others have seen. Every field tolerates that any worker is
// killed at any moment: each is a single atomic word.
#ifndef KILL9_HARNESS_STORE_DRIVER_STORE_BOARDS_H_
#define KILL9_HARNESS_STORE_DRIVER_STORE_BOARDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "harness/torture/control.h"

namespace kill9 {

// Per key, checked and raised by whoever sees a version: what was acknowledged or read once must
// not be undone.
struct KeyBoard {
  std::atomic<uint64_t> floor;       // the greatest version seen in an operation that has returned
  std::atomic<uint64_t> emptied_at;  // the floor when the auditor last emptied the store
  std::atomic<uint64_t> last_written;  // the greatest version returned by a write
};

// Written by all workers and auditors.
struct alignas(128) StoreCounts {
  std::atomic<uint64_t> inserts;  // of Action::kInsert
  std::atomic<uint64_t> lost_writes;
  std::atomic<uint64_t> filled_keys;  // put by audits that filled the store
  // What the store has counted, of those who wait and what has expired: raised by audits.
  std::atomic<uint64_t> expired;
  std::atomic<uint64_t> waits;
  std::atomic<uint64_t> asked;          // for a lease: calls, counted before they begin
  std::atomic<uint64_t> asked_to_wait;  // of these, those that may wait
  std::atomic<uint64_t> expired_in_quiet;  // of `expired`, what audits have put for that
  std::atomic<uint64_t> moved;  // entries, by a store that moves what is read (MovesHot)
};

class StoreBoards {
 public:
  explicit StoreBoards(uint64_t keys) : keys_(keys) {}

  BoardsSize size() const {
    return {.bytes = SequencesAt() + kMaxProcesses * sizeof(std::atomic<uint32_t>),
            .eager_bytes = SequencesAt() + 1};
  }
  void Use(char* base) { base_ = base; }

  StoreCounts& counts() const { return *reinterpret_cast<StoreCounts*>(base_); }
  KeyBoard& key(uint64_t key) const {
    return reinterpret_cast<KeyBoard*>(base_ + sizeof(StoreCounts))[key];
  }
  // The last sequence number that `process` has used for a value, before the store sees it.
  std::atomic<uint32_t>& sequence(uint32_t process) const {
    return reinterpret_cast<std::atomic<uint32_t>*>(base_ + SequencesAt())[process % kMaxProcesses];
  }

 private:
  size_t SequencesAt() const {
    return (sizeof(StoreCounts) + keys_ * sizeof(KeyBoard) + 4095) / 4096 * 4096;
  }

  uint64_t keys_;
  char* base_ = nullptr;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_STORE_BOARDS_H_

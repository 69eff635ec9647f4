// What the supervisor drains, on its way to the checker's process: a ring in shared memory with one
// writer and one reader. It exists so that the checker's memory is not the supervisor's, whose
// forks would have to copy its page tables.
//
// W1  Entries are Operations; one whose function is kSettled is a mark: its `invoke` is the time
//     before which the history is settled.
// W2  A full ring stops nobody but the drain: the workers then wait in their own rings, between
//     operations.
#ifndef KILL9_HARNESS_HISTORY_HISTORY_PIPE_H_
#define KILL9_HARNESS_HISTORY_HISTORY_PIPE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/history/history.h"

namespace kill9 {

class HistoryPipe {
 public:
  // `capacity`: entries; a power of two.
  static absl::StatusOr<std::unique_ptr<HistoryPipe>> Create(uint64_t capacity);
  ~HistoryPipe();
  HistoryPipe(const HistoryPipe&) = delete;
  HistoryPipe& operator=(const HistoryPipe&) = delete;

  // The writer's.
  uint64_t room() const;
  // REQUIRES: room() > operations.size().
  void Write(const std::vector<Operation>& operations, uint64_t settled);
  // Nothing follows. Any process.
  void Close();

  // The reader's: appends operations up to a mark. False: nothing complete is there (yet, if not
  // closed()).
  bool Read(std::vector<Operation>* operations, uint64_t* settled);
  bool closed() const;

 private:
  struct Head {
    alignas(64) std::atomic<uint64_t> written;  // written by the supervisor
    alignas(64) std::atomic<uint64_t> read;     // written by the checker
    alignas(64) std::atomic<uint32_t> closed;
  };
  HistoryPipe(char* base, size_t bytes, uint64_t capacity);

  char* base_;
  size_t bytes_;
  uint64_t capacity_;
  Head* head_;
  Operation* entries_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_HISTORY_PIPE_H_

// A bound on how old the disk's copy of a mapped file may be.
//
// The kernel writes what is stored in a mapping to the disk when it likes: within half a minute, as
// a rule, without a promise. Each worker of a server has a DiskWriter, and one of them has it
// written, again and again: who has the lock of one byte of the file. The kernel gives the lock
// back when its holder dies, and the next one of the others that tries has it. Nobody else notices.
#ifndef KILL9_APPS_SERVER_DISK_WRITER_H_
#define KILL9_APPS_SERVER_DISK_WRITER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kill9::server {

class DiskWriter {
 public:
  // Of the file that `fd` is open on, which stays the caller's. Called behind the fork: a lock is
  // of who opened the file.
  static absl::StatusOr<std::unique_ptr<DiskWriter>> Open(int fd);
  // Waits for the turn that is under way.
  ~DiskWriter();
  DiskWriter(const DiskWriter&) = delete;
  DiskWriter& operator=(const DiskWriter&) = delete;

  // Unless another one has that to do: what was stored before the call is on the disk when it
  // returns. Returns whether it did so. An error is the disk's.
  absl::StatusOr<bool> Turn();

  // Begins a thread that takes turns so often that nothing on the disk is older than `seconds`, and
  // the time that writing takes; also where whoever wrote has just died. `written`, unless it
  // is null, counts the turns in which it wrote. REQUIRES: called once.
  void Begin(double seconds, std::atomic<uint64_t>* written);

 private:
  explicit DiskWriter(int fd) : fd_(fd) {}
  void TakeTurns(double seconds, std::atomic<uint64_t>* written);

  const int fd_;
  bool has_lock_ = false;  // of Turn's caller
  std::mutex mutex_;       // guards ends_
  std::condition_variable changed_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace kill9::server

#endif  // KILL9_APPS_SERVER_DISK_WRITER_H_

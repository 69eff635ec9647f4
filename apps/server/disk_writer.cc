#include "apps/server/disk_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "variants/segment/byte_lock.h"

namespace kill9::server {
namespace {

// Before those that tell which participant lives.
constexpr off_t kWriterByte = kProofLockBase - 1;

}  // namespace

absl::StatusOr<std::unique_ptr<DiskWriter>> DiskWriter::Open(int fd) {
  // A description of its own, of this very file, whatever its name is by now.
  const int own = open(absl::StrCat("/proc/self/fd/", fd).c_str(), O_RDWR | O_CLOEXEC);
  if (own < 0) return absl::ErrnoToStatus(errno, "the file cannot be opened to be written");
  return std::unique_ptr<DiskWriter>(new DiskWriter(own));
}

DiskWriter::~DiskWriter() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  close(fd_);
}

absl::StatusOr<bool> DiskWriter::Turn() {
  if (!has_lock_) {
    const int error = TryLockByte(fd_, kWriterByte);
    if (error == EAGAIN || error == EACCES) return false;
    if (error != 0) return absl::ErrnoToStatus(error, "the file cannot be locked");
    has_lock_ = true;
  }
  if (fdatasync(fd_) != 0) return absl::ErrnoToStatus(errno, "the file cannot be written");
  return true;
}

void DiskWriter::Begin(double seconds, std::atomic<uint64_t>* written) {
  // Signals are for the worker's own thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, seconds, written] { TakeTurns(seconds, written); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void DiskWriter::TakeTurns(double seconds, std::atomic<uint64_t>* written) {
  // Who wrote may die right before its turn, and right behind a vain one of the next.
  const std::chrono::duration<double> period(seconds / 2);
  bool has_complained = false;
  std::unique_lock lock(mutex_);
  while (!ends_) {
    lock.unlock();
    const absl::StatusOr<bool> wrote = Turn();
    // Relaxed: a count, which stands for itself.
    if (wrote.ok() && *wrote && written != nullptr)
      written->fetch_add(1, std::memory_order_relaxed);
    if (!wrote.ok() && !has_complained) {
      std::fprintf(stderr, "%s\n", std::string(wrote.status().message()).c_str());
      has_complained = true;
    }
    lock.lock();
    changed_.wait_for(lock, period, [this] { return ends_; });
  }
}

}  // namespace kill9::server

#include "variants/participants.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

constexpr off_t kLockBase = off_t{1} << 62;  // far from any byte that somebody else could lock

constexpr uint64_t Pack(ParticipantState state, uint32_t generation) {
  return uint64_t{generation} << 32 | static_cast<uint32_t>(state);
}
constexpr ParticipantState StateOf(uint64_t word) {
  return static_cast<ParticipantState>(static_cast<uint32_t>(word));
}
constexpr uint32_t GenerationOf(uint64_t word) { return static_cast<uint32_t>(word >> 32); }

struct flock ByteLock(uint32_t slot) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kLockBase + slot;
  lock.l_len = 1;
  return lock;
}

// The descriptors whose locks say "this process lives": a forked child must not keep them.
class LifeLines {
 public:
  static LifeLines& Get() {
    static LifeLines* lines = new LifeLines;
    return *lines;
  }
  // Opening and listing are one step to a fork in another thread, which waits for the mutex: no
  // child can inherit a descriptor that is not on the list. -1 with errno on failure.
  int Open(const char* path) {
    std::lock_guard<std::mutex> guard(mutex_);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) fds_.push_back(fd);
    return fd;
  }
  void Close(int fd) {
    std::lock_guard<std::mutex> guard(mutex_);
    fds_.erase(std::remove(fds_.begin(), fds_.end(), fd), fds_.end());
    close(fd);
  }

 private:
  LifeLines() {
    pthread_atfork([] { Get().mutex_.lock(); }, [] { Get().mutex_.unlock(); },
                   [] {
                     for (int fd : Get().fds_) close(fd);
                     Get().fds_.clear();
                     Get().mutex_.unlock();
                   });
  }
  std::mutex mutex_;
  std::vector<int> fds_;
};

}  // namespace

uint64_t ForkGuard::CurrentEpoch() {
  static std::atomic<uint64_t>* const page = [] {
    void* memory = mmap(nullptr, static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED ||
        madvise(memory, static_cast<size_t>(sysconf(_SC_PAGESIZE)), MADV_WIPEONFORK) != 0) {
      std::perror("kill9: cannot map the fork guard's page");
      std::abort();
    }
    auto* word = new (memory) std::atomic<uint64_t>(0);
    page_ = word;
    return word;
  }();
  // Relaxed: the word is compared with copies of itself only, and orders nothing else.
  uint64_t epoch = page->load(std::memory_order_relaxed);
  if (epoch == 0) {
    uint64_t fresh = 0;
    while (fresh == 0) {
      if (getrandom(&fresh, sizeof fresh, 0) != sizeof fresh) fresh = 0;
    }
    if (page->compare_exchange_strong(epoch, fresh, std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
      epoch = fresh;
    }
  }
  return epoch;
}

Participant& Participant::operator=(Participant&& other) noexcept {
  if (this != &other) {
    Release();
    guard_ = other.guard_;
    word_ = std::exchange(other.word_, nullptr);
    fd_ = std::exchange(other.fd_, -1);
    slot_ = other.slot_;
    generation_ = other.generation_;
  }
  return *this;
}

void Participant::Release() {
  std::atomic<uint64_t>* word = std::exchange(word_, nullptr);
  int fd = std::exchange(fd_, -1);
  // In a forked child the descriptor is closed already, and the slot is the parent's.
  if (word == nullptr || !guard_.mine()) return;
  // Release: pairs with the acquire of Claim; the next owner sees the ledger as this one left it
  // (P3).
  word->store(Pack(ParticipantState::kFree, generation_), std::memory_order_release);
  LifeLines::Get().Close(fd);
}

absl::StatusOr<Participant> ParticipantTable::Claim() const {
  // An open file description of its own: the segment's is shared by all participants of the
  // process.
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", segment_fd_);
  int fd = LifeLines::Get().Open(path);
  if (fd < 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot attach: opening ", path, ": ", std::strerror(errno), " (is /proc mounted?)"));
  }
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    // Relaxed: only a hint of where to try; the CAS below decides.
    uint64_t seen = word(slot).load(std::memory_order_relaxed);
    if (StateOf(seen) != ParticipantState::kFree) continue;
    struct flock lock = ByteLock(slot);
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
      if (errno == EAGAIN || errno == EACCES) continue;  // somebody is claiming or leaving it
      int error = errno;
      LifeLines::Get().Close(fd);
      return absl::FailedPreconditionError(
          absl::StrCat("cannot attach: the segment's file takes no locks: ", std::strerror(error)));
    }
    uint32_t generation = GenerationOf(seen) + 1;
    // Acquire: pairs with the releases of Release and MarkRecovered (the ledger is empty, P3).
    if (StateOf(seen) == ParticipantState::kFree &&
        word(slot).compare_exchange_strong(seen, Pack(ParticipantState::kInUse, generation),
                                           std::memory_order_acquire, std::memory_order_relaxed)) {
      Participant participant;
      participant.word_ = &word(slot);
      participant.fd_ = fd;
      participant.slot_ = slot;
      participant.generation_ = generation;
      return participant;
    }
    lock.l_type = F_UNLCK;
    fcntl(fd, F_OFD_SETLK, &lock);
  }
  LifeLines::Get().Close(fd);
  return absl::ResourceExhaustedError(
      absl::StrCat("all ", slots_, " participant slots of the segment are taken"));
}

ParticipantState ParticipantTable::state(uint32_t slot) const {
  // Acquire: pairs with the releases of MarkIfDead and MarkRecovered.
  return StateOf(word(slot).load(std::memory_order_acquire));
}

uint32_t ParticipantTable::generation(uint32_t slot) const {
  // Acquire: as in state().
  return GenerationOf(word(slot).load(std::memory_order_acquire));
}

bool ParticipantTable::MarkIfDead(uint32_t slot, uint32_t* generation) const {
  // Acquire: pairs with the CAS below; who finds the slot Dead sees what its finder saw.
  uint64_t seen = word(slot).load(std::memory_order_acquire);
  *generation = GenerationOf(seen);
  if (StateOf(seen) == ParticipantState::kDead) return true;
  if (StateOf(seen) == ParticipantState::kFree) return false;
  struct flock lock = ByteLock(slot);
  if (fcntl(segment_fd_, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK) return false;
  // P1: the lock is free and the word has not changed, so its owner is dead. Acquire and release:
  // what the victim wrote is visible here (the kernel ordered its death before the lock's release),
  // and to whoever finds Dead.
  if (word(slot).compare_exchange_strong(seen, Pack(ParticipantState::kDead, GenerationOf(seen)),
                                         std::memory_order_acq_rel, std::memory_order_acquire)) {
    return true;
  }
  *generation = GenerationOf(seen);
  return StateOf(seen) == ParticipantState::kDead;
}

bool ParticipantTable::MarkRecovered(uint32_t slot, uint32_t generation) const {
  uint64_t expected = Pack(ParticipantState::kDead, generation);
  // Release: pairs with the acquire of Claim (the ledger is empty, P3).
  return word(slot).compare_exchange_strong(expected, Pack(ParticipantState::kFree, generation),
                                            std::memory_order_release, std::memory_order_relaxed);
}

}  // namespace kill9

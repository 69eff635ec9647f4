// Who may lock mutexes, and what is done with those of another time or place.
//
// The kernel frees a robust mutex whose owner dies because the owner's thread has it in its list.
// The bytes of a copy have no such list behind them: a file that was copied in the middle of an
// operation (a backup, a snapshot, a machine that was switched off) names an owner that nobody will
// ever declare dead; and the thread id may be a living one's. So:
//
// M1  Whoever locks a mutex of the segment owns a slot of its table, whose byte lock in this very
//     file says that he lives, and is admitted: his ledger says so (L6).
// M2  He is admitted if, after he has claimed his slot, he sees a living participant who is
//     admitted; or by himself, holding the admission lock of the file, if nobody is, after he has
//     reset all mutexes.
//
// While somebody holds the admission lock and has seen that nobody is admitted, nobody can come to
// be (M2), so no process holds a mutex or waits for one: a word that names an owner names nobody. A
// mutex that is not free is set to what its owner's death would have left, so whoever locks it next
// undoes the journal first (D2). What has mapped the segment without attaching locks nothing, and
// is not disturbed.
//
// dies while it holds the lock -> the kernel drops the lock, nobody is admitted, the next one
// begins anew;  is stopped there -> whoever attaches waits
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/segment/byte_lock.h"
#include "variants/stores/locked/space.h"

namespace kill9::locked {
namespace {

// Below the bytes of participants, and of creators (segment_file.cc).
constexpr off_t kAdmissionByte = (off_t{1} << 62) - 2;
constexpr long kPauseNs = 1'000'000;

constexpr uint64_t AdmittedWord(uint32_t generation) { return uint64_t{1} << 32 | generation; }

}  // namespace

bool Space::AnyOtherIsAdmitted(uint32_t own_slot) const {
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    if (slot == own_slot || participants_.state(slot) != ParticipantState::kInUse) continue;
    // Acquire: pairs with the release of Admit: who sees it sees the mutexes reset.
    const uint64_t admitted = ledger(slot).admitted.load(std::memory_order_acquire);
    if (admitted != AdmittedWord(participants_.generation(slot))) continue;
    uint32_t generation = 0;
    if (participants_.MarkIfDead(slot, &generation)) continue;
    if (participants_.state(slot) == ParticipantState::kInUse &&
        AdmittedWord(generation) == admitted) {
      return true;
    }
  }
  return false;
}

absl::Status Space::Admit(const Participant& owner) {
  std::atomic<uint64_t>& admitted = ledger(owner.slot()).admitted;
  const std::string path = absl::StrCat("/proc/self/fd/", segment_->fd());
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot attach: opening the segment's file once more: ", std::strerror(errno)));
  }
  const absl::Cleanup close_it = [fd] {
    // Also if a child that was forked meanwhile has the descriptor.
    UnlockByte(fd, kAdmissionByte);
    close(fd);
  };
  while (!AnyOtherIsAdmitted(owner.slot())) {
    const int error = TryLockByte(fd, kAdmissionByte);
    if (error == 0) {
      if (!AnyOtherIsAdmitted(owner.slot())) ResetMutexes();
      break;
    }
    if (error != EAGAIN && error != EACCES) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot attach: the segment's file takes no locks: ", std::strerror(error)));
    }
    const timespec pause{0, kPauseNs};
    nanosleep(&pause, nullptr);
  }
  // Release: the mutexes come first. Before the admission lock is dropped.
  admitted.store(AdmittedWord(owner.generation()), std::memory_order_release);
  return absl::OkStatus();
}

void Space::ResetMutexes() {
  header_->recovery_mutex.Reset(!header_->recovery_mutex.LooksFree());
  for (Shard& shard : shards_) {
    ShardHeader& header = *shard.header;
    header.mutex.Reset(!header.mutex.LooksFree() || header.writer != 0);
  }
}

}  // namespace kill9::locked

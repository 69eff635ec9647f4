#include "variants/segment/admission/mutex_admission.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/segment/byte_lock.h"

namespace kill9 {
namespace {

// Below the bytes of participants, and of creators (segment_file.cc).
constexpr off_t kAdmissionByte = (off_t{1} << 62) - 2;
constexpr long kPauseNs = 1'000'000;

MutexAdmission& Of(const ParticipantTable& table, uint32_t slot) {
  return table.ledger_as<MutexAdmission>(slot);
}

// 0 if it cannot be told. (The kernel numbers namespaces by 32 bits.)
uint32_t OwnPidNamespace() {
  struct stat stat {};
  return ::stat("/proc/self/ns/pid", &stat) == 0 ? static_cast<uint32_t>(stat.st_ino) : 0;
}

absl::Status CheckNamespace(const ParticipantTable& table, uint32_t mine) {
  if (mine == 0) {
    return absl::FailedPreconditionError(
        "cannot attach: /proc/self/ns/pid cannot be read (is /proc mounted?)");
  }
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    // Seq_cst: of two that attach from two namespaces, at least one sees the other's word (M3).
    const uint64_t word = Of(table, slot).pid_namespace.load(std::memory_order_seq_cst);
    const uint32_t other = static_cast<uint32_t>(word);
    uint32_t generation = 0;
    if (other == 0 || other == mine || table.state(slot) != ParticipantState::kInUse ||
        table.MarkIfDead(slot, &generation) || word >> 32 != generation) {
      continue;
    }
    return absl::FailedPreconditionError(
        "cannot attach: a participant of another PID namespace is attached, and robust mutexes "
        "cannot tell threads of two namespaces apart; run all participants in one");
  }
  return absl::OkStatus();
}

// What the word of a slot other than the own says of its owner, if that one lives; else 0.
uint64_t LivingStandingOf(const ParticipantTable& table, uint32_t slot, uint64_t word) {
  if (table.state(slot) != ParticipantState::kInUse) return 0;
  uint32_t generation = table.generation(slot);
  if (static_cast<uint32_t>(word) != generation || table.MarkIfDead(slot, &generation)) return 0;
  const bool is_its_owners =
      table.state(slot) == ParticipantState::kInUse && static_cast<uint32_t>(word) == generation;
  return is_its_owners ? word >> 32 : 0;
}

bool AnyOtherIsAdmitted(const ParticipantTable& table, uint32_t own_slot) {
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    if (slot == own_slot) continue;
    // Seq_cst: after the own question (M2). Acquire: pairs with the release of AdmitToMutexes: who
    // sees it sees the mutexes reset.
    const uint64_t word = Of(table, slot).admitted.load(std::memory_order_seq_cst);
    if (LivingStandingOf(table, slot, word) == MutexAdmission::kAdmitted) return true;
  }
  return false;
}

// REQUIRES: the caller holds the admission lock, and does not ask. True: nobody else can lock a
// mutex before the lock is dropped.
bool NobodyElseCanBeAdmitted(const ParticipantTable& table, uint32_t own_slot) {
  std::vector<uint64_t> words(table.size());
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    // Seq_cst, both rounds: with the store of a question and the look after it, as M2 argues.
    words[slot] = Of(table, slot).admitted.load(std::memory_order_seq_cst);
    if (slot != own_slot && LivingStandingOf(table, slot, words[slot]) != 0) return false;
  }
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    if (Of(table, slot).admitted.load(std::memory_order_seq_cst) != words[slot]) return false;
  }
  return true;
}

}  // namespace

absl::Status AdmitToMutexes(const ParticipantTable& table, const Participant& owner,
                            int file_descriptor, absl::FunctionRef<void()> reset) {
  MutexAdmission& mine = Of(table, owner.slot());
  const uint32_t pid_namespace = OwnPidNamespace();
  // Seq_cst: with CheckNamespace's load, one sees the other.
  mine.pid_namespace.store(uint64_t{owner.generation()} << 32 | pid_namespace,
                           std::memory_order_seq_cst);
  if (absl::Status status = CheckNamespace(table, pid_namespace); !status.ok()) return status;

  const std::string path = absl::StrCat("/proc/self/fd/", file_descriptor);
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
  const uint64_t asks = MutexAdmission::kAsks << 32 | owner.generation();
  const uint64_t admitted = MutexAdmission::kAdmitted << 32 | owner.generation();
  for (;;) {
    // Seq_cst, both: who resets sees the question, or was through before the look (M2).
    mine.admitted.store(asks, std::memory_order_seq_cst);
    if (AnyOtherIsAdmitted(table, owner.slot())) break;
    mine.admitted.store(0, std::memory_order_seq_cst);
    const int error = TryLockByte(fd, kAdmissionByte);
    if (error == 0) {
      if (NobodyElseCanBeAdmitted(table, owner.slot())) {
        reset();
        break;
      }
      UnlockByte(fd, kAdmissionByte);
    } else if (error != EAGAIN && error != EACCES) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot attach: the segment's file takes no locks: ", std::strerror(error)));
    }
    const timespec pause{0, kPauseNs};
    nanosleep(&pause, nullptr);
  }
  // Release: the mutexes come first. Before the admission lock is dropped.
  mine.admitted.store(admitted, std::memory_order_release);
  return absl::OkStatus();
}

absl::StatusOr<Participant> ClaimAdmitted(const ParticipantTable& table, int file_descriptor,
                                          absl::FunctionRef<void()> reset,
                                          absl::FunctionRef<void()> recover) {
  // Said early, before a slot is claimed; AdmitToMutexes decides.
  if (absl::Status status = CheckNamespace(table, OwnPidNamespace()); !status.ok()) return status;
  absl::StatusOr<Participant> participant = table.ClaimOrRecover([&](const Participant& recoverer) {
    absl::Status status = AdmitToMutexes(table, recoverer, file_descriptor, reset);
    if (status.ok()) recover();
    return status;
  });
  if (!participant.ok()) return participant;
  absl::Status status = AdmitToMutexes(table, *participant, file_descriptor, reset);
  if (!status.ok()) return status;
  return participant;
}

}  // namespace kill9

#include "variants/segment/participants.h"

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
#include <ctime>
#include <limits>
#include <map>
#include <mutex>
#include <vector>

#include "absl/strings/str_cat.h"
#include "variants/segment/byte_lock.h"
#include "variants/segment/hash.h"

namespace kill9 {
namespace {

constexpr off_t kTrialBase = kProofLockBase + (off_t{1} << 61);

constexpr uint64_t Pack(ParticipantState state, uint32_t generation) {
  return uint64_t{generation} << 32 | static_cast<uint32_t>(state);
}
constexpr ParticipantState StateOf(uint64_t word) {
  return static_cast<ParticipantState>(static_cast<uint32_t>(word));
}
constexpr uint32_t GenerationOf(uint64_t word) { return static_cast<uint32_t>(word >> 32); }

// A page of the file that nobody touches, and no child inherits. Null with errno on failure.
void* MapProof(int fd, uint32_t slot) {
  void* page = mmap(nullptr, PageBytes(), PROT_NONE, MAP_SHARED, fd, ProofPageOffset(slot));
  if (page == MAP_FAILED) return nullptr;
  if (madvise(page, PageBytes(), MADV_DONTFORK) == 0) return page;
  const int error = errno;
  munmap(page, PageBytes());
  errno = error;
  return nullptr;
}

// A description of the segment's file that nobody else has. -1 with errno on failure.
int Reopen(const Descriptor& file) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file.number());
  return open(path, O_RDWR | O_CLOEXEC);
}

absl::Status LostDescriptor() {
  return absl::FailedPreconditionError(
      "the program has closed the segment's descriptor (closefrom?): this process can neither "
      "attach "
      "to the segment nor tell who of its participants is dead; open the segment anew");
}

absl::Status CannotReopen(int error) {
  const std::string text =
      absl::StrCat("cannot attach: opening the segment's file once more: ", std::strerror(error));
  if (error == EMFILE || error == ENFILE || error == ENOMEM) {
    return absl::ResourceExhaustedError(text);
  }
  if (access("/proc/self/fd", F_OK) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(text, " (is /proc mounted?)"));
  }
  return error == ENOENT ? LostDescriptor() : absl::FailedPreconditionError(text);
}

// What a process knows of the proofs of life of its participants. A fork waits for the mutex: it
// is held while a description that will be such a proof has a descriptor which is not on the list.
class LivenessLocks {
 public:
  static LivenessLocks& Get() {
    static LivenessLocks* locks = new LivenessLocks;
    return *locks;
  }
  std::mutex& mutex() { return mutex_; }
  // REQUIRES: the mutex is held. Whether a mapping alone keeps a lock, on this file's file system:
  // tried out once, since no flag tells it.
  bool MappingsKeepLocks(const Descriptor& file) {
    const auto known = keeps_.find(file.device());
    if (known != keeps_.end()) return known->second;
    return keeps_[file.device()] = TryOutMapping(file);
  }
  // REQUIRES of both: the mutex is held.
  void List(Descriptor* proof) { listed_.push_back(proof); }
  void Strike(Descriptor* proof) {
    listed_.erase(std::remove(listed_.begin(), listed_.end(), proof), listed_.end());
  }

 private:
  LivenessLocks() {
    pthread_atfork([] { Get().mutex_.lock(); }, [] { Get().mutex_.unlock(); },
                   [] {
                     for (Descriptor* proof : Get().listed_) proof->Close();
                     Get().listed_.clear();
                     Get().mutex_.unlock();
                   });
  }
  // The lock must stay with the mapping, and go with it: where a child of a raw clone has the
  // descriptor by chance, the answer is no, which is safe.
  static bool TryOutMapping(const Descriptor& file) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random) return false;
    const off_t byte = kTrialBase + static_cast<off_t>(random >> 4);
    const int fd = Reopen(file);
    if (fd < 0) return false;
    void* page = TryLockByte(fd, byte) == 0 ? MapProof(fd, 0) : nullptr;
    close(fd);
    if (page == nullptr) return false;
    const bool stays = IsByteLocked(file.number(), byte);
    munmap(page, PageBytes());
    return stays && !IsByteLocked(file.number(), byte);
  }

  std::mutex mutex_;
  std::vector<Descriptor*> listed_;  // proofs that are descriptors
  std::map<dev_t, bool> keeps_;
};

void Pause() {
  constexpr timespec kPause{0, 1'000'000};
  nanosleep(&kPause, nullptr);
}
constexpr int kLooks = 100;  // with pauses between them: 0.1 s

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
    guard_ = std::move(other.guard_);
    word_ = std::exchange(other.word_, nullptr);
    proof_page_ = std::exchange(other.proof_page_, nullptr);
    slot_ = other.slot_;
    generation_ = other.generation_;
  }
  return *this;
}

void Participant::Release() {
  std::atomic<uint64_t>* word = std::exchange(word_, nullptr);
  void* page = std::exchange(proof_page_, nullptr);
  const std::shared_ptr<Descriptor> proof = std::move(guard_.proof_);
  // In a child neither the page nor the descriptor is there, and the slot is the parent's.
  if (word == nullptr || !guard_.mine()) return;
  uint64_t in_use = Pack(ParticipantState::kInUse, generation_);
  // Release: pairs with the acquire of Claim; the next owner sees the ledger as this one left it
  // (P3). It fails only if the proof was lost and somebody has found this participant dead. [spare
  // release: who acts on Leaving has found the lock free, and knows by the kernel what came before]
  word->compare_exchange_strong(in_use, Pack(ParticipantState::kLeaving, generation_),
                                std::memory_order_release, std::memory_order_relaxed);
  // Dies before -> the lock goes with the process: Leaving, and unlocked.
  if (page != nullptr) {
    munmap(page, PageBytes());
  } else {
    std::lock_guard<std::mutex> no_fork(LivenessLocks::Get().mutex());
    LivenessLocks::Get().Strike(proof.get());
    if (proof->Intact()) UnlockByte(proof->number(), ProofLockByte(slot_));
    proof->Close();
  }
  uint64_t leaving = Pack(ParticipantState::kLeaving, generation_);
  // Release: as above. It fails if the slot has a new owner already.
  word->compare_exchange_strong(leaving, Pack(ParticipantState::kFree, generation_),
                                std::memory_order_release, std::memory_order_relaxed);
}

// One look over the slots, with a description of its own of the segment's file. A fork in another
// thread waits until it is over.
class ParticipantTable::Pass {
 public:
  explicit Pass(const ParticipantTable& table)
      : table_(table), no_fork_(LivenessLocks::Get().mutex()) {}
  ~Pass() {
    if (page_ != nullptr) munmap(page_, PageBytes());
    if (fd_ >= 0) close(fd_);
  }

  absl::Status Open() {
    fd_ = Reopen(*table_.file_);
    if (fd_ < 0) return CannotReopen(errno);
    if (!table_.file_->IsSameFile(fd_)) return LostDescriptor();
    mapping_keeps_lock_ = LivenessLocks::Get().MappingsKeepLocks(*table_.file_);
    return absl::OkStatus();
  }

  // Claims the slot, if that can be done now. *contended: somebody else has its lock.
  absl::StatusOr<std::optional<Participant>> Try(uint32_t slot, bool* contended) {
    std::atomic<uint64_t>& word = table_.word(slot);
    const bool of_recoverer = slot >= table_.participants_;
    // Relaxed: only a hint of where to try; the CAS below decides.
    if (!Claimable(word.load(std::memory_order_relaxed), of_recoverer)) return std::nullopt;
    if (const int error = TryLockByte(fd_, ProofLockByte(slot)); error != 0) {
      if (error != EAGAIN && error != EACCES) {
        return absl::FailedPreconditionError(absl::StrCat(
            "cannot attach: the segment's file takes no locks: ", std::strerror(error)));
      }
      *contended = true;
      return std::nullopt;
    }
    if (mapping_keeps_lock_) page_ = MapProof(fd_, slot);
    if (mapping_keeps_lock_ && page_ == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot attach: mapping a page: ", std::strerror(errno)));
    }
    // Relaxed: the CAS decides. Nobody else can claim it now, so this does not go on for ever: the
    // word changes at most to Dead and to Free.
    uint64_t seen = word.load(std::memory_order_relaxed);
    while (Claimable(seen, of_recoverer)) {
      const uint32_t generation = GenerationOf(seen) + 1;
      // Acquire: pairs with the releases of Release and MarkRecovered (the ledger is empty, P3).
      if (word.compare_exchange_strong(seen, Pack(ParticipantState::kInUse, generation),
                                       std::memory_order_acquire, std::memory_order_relaxed)) {
        return HandOver(word, slot, generation);
      }
    }
    if (page_ != nullptr) munmap(std::exchange(page_, nullptr), PageBytes());
    UnlockByte(fd_, ProofLockByte(slot));
    return std::nullopt;
  }

 private:
  // Who has the lock may claim a slot in these states: in the others its ledger holds something
  // (P2, P4).
  static bool Claimable(uint64_t word, bool of_recoverer) {
    if (GenerationOf(word) == std::numeric_limits<uint32_t>::max()) return false;  // used up (P1)
    return of_recoverer || StateOf(word) == ParticipantState::kFree ||
           StateOf(word) == ParticipantState::kLeaving;
  }
  Participant HandOver(std::atomic<uint64_t>& word, uint32_t slot, uint32_t generation) {
    Participant participant;
    participant.word_ = &word;
    participant.slot_ = slot;
    participant.generation_ = generation;
    participant.proof_page_ = std::exchange(page_, nullptr);
    if (participant.proof_page_ == nullptr) {
      participant.guard_.proof_ = std::make_shared<Descriptor>(std::exchange(fd_, -1));
      LivenessLocks::Get().List(participant.guard_.proof_.get());
    }
    return participant;
  }

  const ParticipantTable& table_;
  std::lock_guard<std::mutex> no_fork_;
  int fd_ = -1;
  bool mapping_keeps_lock_ = false;
  void* page_ = nullptr;  // of the slot that is being claimed
};

absl::StatusOr<std::optional<Participant>> ParticipantTable::ClaimFrom(uint32_t first,
                                                                       uint32_t end) const {
  for (int look = 0; look < kLooks; ++look) {
    bool contended = false;
    {
      Pass pass(*this);
      if (absl::Status status = pass.Open(); !status.ok()) return status;
      for (uint32_t slot = first; slot < end; ++slot) {
        absl::StatusOr<std::optional<Participant>> claimed = pass.Try(slot, &contended);
        if (!claimed.ok() || claimed->has_value()) return claimed;
      }
    }
    if (!contended) break;
    Pause();
  }
  return std::nullopt;
}

absl::Status ParticipantTable::AllTaken() const {
  return absl::ResourceExhaustedError(
      absl::StrCat("all ", participants_, " participant slots of the segment are taken"));
}

absl::StatusOr<Participant> ParticipantTable::Claim() const {
  absl::StatusOr<std::optional<Participant>> claimed = ClaimFrom(0, participants_);
  if (!claimed.ok()) return claimed.status();
  if (!claimed->has_value()) return AllTaken();
  return **std::move(claimed);
}

absl::StatusOr<Participant> ParticipantTable::ClaimToRecover() const {
  absl::StatusOr<std::optional<Participant>> claimed = ClaimFrom(participants_, size());
  if (!claimed.ok()) return claimed.status();
  if (claimed->has_value()) return **std::move(claimed);
  return absl::ResourceExhaustedError(
      absl::StrCat("all ", participants_,
                   " participant slots of the segment are taken, and so are the ", kRecovererSlots,
                   " places from which the dead among them can be recovered, by processes that "
                   "are attaching, or were stopped while they did"));
}

uint64_t ParticipantTable::Fingerprint() const {
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < participants_; ++slot) {
    // Acquire: the looks that are compared stay before and after what lies between them. A word
    // never returns to what it was (P1), so neither does their sum, but by a chance of 2^-64.
    sum += XXH3_64bits_withSeed(&slot, sizeof slot, word(slot).load(std::memory_order_acquire));
  }
  return sum;
}

absl::StatusOr<Participant> ParticipantTable::ClaimOrRecover(
    absl::FunctionRef<absl::Status(const Participant& recoverer)> recover) const {
  absl::StatusOr<std::optional<Participant>> claimed = ClaimFrom(0, participants_);
  if (!claimed.ok()) return claimed.status();
  if (claimed->has_value()) return **std::move(claimed);
  for (int look = 0;; ++look) {
    const uint64_t before = Fingerprint();
    absl::Status recovered;
    {
      absl::StatusOr<Participant> recoverer = ClaimToRecover();
      recovered = recoverer.ok() ? recover(*recoverer) : recoverer.status();
    }
    if (!recovered.ok() && !absl::IsResourceExhausted(recovered)) return recovered;
    claimed = ClaimFrom(0, participants_);
    if (!claimed.ok()) return claimed.status();
    if (claimed->has_value()) return **std::move(claimed);
    // What this one freed went to another, or somebody died behind its look: it looks again, as
    // long as participants come and go.
    if (look == kLooks || Fingerprint() == before) return recovered.ok() ? AllTaken() : recovered;
  }
}

absl::Status ParticipantTable::CanTellTheDead() const {
  return file_->Intact() ? absl::OkStatus() : LostDescriptor();
}

ParticipantState ParticipantTable::state(uint32_t slot) const {
  // Acquire: pairs with the releases of MarkIfDead and MarkRecovered.
  return StateOf(word(slot).load(std::memory_order_acquire));
}

uint32_t ParticipantTable::generation(uint32_t slot) const {
  // Acquire: as in state(). [spare acquire under c11 of cas_slots: it is compared after state(),
  // which acquires]
  return GenerationOf(word(slot).load(std::memory_order_acquire));
}

bool ParticipantTable::MarkIfDead(uint32_t slot, uint32_t* generation) const {
  // Acquire: pairs with the CAS below; who finds the slot Dead sees what its finder saw. [spare
  // acquire under c11 of seqlock_ring: a hold that is missed here is of a generation that is over]
  uint64_t seen = word(slot).load(std::memory_order_acquire);
  *generation = GenerationOf(seen);
  if (StateOf(seen) == ParticipantState::kDead) return true;
  if (StateOf(seen) == ParticipantState::kFree) return false;
  // In this order: whoever has closed the descriptor since, the answer was that of our file.
  if (IsByteLocked(file_->number(), ProofLockByte(slot)) || !file_->Intact()) return false;
  if (StateOf(seen) == ParticipantState::kLeaving) {
    // It has left, and died, or is about to do this itself. Release: as there. It fails if another
    // did it first.
    word(slot).compare_exchange_strong(seen, Pack(ParticipantState::kFree, GenerationOf(seen)),
                                       std::memory_order_release, std::memory_order_relaxed);
    return false;
  }
  // P1: the lock is free and the word has not changed, so its owner is dead. Acquire and release:
  // what the victim wrote is visible here (the kernel ordered its death before the lock's release),
  // and to whoever finds Dead. [spare release under c11 of seqlock_ring: as the acquire above]
  if (word(slot).compare_exchange_strong(seen, Pack(ParticipantState::kDead, GenerationOf(seen)),
                                         std::memory_order_acq_rel, std::memory_order_acquire)) {
    return true;
  }
  *generation = GenerationOf(seen);
  return StateOf(seen) == ParticipantState::kDead;
}

bool ParticipantTable::MarkRecovered(uint32_t slot, uint32_t generation) const {
  uint64_t expected = Pack(ParticipantState::kDead, generation);
  // Release: pairs with the acquire of Claim (the ledger is empty, P3). It fails if another
  // recoverer was first. [spare release under c11 of cas_slots: recoverers empty it by updates of
  // the victim's words, which the next owner's stores follow]
  return word(slot).compare_exchange_strong(expected, Pack(ParticipantState::kFree, generation),
                                            std::memory_order_release, std::memory_order_relaxed);
}

}  // namespace kill9

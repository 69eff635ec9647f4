// Participants: who is attached to a segment, and who of them is dead.
//
// A participant owns one slot of the table and, for as long as it lives, a write lock on one byte
// of the segment's file, taken through an open file description of its own (fcntl, F_OFD_SETLK).
// The kernel drops the lock when the process ends, however it ends, so the lock is a death
// certificate that no PID can falsify: a reused PID does not hold it, a zombie has lost it, a
// stopped process keeps it, and it means the same in every PID namespace. (POSIX record locks would
// vanish when any descriptor of the file is closed in the process; a robust mutex belongs to a
// thread, not to the process.)
//
// After fork the child shares the parent's open file descriptions. A pthread_atfork handler closes
// them in the child; a child made by a raw clone(2) delays the news of its parent's death until it
// exits or execs, which is safe. A handle used in a child is refused (ForkGuard).
//
// State of a slot, one 64-bit word, generation in the upper 32 bits:
//
//     Free(g) --Claim--> InUse(g+1) --Release--> Free(g+1)
//                           |
//                           +--MarkIfDead--> Dead(g+1) --MarkRecovered--> Free(g+1)
//
// P1  InUse(g) is entered only by a process that already holds the slot's byte lock, and keeps the
//     lock until after it has left InUse(g).
//     So: the word read InUse(g) before and after the lock was seen free, therefore participant g
//     is dead.
//     No two participants ever have the same slot and generation.
// P2  Dead(g) is left only by MarkRecovered, called after everything in the slot's ledger was
//     returned.
// P3  A slot's ledger is written by its participant while InUse, and by recoverers while Dead. It
//     holds nothing in Free.
//
// PROGRESS: Claim, Release, MarkIfDead and MarkRecovered never wait for another process.
// ON CRASH: at any instruction of Claim the slot is Free, or InUse with an empty ledger; of
// Release, InUse or Free.
#ifndef KILL9_VARIANTS_PARTICIPANTS_H_
#define KILL9_VARIANTS_PARTICIPANTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kill9 {

// Tells in one load whether the process that made the guard is the one that asks. It reads a page
// that the kernel wipes in every child (MADV_WIPEONFORK), so a raw clone(2) is noticed too.
class ForkGuard {
 public:
  ForkGuard() : epoch_(CurrentEpoch()) {}
  // Relaxed: the word is compared with a copy of itself only, and orders nothing else.
  bool mine() const { return page_->load(std::memory_order_relaxed) == epoch_; }

 private:
  static uint64_t CurrentEpoch();
  inline static const std::atomic<uint64_t>* page_ = nullptr;
  uint64_t epoch_;
};

enum class ParticipantState : uint32_t { kFree = 0, kInUse = 1, kDead = 2 };

struct ParticipantSlot {
  // Written by Claim, Release (its participant) and MarkIfDead, MarkRecovered (anyone); read by
  // all.
  std::atomic<uint64_t> word;
  uint64_t reserved[7];
};
static_assert(sizeof(ParticipantSlot) == 64 && std::atomic<uint64_t>::is_always_lock_free);

class ParticipantTable;

// The claim on a slot. Move-only; its destructor releases the slot unless the process inherited it.
class Participant {
 public:
  Participant() = default;
  Participant(Participant&& other) noexcept { *this = std::move(other); }
  Participant& operator=(Participant&& other) noexcept;
  ~Participant() { Release(); }

  // REQUIRES: the ledger holds nothing.
  void Release();
  uint32_t slot() const { return slot_; }
  uint32_t generation() const { return generation_; }
  const ForkGuard& guard() const { return guard_; }

 private:
  friend class ParticipantTable;
  ForkGuard guard_;
  std::atomic<uint64_t>* word_ = nullptr;
  int fd_ = -1;
  uint32_t slot_ = 0;
  uint32_t generation_ = 0;
};

// A view of the table inside a mapped segment. Each slot is followed by `ledger_bytes` for its
// design.
class ParticipantTable {
 public:
  static constexpr size_t kMaxParticipants = 4096;
  static constexpr size_t Bytes(uint32_t slots, size_t ledger_bytes) {
    return slots * Stride(ledger_bytes);
  }

  ParticipantTable() = default;
  // `base` is zeroed memory at creation; `segment_fd` stays owned by the segment.
  ParticipantTable(char* base, uint32_t slots, size_t ledger_bytes, int segment_fd)
      : base_(base), slots_(slots), ledger_bytes_(ledger_bytes), segment_fd_(segment_fd) {}

  // Takes a free slot. kResourceExhausted if none is free: dead participants must be recovered
  // first (MarkIfDead tells who they are), or the segment was made for fewer participants.
  absl::StatusOr<Participant> Claim() const;

  uint32_t size() const { return slots_; }
  ParticipantState state(uint32_t slot) const;
  uint32_t generation(uint32_t slot) const;
  std::span<char> ledger(uint32_t slot) const {
    return {base_ + slot * Stride(ledger_bytes_) + sizeof(ParticipantSlot), ledger_bytes_};
  }
  template <typename Ledger>
  Ledger& ledger_as(uint32_t slot) const {
    return *reinterpret_cast<Ledger*>(ledger(slot).data());
  }

  // ENSURES: true if the slot is Dead on return, by this call or an earlier one; its generation in
  // *generation. False: free, or its participant lives. One system call for a slot in use.
  bool MarkIfDead(uint32_t slot, uint32_t* generation) const;
  // Returns a recovered slot. REQUIRES: its ledger holds nothing. False: another recoverer already
  // did.
  bool MarkRecovered(uint32_t slot, uint32_t generation) const;

 private:
  static constexpr size_t Stride(size_t ledger_bytes) {
    return sizeof(ParticipantSlot) + (ledger_bytes + 63) / 64 * 64;
  }
  std::atomic<uint64_t>& word(uint32_t slot) const {
    return reinterpret_cast<ParticipantSlot*>(base_ + slot * Stride(ledger_bytes_))->word;
  }

  char* base_ = nullptr;
  uint32_t slots_ = 0;
  size_t ledger_bytes_ = 0;
  int segment_fd_ = -1;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_PARTICIPANTS_H_

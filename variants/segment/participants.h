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
// What keeps the description, and so the lock, is not a descriptor, which any closefrom(3) would
// close, but a mapping of one page of the file, which nobody touches. It is MADV_DONTFORK: no kind
// of child inherits it, of raw clone(2) neither, so that no child hides its parent's death, or
// keeps a slot that its parent has left. While the description has a descriptor, inside Claim, a
// fork(2) in another thread waits. What remains: a child of a raw clone or of vfork by another
// thread in just these microseconds has that descriptor until it execs or exits, and until then a
// death, or an orderly leave, is news that comes late; and so is a death while a vfork child, which
// shares all memory, has not yet execed.
//
// Some file systems keep their locks on another description than mappings do (overlayfs). Claim
// finds this out, once a file system, and keeps the descriptor there. A program that closes it
// loses the lock; ForkGuard::owns() tells, so that each operation of its Store is refused. A fork's
// child closes it; a child of a raw clone delays the news of its parent's death until it exits or
// execs; Release unlocks for all who share the description.
//
// State of a slot, one 64-bit word, generation in the upper 32 bits:
//
//     Free(g) --Claim--> InUse(g+1) --Release--> Leaving(g+1) --(unlocks)--> Free(g+1)
//                           |                        |
//                           |                        +--Claim, MarkIfDead, once it is unlocked-->
//                           |                           InUse(g+2), Free(g+1)
//                           +--MarkIfDead--> Dead(g+1) --MarkRecovered--> Free(g+1)
//
// P1  InUse(g) is entered only by a process that already holds the slot's byte lock, and keeps the
//     lock until after it has left InUse(g).
//     So: the word read InUse(g) before and after the lock was seen free, therefore participant g
//     is dead.
//     No two participants ever have the same slot and generation: a slot that has used up its
//     generations is claimed no more.
// P2  Dead(g) is left only by MarkRecovered, called after everything in the slot's ledger was
//     returned; or, of a recoverer's slot, by ClaimToRecover (P4).
// P3  A slot's ledger is written by its participant while InUse, and by recoverers while Dead. It
//     holds nothing in Leaving and Free.
// P4  The last kRecovererSlots of the table are for processes that must recover the dead in order
//     to get a slot: they are seen, as participants are, by everyone who goes over the ledgers. A
//     recoverer's ledger names only what protects its owner from others, each word with the owner's
//     generation; once the owner is dead nothing of it must be returned, so the slot goes straight
//     from a dead recoverer to the next.
//
// No slot is withheld by who has left it: it is Free only after its lock is (a process that stands
// in Leaving with the lock has not left yet). A Free slot's lock is held only by who is claiming
// it, so a claimer that finds nothing else looks again for a while.
//
// PROGRESS: Release, MarkIfDead and MarkRecovered never wait for another process. Claim and
// ClaimToRecover wait at most 0.1 s, and only for processes that are claiming at this moment, or in
// recovery.
// ON CRASH: at any instruction of Claim the slot is Free, or InUse with an empty ledger; of
// Release, InUse, Leaving or Free.
#ifndef KILL9_VARIANTS_SEGMENT_PARTICIPANTS_H_
#define KILL9_VARIANTS_SEGMENT_PARTICIPANTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment/descriptor.h"

namespace kill9 {

// Tells in one load whether the process that made the guard is the one that asks. It reads a page
// that the kernel wipes in every child (MADV_WIPEONFORK), so a raw clone(2) is noticed too.
class ForkGuard {
 public:
  ForkGuard() : epoch_(CurrentEpoch()) {}
  // Relaxed: the word is compared with a copy of itself only, and orders nothing else.
  bool mine() const { return page_->load(std::memory_order_relaxed) == epoch_; }
  // Whether a descriptor proves the life of this participant, which the program can close by
  // mistake.
  bool can_be_lost() const { return proof_ != nullptr; }
  // mine(), and the proof of life, if it can be lost, is still there. A system call for those, free
  // for the others.
  bool owns() const { return mine() && (proof_ == nullptr || proof_->Intact()); }

 private:
  friend class Participant;
  friend class ParticipantTable;
  static uint64_t CurrentEpoch();
  inline static const std::atomic<uint64_t>* page_ = nullptr;
  uint64_t epoch_;
  std::shared_ptr<Descriptor> proof_;
};

enum class ParticipantState : uint32_t { kFree = 0, kInUse = 1, kDead = 2, kLeaving = 3 };

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
  void* proof_page_ = nullptr;  // the mapping that keeps the lock; null if a descriptor does
  uint32_t slot_ = 0;
  uint32_t generation_ = 0;
};

// A view of the table inside a mapped segment. Each slot is followed by `ledger_bytes` for its
// design.
class ParticipantTable {
 public:
  static constexpr size_t kMaxParticipants = 4096;
  static constexpr uint32_t kRecovererSlots = 4;
  static constexpr size_t Bytes(uint32_t participants, size_t ledger_bytes) {
    return (participants + kRecovererSlots) * Stride(ledger_bytes);
  }

  ParticipantTable() = default;
  // `base` is zeroed memory at creation; `file` is the segment's.
  ParticipantTable(char* base, uint32_t participants, size_t ledger_bytes, const Descriptor* file)
      : base_(base), participants_(participants), ledger_bytes_(ledger_bytes), file_(file) {}

  // Takes a free slot. kResourceExhausted if none is free: dead participants must be recovered
  // first (MarkIfDead tells who they are), or the segment was made for fewer participants; or if no
  // descriptor, or no memory, is left for it.
  absl::StatusOr<Participant> Claim() const;
  // A recoverer's slot (P4). kResourceExhausted also if all stay taken, by processes that are
  // stopped.
  absl::StatusOr<Participant> ClaimToRecover() const;
  // Claim; but if no slot is free, `recover` is called from a recoverer's slot, and then it is
  // tried again, as long as other participants come and go meanwhile: what `recover` freed may go
  // to another, and one that lived when it looked may have died since.
  absl::StatusOr<Participant> ClaimOrRecover(
      absl::FunctionRef<absl::Status(const Participant& recoverer)> recover) const;
  // kFailedPrecondition if the program has closed the segment's descriptor: this process cannot
  // tell the living from the dead any more.
  absl::Status CanTellTheDead() const;

  // All slots, those of recoverers included: whoever goes over the ledgers goes over all.
  uint32_t size() const { return participants_ + kRecovererSlots; }
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
  // *generation. False: free, or its participant lives, or it cannot be told (CanTellTheDead). One
  // system call for a slot in use, one more for one that is found dead.
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

  class Pass;
  // Nullopt: none of them can be had.
  absl::StatusOr<std::optional<Participant>> ClaimFrom(uint32_t first, uint32_t end) const;
  // Tells whether any participant came or went between two calls.
  uint64_t Fingerprint() const;
  absl::Status AllTaken() const;

  char* base_ = nullptr;
  uint32_t participants_ = 0;
  size_t ledger_bytes_ = 0;
  const Descriptor* file_ = nullptr;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_PARTICIPANTS_H_

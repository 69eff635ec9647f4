// Who may lock the robust mutexes of a segment, and what is done with those of another time or
// place.
//
// The kernel frees a robust mutex whose owner dies because the owner's thread has it in its list.
// The bytes of a copy have no such list behind them: a file that was copied in the middle of an
// operation (a backup, a snapshot, a machine that was switched off) names an owner that nobody will
// ever declare dead; and the thread id may be a living one's. So:
//
// M1  Whoever locks a mutex of the segment owns a slot of its table, whose byte lock in this very
//     file says that it lives, and is admitted: its ledger says so.
// M2  It asks: its ledger says so first. If it sees a living participant that is admitted then, it
//     is admitted, too. Else it takes its question back, takes the admission lock of the file, and
//     admits itself if nobody living is admitted or asks, after it has reset all mutexes.
// M3  All who live and lock are of one PID namespace. A robust mutex knows its owner by a thread
//     id, which means something in one namespace only: if a waiter dies whose id in its own equals
//     the owner's in another, the kernel takes the mutex from its living owner (handle_futex_death
//     compares nothing else).
//
// While somebody holds the admission lock and has seen in two rounds over all ledgers, between
// which no word changed, that nobody living is admitted or asks, nobody can come to be, so no
// process holds a mutex or waits for one: a word that names an owner names nobody. For let A be the
// first who comes to be admitted after the first round has passed its word. It asked after the
// second round had passed it, else the word had changed: so the first round was over when A saw
// somebody admitted who lived. That one was admitted before the first round came by, and lived
// then: it was seen. (A single look does not do, nor does a question that is not told: the one whom
// A has seen may have died before A says that it is admitted.)
//
// A mutex that is not free is set to what its owner's death would have left, so whoever locks it
// next repairs what it guards. What has mapped the segment without attaching locks nothing, and is
// not disturbed.
//
// dies while it asks -> the dead ask nothing;  is stopped there -> whoever attaches waits, if
// nobody is admitted
// dies while it holds the lock -> the kernel drops the lock, nobody is admitted, the next one
// begins anew;  is stopped there -> likewise
#ifndef KILL9_VARIANTS_SEGMENT_ADMISSION_MUTEX_ADMISSION_H_
#define KILL9_VARIANTS_SEGMENT_ADMISSION_MUTEX_ADMISSION_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment/participants.h"

namespace kill9 {

// What a participant's ledger begins with, in a design that uses AdmitToMutexes. Both words name
// the generation that they are true of: what an earlier owner of the slot left says nothing.
struct MutexAdmission {
  // generation << 32 | the PID namespace's inode. Written by the slot's owner before its first
  // lock; read by whoever attaches.
  std::atomic<uint64_t> pid_namespace;
  // kAsks or kAdmitted << 32 | generation. Written by the owner; read by whoever attaches.
  std::atomic<uint64_t> admitted;

  static constexpr uint64_t kAdmitted = 1;
  static constexpr uint64_t kAsks = 2;
};

// Admits the owner of a slot. `reset`: makes every mutex of the segment one that nobody holds, and
// those that are not free such that the next locker repairs (RobustMutex::Reset).
// kFailedPrecondition: a participant of another PID namespace is attached; or the file takes no
// locks. `file_descriptor`: the segment's.
absl::Status AdmitToMutexes(const ParticipantTable& table, const Participant& owner,
                            int file_descriptor, absl::FunctionRef<void()> reset);

// For who attaches: a slot whose owner is admitted, as above. Where no slot is free, `recover` lets
// go of what the dead have, from a recoverer's slot that is admitted as well.
absl::StatusOr<Participant> ClaimAdmitted(const ParticipantTable& table, int file_descriptor,
                                          absl::FunctionRef<void()> reset,
                                          absl::FunctionRef<void()> recover);

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_ADMISSION_MUTEX_ADMISSION_H_

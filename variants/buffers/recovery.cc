// Recovery of a buffer pool. Where a victim can have died, and what is done:
//
//   with the mutex, journal count > 0    -> the next one to lock it undoes the transaction: the
//                                           buffer was not made, or not freed
//   with the mutex, count = 0            -> the mutex is handed on
//   holding buffers                      -> each word that names it becomes Free (B1)
//   between its last hold and freeing    -> a buffer without a hold is freed (B3)
//   in sharing                           -> the new hold is there, and dropped, or it is not
//   in passing on, before the message    -> the hold is its own: dropped
//   between the message and Sent         -> whichever comes first: the receiver takes the hold, or
//                                           recovery drops it, and the message is void
//   after Sent                           -> the hold is the message's, and nobody's death ends it
//   in receiving, before the CAS         -> the message comes again, to another receiver
//   between the CAS and acknowledging    -> the hold is dropped; the message comes again, and is
//                                           void
//   between a change and its wake-up     -> its death wakes all who sleep (sleepers.h)
//   in Claim or Release of its slot      -> the slot is Free, or InUse with no hold that names it
//   in recovery                          -> what was let go of is not the dead one's any more; the
//                                           next recoverer does the rest
//
// Several may recover one victim at once. A word was read while it was dead, and is changed only if
// it is the same, so what names the slot's next owner is never touched.
#include <vector>

#include "variants/buffers/space.h"

namespace kill9::buffers {

absl::StatusOr<RecoveryReport> Space::RecoverDead() {
  RecoveryReport report;
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    uint32_t generation = 0;
    if (!participants_.MarkIfDead(slot, &generation)) continue;
    {
      // What it has left half done is undone before its holds are looked at.
      const Session session(*this);
      if (!session.entered) return Damaged();
      report.rolled_back += session.undone ? 1 : 0;
    }
    // After the look at the word: it is of this victim, and not of the slot's next owner.
    const auto of_the_dead = [&](HoldWord word) {
      return word.Is(HoldKind::kHeld, slot) &&
             participants_.state(slot) == ParticipantState::kDead &&
             participants_.generation(slot) == generation;
    };
    const absl::StatusOr<uint64_t> freed = DropAll(of_the_dead);
    if (!freed.ok()) return freed.status();
    report.blocks += *freed;
    report.participants += participants_.MarkRecovered(slot, generation) ? 1 : 0;
  }
  return report;
}

}  // namespace kill9::buffers

// Recovery of a coalescing_heap. Where a victim can have died, and what is done:
//
//   with the mutex, journal count > 0    -> the next one to lock it undoes the transaction: nothing
//                                           of the operation has happened
//   with the mutex, count = 0            -> the mutex is handed on; each store of an owner's bit is
//                                           an operation of its own, before or after it
//   without it                           -> recovery lets go of all blocks that its bit is set in,
//                                           and releases what its rows name
//   between a change and its wake-up     -> its death wakes all who sleep (sleepers.h)
//   asleep, or woken                     -> the others were woken as well
//   in Claim or Release of its slot      -> the slot is Free, or InUse with an empty ledger
//   in recovery                          -> what was let go of is not the dead one's any more; the
//                                           next recoverer does the rest
#include "variants/heaps/coalescing_heap/space.h"

namespace kill9::coalescing_heap {

absl::StatusOr<RecoveryReport> RecoverDead(Space& space) {
  const ParticipantTable& table = space.participants();
  RecoveryReport report;
  Session session(space);
  if (!session.entered) return Damaged();
  report.rolled_back += session.undone ? 1 : 0;
  // Who is dead is asked once: who dies meanwhile is recovered by the next one. Recoverers' slots
  // own nothing (P4).
  std::vector<std::pair<uint32_t, uint32_t>> dead;
  SlotSet owners(space.owner_words());
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    uint32_t generation = 0;
    if (!table.MarkIfDead(slot, &generation)) continue;
    dead.emplace_back(slot, generation);
    if (slot < 64 * owners.size()) AddSlot(owners, slot);
  }
  if (dead.empty()) return report;
  const absl::StatusOr<uint64_t> freed = space.LetGoOfAll(session, owners);
  if (!freed.ok()) return freed.status();
  report.blocks += *freed;
  for (const auto& [slot, generation] : dead) {
    // Only who has the mutex returns slots, but a recoverer's may have gone to the next one already
    // (P4): its ledger has no member.
    if (space.ledger(slot).member == Ledger::MemberWord(generation)) space.ledger(slot).member = 0;
    report.participants += table.MarkRecovered(slot, generation) ? 1 : 0;
  }
  return report;
}

}  // namespace kill9::coalescing_heap

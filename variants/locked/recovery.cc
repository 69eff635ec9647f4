// Recovery of the locked designs. Where a victim can have died, and what is done:
//
//   outside every session, nothing held  -> its slot is returned
//   outside every session, rows held     -> each pin is taken off its entry, each owned block freed
//   waiting for a mutex                  -> as above; the kernel took it off the queue
//   in a session, journal count = 0      -> the mutex is handed on; nothing to undo
//   in a session, journal count > 0      -> the next session of that shard undoes; `active` says
//                                           which shard that is, so recovery opens one before it
//                                           reads rows (L4)
//   in Claim or Release of its slot      -> the slot is Free, or InUse with an empty ledger
//   in recovery, its own or another's    -> the recovery mutex is owner-dead; the next recoverer
//                                           opens a session on the recovery hand's shard first,
//                                           then starts over: rows that were released are 0, the
//                                           others still stand
#include "variants/locked/space.h"

namespace kill9::locked {

RecoveryReport Space::RecoverDead() {
  RecoveryReport report;
  RobustMutex& mutex = header_->recovery_mutex;
  const Hand hand{header_->recovery_hand, Hand::kRecoverer};
  if (mutex.Lock() == RobustMutex::Acquired::kOwnerDied) {
    // Relaxed: the mutex orders it. Until that shard has been entered, the hand's journal may still
    // be the victim's.
    const uint64_t active = hand.area.active.load(std::memory_order_relaxed);
    if (active != 0 && Enter(static_cast<uint32_t>(active - 1), hand).undone) ++report.rolled_back;
    mutex.Consistent();
  }
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    uint32_t generation = 0;
    if (!participants_.MarkIfDead(slot, &generation)) continue;
    RecoverSlot(slot, report);
    // Only who holds the recovery mutex returns slots, so this cannot be another's.
    participants_.MarkRecovered(slot, generation);
    ++report.participants;
  }
  mutex.Unlock();
  return report;
}

void Space::RecoverSlot(uint32_t slot, RecoveryReport& report) {
  const Hand hand{header_->recovery_hand, Hand::kRecoverer};
  Ledger& dead = ledger(slot);
  // Relaxed: MarkIfDead ordered the victim's stores before this.
  const uint64_t active = dead.hand.active.load(std::memory_order_relaxed);
  if (active != 0) {
    // dies here -> `active` still stands, the next recoverer looks again
    if (Enter(static_cast<uint32_t>(active - 1), hand).undone) ++report.rolled_back;
    dead.hand.active.store(0, std::memory_order_relaxed);
  }
  for (uint64_t& row : dead.rows) report.blocks += ReleaseRow(row, hand);
  // Relaxed: MarkRecovered's release comes after it.
  dead.pid_namespace.store(0, std::memory_order_relaxed);
}

}  // namespace kill9::locked

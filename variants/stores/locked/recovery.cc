// Recovery of the locked designs. Where a victim can have died, and what is done:
//
//   outside every session, nothing held  -> its slot is returned
//   outside every session, rows held     -> each pin is taken off its entry, each owned block freed
//   waiting for a mutex                  -> as above; the kernel took it off the queue
//   in a session, journal count = 0      -> the mutex is handed on; nothing to undo
//   in a session, journal count > 0      -> the next session of that shard undoes; the journal says
//                                           which shard that is (J6), so recovery opens one before
//                                           it reads rows (L4)
//   in Claim or Release of its slot      -> the slot is Free, or InUse with an empty ledger
//   in recovery, its own or another's    -> the recovery mutex is owner-dead; the next recoverer
//                                           opens a session on the recovery journal's shard first,
//                                           then starts over: rows that were released are 0, the
//                                           others still stand
#include "variants/stores/locked/space.h"

namespace kill9::locked {

absl::StatusOr<RecoveryReport> Space::RecoverDead() {
  RecoveryReport report;
  bool sound = true;
  RobustMutex& mutex = header_->recovery_mutex;
  const RobustMutex::Acquired acquired = mutex.Lock();
  if (acquired == RobustMutex::Acquired::kUnusable) return Damaged();
  if (acquired == RobustMutex::Acquired::kOwnerDied) {
    // Until the shard that it is about has been entered, the journal may still be the victim's.
    sound &= FinishJournal(header_->recovery_journal, report);
    mutex.Consistent();
  }
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    uint32_t generation = 0;
    if (!participants_.MarkIfDead(slot, &generation)) continue;
    sound &= RecoverSlot(slot, report);
    // Only who holds the recovery mutex returns slots, so this cannot be another's; but a
    // recoverer's may have gone to the next one already (P4), whose ledger has neither journal nor
    // rows.
    report.participants += participants_.MarkRecovered(slot, generation) ? 1 : 0;
  }
  mutex.Unlock();
  if (!sound) return Damaged();
  return report;
}

bool Space::FinishJournal(Journal::Area& dead, RecoveryReport& report) {
  // Acquire: pairs with Close's release, so that who finds 0 finds all transactions committed. (The
  // finding of the death ordered the victim's stores before this already.)
  const uint64_t shard = std::atomic_ref<uint64_t>(dead.shard).load(std::memory_order_acquire);
  if (shard == 0) return true;
  if (shard > shards_.size()) return false;
  // dies here -> `shard` still stands, the next recoverer looks again
  const ShardGuard session = Enter(static_cast<uint32_t>(shard - 1), RecoveryJournalOwner());
  report.rolled_back += session.undone ? 1 : 0;
  return session.entered;
}

bool Space::RecoverSlot(uint32_t slot, RecoveryReport& report) {
  Ledger& dead = ledger(slot);
  bool sound = FinishJournal(dead.journal, report);
  // Relaxed: MarkRecovered's release comes after it.
  std::atomic_ref<uint64_t>(dead.journal.shard).store(0, std::memory_order_relaxed);
  for (uint64_t& row : dead.rows) {
    const absl::StatusOr<uint64_t> blocks = ReleaseRow(row, RecoveryJournalOwner());
    sound &= blocks.ok();
    if (blocks.ok()) report.blocks += *blocks;
  }
  return sound;
}

}  // namespace kill9::locked

// Recovery: one case for each place where a victim can have died is in the decision note; all but
// one need nothing. What is left is the ledger.
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {

absl::StatusOr<RecoveryReport> RingStore::DoRecover() {
  if (absl::Status status = table_.CanTellTheDead(); !status.ok()) return status;
  RecoveryReport report;
  for (uint32_t slot = 0; slot < table_.size(); ++slot) {
    uint32_t generation = 0;
    if (slot != space_.slot() && table_.MarkIfDead(slot, &generation)) {
      RecoverSlot(geometry_, table_, slot, generation, &report);
    }
  }
  return report;
}

}  // namespace kill9::ring

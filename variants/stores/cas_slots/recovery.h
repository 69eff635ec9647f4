// Recovery of cas_slots: what a survivor does for a dead participant.
//
// Nothing is ever completed for the dead: an operation takes effect by its owner's CAS on the slot
// word or never (strict linearizability). Recovery only decides, for each block that the victim's
// ledger names, whether it is free, from the block's state word and from what the slot word leads
// to; and the CAS of the state word lets one recoverer win (I1-I3). Any number may do it at once,
// and each may die anywhere.
//
// PROGRESS: lock-free. COST: proportional to what the ledgers of the dead name, plus one system
// call for each living participant.
#ifndef KILL9_VARIANTS_STORES_CAS_SLOTS_RECOVERY_H_
#define KILL9_VARIANTS_STORES_CAS_SLOTS_RECOVERY_H_

#include "variants/store.h"
#include "variants/stores/cas_slots/context.h"

namespace kill9::cas_slots {

// Recovers all dead participants.
RecoveryReport RecoverAll(const Context& context);

}  // namespace kill9::cas_slots

#endif  // KILL9_VARIANTS_STORES_CAS_SLOTS_RECOVERY_H_

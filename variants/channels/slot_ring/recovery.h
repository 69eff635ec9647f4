// Recovery of slot_ring: what a survivor does for a dead participant.
//
// Nothing is ever completed for the dead: a message was sent, taken or acknowledged by its owner's
// CAS of the slot's word, or never (strict linearizability). Recovery gives back what the victim
// had taken, and retires the chunks that it owned. Any number may do it at once, and each may die
// anywhere.
//
// PROGRESS: lock-free. COST: proportional to what the victims held, plus the number of chunks, plus
// one system call for each living participant.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_RECOVERY_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_RECOVERY_H_

#include "variants/channels/slot_ring/context.h"

namespace kill9::slot_ring {

// Recovers the dead participants of these slots. Who waits is not woken.
RecoveryReport RecoverDead(const Context& context, chunks::WhichSlots which);

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_RECOVERY_H_

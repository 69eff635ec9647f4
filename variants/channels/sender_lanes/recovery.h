#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_RECOVERY_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_RECOVERY_H_

#include "variants/channels/sender_lanes/context.h"
#include "variants/object.h"

namespace kill9::sender_lanes {

// Gives back what the dead of these slots held. Any number of processes may be at it, and may die
// in it.
RecoveryReport RecoverDead(const Context& context, chunks::WhichSlots which);

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_RECOVERY_H_

// What a baseline does of recovery that has nothing to take back for the dead.
#ifndef KILL9_VARIANTS_BASELINES_DEAD_SLOTS_H_
#define KILL9_VARIANTS_BASELINES_DEAD_SLOTS_H_

#include <cstdint>

#include "variants/segment/participants.h"

namespace kill9::baselines {

// Their places in the table only. Returns how many there were.
inline uint64_t ReturnSlotsOfTheDead(const ParticipantTable& participants) {
  uint64_t returned = 0;
  for (uint32_t slot = 0; slot < participants.size(); ++slot) {
    uint32_t generation = 0;
    if (participants.MarkIfDead(slot, &generation) &&
        participants.MarkRecovered(slot, generation)) {
      ++returned;
    }
  }
  return returned;
}

}  // namespace kill9::baselines

#endif  // KILL9_VARIANTS_BASELINES_DEAD_SLOTS_H_

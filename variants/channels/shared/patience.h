// Tells damage from a walk along slots that is long only because others are fast.
//
// In a sound segment a walk to the end of what is there passes two laps only if others went on
// meanwhile, any number of laps; and then they raised a hint. In a damaged one nobody need have.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_PATIENCE_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_PATIENCE_H_

#include <cstdint>

#include "variants/channels/shared/chunks.h"

namespace kill9::chunks {

class Patience {
 public:
  // The hints are raised by others as they go on, every few positions, and not by who walks.
  Patience(const SharedWord& hint, const SharedWord& other_hint, uint64_t slots)
      : hint_(hint), other_hint_(other_hint), most_(2 * slots), hints_(Hints()) {}

  // After each position that was passed. True: two laps without any news of others.
  bool IsOver() {
    if (++passed_ <= most_) [[likely]]
      return false;
    passed_ = 0;
    const uint64_t before = hints_;
    hints_ = Hints();
    return hints_ == before;
  }

 private:
  uint64_t Hints() const {
    // Relaxed: numbers that are compared with earlier ones of themselves.
    return hint_.load(std::memory_order_relaxed) + other_hint_.load(std::memory_order_relaxed);
  }

  const SharedWord& hint_;
  const SharedWord& other_hint_;
  const uint64_t most_;
  uint64_t hints_;
  uint64_t passed_ = 0;
};

}  // namespace kill9::chunks

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_PATIENCE_H_

// The word of a slot: how many positions of it were filled, and whether the message of the last one
// is there.
#ifndef KILL9_VARIANTS_CHANNELS_BROADCAST_RING_SLOT_WORD_H_
#define KILL9_VARIANTS_CHANNELS_BROADCAST_RING_SLOT_WORD_H_

#include <bit>
#include <cstdint>

#include "variants/channels/shared/chunks.h"

namespace kill9::broadcast_ring {

using chunks::Ref;

// What a word says.
struct Slot {
  bool full = false;    // false: Gone
  bool closed = false;  // the next position of this slot is never filled
  Ref ref = 0;          // of a Full one
  uint64_t laps = 0;    // positions of this slot that were filled

  friend constexpr bool operator==(const Slot&, const Slot&) = default;
};

// How a Slot is packed into 64 bits, the lowest first: full 1, closed 1, ref as many as the segment
// needs, laps the rest. 0 is a slot of which nothing was filled.
class SlotCodec {
 public:
  SlotCodec() = default;
  // REQUIRES: slots is a power of two, at least 2, and no ref is as large.
  explicit constexpr SlotCodec(uint64_t slots)
      : position_shift_(std::countr_zero(slots)), laps_shift_(kFixedBits + position_shift_) {}

  constexpr Slot Unpack(uint64_t word) const {
    return {(word & 1) != 0, (word >> 1 & 1) != 0,
            static_cast<Ref>(word >> kFixedBits & ((uint64_t{1} << position_shift_) - 1)),
            word >> laps_shift_};
  }
  constexpr uint64_t Pack(const Slot& slot) const {
    return uint64_t{slot.full} | uint64_t{slot.closed} << 1 | uint64_t{slot.ref} << kFixedBits |
           slot.laps << laps_shift_;
  }
  constexpr uint64_t NumberOf(uint64_t position) const {
    return position & ((uint64_t{1} << position_shift_) - 1);
  }
  // What a slot's word counts once the position is filled.
  constexpr uint64_t LapsWith(uint64_t position) const { return (position >> position_shift_) + 1; }
  // The last position of a slot that was filled. REQUIRES: laps != 0.
  constexpr uint64_t LastFilled(uint64_t number, uint64_t laps) const {
    return (laps - 1) << position_shift_ | number;
  }

 private:
  static constexpr int kFixedBits = 2;

  int position_shift_ = 1;
  int laps_shift_ = kFixedBits + 1;
};

namespace slot_word_checks {
inline constexpr SlotCodec kCodec(1u << 19);
inline constexpr Slot kSlot{true, true, (1u << 19) - 1, (uint64_t{1} << 43) - 1};
static_assert(kCodec.Unpack(kCodec.Pack(kSlot)) == kSlot);
static_assert(kCodec.Pack(Slot{}) == 0);
static_assert(kCodec.LapsWith(0) == 1 && kCodec.LapsWith((3u << 19) + 5) == 4);
static_assert(kCodec.LastFilled(5, 4) == (3u << 19) + 5);
}  // namespace slot_word_checks

}  // namespace kill9::broadcast_ring

#endif  // KILL9_VARIANTS_CHANNELS_BROADCAST_RING_SLOT_WORD_H_

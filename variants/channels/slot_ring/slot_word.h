// The word of a slot: the whole truth about the message in it, and about the position that it
// stands for.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_SLOT_WORD_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_SLOT_WORD_H_

#include <bit>
#include <cstdint>

#include "variants/channels/shared/chunks.h"

namespace kill9::slot_ring {

using chunks::Ref;

enum class SlotKind : uint8_t {
  kEmpty = 0,  // waits for the position of its lap
  kFull = 1,   // a message that waits
  kTaken = 2,  // a message that `owner` has taken
};

// What a word says.
struct Slot {
  SlotKind kind = SlotKind::kEmpty;
  bool closed = false;      // no position beyond this lap of this slot is ever filled
  uint32_t deliveries = 0;  // how often it was given back, 1 to 31 in turn; 0: never
  Ref ref = 0;
  uint32_t owner = 0;
  uint64_t lap = 0;

  constexpr bool redelivered() const { return deliveries != 0; }
  friend constexpr bool operator==(const Slot&, const Slot&) = default;
};

// How a Slot is packed into 64 bits, the lowest first: kind 2, closed 1, deliveries 5, ref and
// owner as many as the segment needs, lap the rest. 0 is a slot that is empty in lap 0.
//
// A word repeats only for the same message, owner and lap. Laps begin anew after 2^56 messages
// divided by the number of participants (for 60 of them two hundred days of 30 million a second);
// deliveries of one message in one lap after 31. A process that is stopped between a look at a word
// and its CAS is mistaken only if the word is the same again when it resumes.
class SlotCodec {
 public:
  SlotCodec() = default;
  // REQUIRES: both are at least 2.
  constexpr SlotCodec(uint64_t granules, uint64_t participants)
      : owner_shift_(kFixedBits + std::bit_width(granules - 1)),
        lap_shift_(owner_shift_ + std::bit_width(participants - 1)) {}

  constexpr Slot Unpack(uint64_t word) const {
    return {static_cast<SlotKind>(word & 3),
            (word >> 2 & 1) != 0,
            static_cast<uint32_t>(word >> 3 & kMostDeliveries),
            static_cast<Ref>(word >> kFixedBits & Mask(owner_shift_ - kFixedBits)),
            static_cast<uint32_t>(word >> owner_shift_ & Mask(lap_shift_ - owner_shift_)),
            word >> lap_shift_};
  }
  constexpr uint64_t Pack(const Slot& slot) const {
    return static_cast<uint64_t>(slot.kind) | uint64_t{slot.closed} << 2 |
           uint64_t{slot.deliveries} << 3 | uint64_t{slot.ref} << kFixedBits |
           uint64_t{slot.owner} << owner_shift_ | slot.lap << lap_shift_;
  }
  // The lap alone, and that of two words which is later: they begin anew.
  constexpr uint64_t MaskLap(uint64_t lap) const { return lap & Mask(64 - lap_shift_); }
  constexpr int64_t LapsAhead(uint64_t lap, uint64_t of) const {
    return static_cast<int64_t>((lap - of) << lap_shift_) >> lap_shift_;
  }

  // The next word of a slot. Each keeps `closed`.
  constexpr Slot Filled(const Slot& slot, Ref ref) const {
    return {SlotKind::kFull, slot.closed, 0, ref, 0, slot.lap};
  }
  constexpr Slot TakenBy(const Slot& slot, uint32_t owner) const {
    return {SlotKind::kTaken, slot.closed, slot.deliveries, slot.ref, owner, slot.lap};
  }
  constexpr Slot GivenBack(const Slot& slot) const {
    return {
        SlotKind::kFull, slot.closed, slot.deliveries == kMostDeliveries ? 1 : slot.deliveries + 1,
        slot.ref,        0,           slot.lap};
  }
  constexpr Slot Emptied(const Slot& slot) const {
    return {SlotKind::kEmpty, slot.closed, 0, 0, 0, MaskLap(slot.lap + 1)};
  }
  // The next lap of the slot is void: its message stays in it.
  constexpr Slot Skipped(Slot slot) const {
    slot.lap = MaskLap(slot.lap + 1);
    return slot;
  }

 private:
  static constexpr int kFixedBits = 8;
  static constexpr uint32_t kMostDeliveries = 31;
  static constexpr uint64_t Mask(int bits) { return (uint64_t{1} << bits) - 1; }

  int owner_shift_ = kFixedBits + 1;
  int lap_shift_ = kFixedBits + 2;
};

namespace slot_word_checks {
inline constexpr SlotCodec kCodec(1u << 19, 68);
inline constexpr Slot kSlot{SlotKind::kTaken, true, 31, (1u << 19) - 1, 67, (1u << 30) - 1};
static_assert(kCodec.Unpack(kCodec.Pack(kSlot)) == kSlot);
static_assert(kCodec.Pack(Slot{}) == 0);
static_assert(kCodec.GivenBack(kSlot).deliveries == 1);
static_assert(kCodec.Emptied(kSlot).lap == 0 && kCodec.LapsAhead(0, kSlot.lap) == 1);
static_assert(kCodec.LapsAhead(3, 5) == -2);
}  // namespace slot_word_checks

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_SLOT_WORD_H_

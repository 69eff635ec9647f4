// The word of a slot of a lane: who has taken what begins there.
#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_WORD_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_WORD_H_

#include <bit>
#include <cstdint>

namespace kill9::sender_lanes {

enum class RangeKind : uint8_t {
  kGone = 0,      // acknowledged, or never used
  kReturned = 1,  // one message that was taken, and waits again
  kTaken = 2,     // messages that `owner` has taken
};

inline constexpr uint32_t kMostExtent = 256;  // messages that one word can speak of

// What a word says: of the range of messages that begins at its slot, once it was taken.
struct Range {
  RangeKind kind = RangeKind::kGone;
  uint32_t deliveries = 0;  // how often it was given back, 1 to 31 in turn; 0: never
  uint32_t extent = 1;      // messages, in slots from this one on
  uint32_t owner = 0;
  uint64_t lap = 0;

  constexpr bool redelivered() const { return deliveries != 0; }
  constexpr bool TakenBy(uint32_t participant) const {
    return kind == RangeKind::kTaken && owner == participant;
  }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

// How a Range is packed into 64 bits, the lowest first: kind 2, deliveries 5, extent - 1 8, owner
// as many as the segment needs, lap the rest. 0 is a slot that was never used: laps begin with 1.
//
// A word repeats only for the same lap, owner, extent and count of deliveries. Laps begin anew
// after 2^36 of them, or more; deliveries of one message after 31.
class RangeCodec {
 public:
  RangeCodec() = default;
  // REQUIRES: at least 2.
  constexpr explicit RangeCodec(uint64_t participants)
      : lap_shift_(kOwnerShift + std::bit_width(participants - 1)) {}

  constexpr Range Unpack(uint64_t word) const {
    return {static_cast<RangeKind>(word & 3), static_cast<uint32_t>(word >> 2 & kMostDeliveries),
            static_cast<uint32_t>(word >> 7 & 0xff) + 1,
            static_cast<uint32_t>(word >> kOwnerShift & Mask(lap_shift_ - kOwnerShift)),
            word >> lap_shift_};
  }
  constexpr uint64_t Pack(const Range& range) const {
    return static_cast<uint64_t>(range.kind) | uint64_t{range.deliveries} << 2 |
           uint64_t{range.extent - 1} << 7 | uint64_t{range.owner} << kOwnerShift |
           range.lap << lap_shift_;
  }
  // The extent of a range of that lap that is gone; else 0. What Unpack would tell, sooner.
  constexpr uint32_t GoneExtent(uint64_t word, uint64_t lap) const {
    if ((word & 3) != 0 || word >> lap_shift_ != lap) return 0;
    return static_cast<uint32_t>(word >> 7 & 0xff) + 1;
  }
  // The lap alone, and that of two words which is later: they begin anew.
  constexpr uint64_t MaskLap(uint64_t lap) const { return lap & Mask(64 - lap_shift_); }
  constexpr int64_t LapsAhead(uint64_t lap, uint64_t of) const {
    return static_cast<int64_t>((lap - of) << lap_shift_) >> lap_shift_;
  }

  // The next words of a slot.
  static constexpr Range Taken(uint32_t owner, uint32_t extent, uint64_t lap) {
    return {RangeKind::kTaken, 0, extent, owner, lap};
  }
  static constexpr Range TakenAgain(Range range, uint32_t owner) {
    range.kind = RangeKind::kTaken;
    range.owner = owner;
    return range;
  }
  // REQUIRES: one message.
  static constexpr Range GivenBack(const Range& range) {
    return {RangeKind::kReturned, range.deliveries == kMostDeliveries ? 1 : range.deliveries + 1, 1,
            0, range.lap};
  }
  static constexpr Range Acknowledged(const Range& range) {
    return {RangeKind::kGone, 0, range.extent, 0, range.lap};
  }
  static constexpr Range OneOf(Range range) {
    range.extent = 1;
    return range;
  }
  // The positions of the next lap are void: the messages stay in their slots.
  constexpr Range Skipped(Range range) const {
    range.lap = MaskLap(range.lap + 1);
    return range;
  }

 private:
  static constexpr int kOwnerShift = 15;
  static constexpr uint32_t kMostDeliveries = 31;
  static constexpr uint64_t Mask(int bits) { return (uint64_t{1} << bits) - 1; }

  int lap_shift_ = kOwnerShift + 1;
};

namespace lane_word_checks {
inline constexpr RangeCodec kCodec(68);
inline constexpr Range kRange{RangeKind::kTaken, 31, kMostExtent, 67, (uint64_t{1} << 42) - 1};
static_assert(kCodec.Unpack(kCodec.Pack(kRange)) == kRange);
static_assert(kCodec.Pack(Range{}) == 0);
static_assert(kCodec.GivenBack(kRange).deliveries == 1);
static_assert(kCodec.Skipped(kRange).lap == 0 && kCodec.LapsAhead(0, kRange.lap) == 1);
static_assert(kCodec.LapsAhead(3, 5) == -2);
static_assert(kCodec.GoneExtent(kCodec.Pack(RangeCodec::Acknowledged(kRange)), kRange.lap) ==
              kMostExtent);
static_assert(kCodec.GoneExtent(kCodec.Pack(kRange), kRange.lap) == 0);
}  // namespace lane_word_checks

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_WORD_H_

#include "variants/channels/sender_lanes/lane_sender.h"

#include <algorithm>

namespace kill9::sender_lanes {

LaneSender::LaneSender(const Context& context)
    : context_(context),
      // A recoverer's place has no lane, and never sends.
      lane_number_(context.index() < context.lane_count() ? context.index() : 0),
      lane_(context.lane(lane_number_)) {
  tail_ = next_ = free_end_ = context_.TailOf(lane_number_);
  // Acquire: pairs with the release of Gather.
  const uint64_t range = lane_.free_range.load(std::memory_order_acquire);
  const uint64_t begin = range >> 9;
  if (begin <= tail_ && tail_ - begin < (range & kMostFreeRange)) {
    free_end_ = begin + (range & kMostFreeRange);
  }
}

int64_t LaneSender::Look(uint64_t position, uint64_t* word, Range* range) const {
  // Acquire: pairs with the acknowledgement: what its receiver read is past.
  *word = context_.word(context_.SlotOf(lane_number_, position)).load(std::memory_order_acquire);
  *range = context_.codec().Unpack(*word);
  return context_.codec().LapsAhead(range->lap, context_.LapOf(position));
}

// Whether so many positions can be had without waiting: up to the first message of the last lap
// that nobody has taken. What is free stays so until this one uses it.
bool LaneSender::HasFree(uint64_t want) const {
  uint64_t free = free_end_ - next_;
  for (uint64_t at = free_end_; free < want && at - next_ < context_.lane_slots();) {
    uint64_t word = 0;
    Range range;
    const int64_t ahead = Look(at, &word, &range);
    if (ahead < -1 || ahead > 0) return false;
    if (ahead == -1 && range.kind == RangeKind::kGone) free += range.extent;
    at += range.extent;
  }
  return free >= want;
}

Ready LaneSender::FindFree(uint64_t others) {
  if (!HasFree(others + 1)) return Ready::kFull;
  if (next_ < free_end_) return Ready::kYes;
  // So that what `free_range` says is always about positions from the tail on.
  if (placed_ != 0) return Ready::kPublishFirst;
  for (;;) {
    uint64_t word = 0;
    Range range;
    const int64_t ahead = Look(next_, &word, &range);
    if (ahead < -1 || ahead > 0) return Ready::kFull;  // damaged: HasFree found one
    if (ahead == -1 && range.kind == RangeKind::kGone) {
      Gather();
      return Ready::kYes;
    }
    // dies before -> nothing;  dies after -> void positions beyond the tail, as its successor sees
    // Release: pairs with the acquires of Claim and Acknowledge, which find it changed. Relaxed on
    // failure: the word is loaded anew.
    if (ahead == -1 &&
        !context_.word(context_.SlotOf(lane_number_, next_))
             .compare_exchange_strong(word, context_.codec().Pack(context_.codec().Skipped(range)),
                                      std::memory_order_acq_rel, std::memory_order_relaxed)) {
      continue;
    }
    next_ = free_end_ = next_ + range.extent;
  }
}

// Notes the ranges from next_ on that are gone, some at once, up to the end of the ring.
void LaneSender::Gather() {
  constexpr uint64_t kEnough = 64;  // positions
  static_assert(kEnough - 1 + kMostExtent <= kMostFreeRange);
  const uint64_t slot = context_.SlotOf(lane_number_, next_);
  const uint64_t most = std::min(kEnough, context_.SlotsToEnd(slot));
  const uint64_t lap = context_.codec().MaskLap(context_.LapOf(next_) - 1);
  uint64_t count = 0;
  while (count < most) {
    // Acquire: as in Look.
    const uint64_t word = context_.word(slot + count).load(std::memory_order_acquire);
    const uint32_t extent = context_.codec().GoneExtent(word, lap);
    if (extent == 0) break;
    count += extent;
  }
  // Release: pairs with the acquire of the constructor. Before the tail passes next_.
  lane_.free_range.store(next_ << 9 | count, std::memory_order_release);
  free_end_ = next_ + count;
}

}  // namespace kill9::sender_lanes

// The lane of one sender, as its owner adds to it (L1, L6, L7, L9 in layout.h).
//
// PROGRESS: wait-free. A CAS fails only because the holder of a range gives it up, or because the
// channel is closed.
#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_SENDER_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_SENDER_H_

#include <cstdint>

#include "variants/channels/sender_lanes/context.h"

namespace kill9::sender_lanes {

enum class Ready : uint8_t {
  kYes,
  kPublishFirst,  // what was placed, and ask again
  kFull,
};

class LaneSender {
 public:
  // Goes on where the last owner of the lane left, however it ended.
  explicit LaneSender(const Context& context);

  // Whether there is a position for one more message, and for so many others to come.
  Ready IsReady(uint64_t others) {
    if (next_ == free_end_ || others != 0) [[unlikely]]
      return FindFree(others);
    return Ready::kYes;
  }
  // Gives the message the next position; its number. Nobody sees it before Publish.
  // REQUIRES: IsReady has just said kYes.
  uint64_t Add(Ref ref, uint64_t bytes) {
    context_.NotePlace(ref, {lane_number_, next_});
    context_.SetEntry(context_.SlotOf(lane_number_, next_), Entry::Of(ref, bytes));
    ++placed_;
    return next_++;
  }
  // Sends what was placed. False: the channel is closed, and none of it was sent.
  bool Publish() {
    uint64_t tail = tail_ << 1;
    // dies before -> never sent;  dies after -> sent;  a successor sees -> a longer lane
    // Seq_cst: with the look for sleepers (sleepers.h). It releases entries, records and bytes to
    // who reads the tail. Relaxed on failure: it is closed.
    const bool sent = lane_.tail.compare_exchange_strong(
        tail, next_ << 1, std::memory_order_seq_cst, std::memory_order_relaxed);
    placed_ = 0;
    if (!sent) {
      next_ = free_end_ = tail_;
      return false;
    }
    tail_ = next_;
    return true;
  }

 private:
  Ready FindFree(uint64_t others);
  bool HasFree(uint64_t want) const;
  void Gather();
  // Of the range in the slot of a position of this lap: how many laps it is ahead.
  int64_t Look(uint64_t position, uint64_t* word, Range* range) const;

  const Context context_;
  const uint32_t lane_number_;
  Lane& lane_;
  uint64_t tail_ = 0;      // published
  uint64_t next_ = 0;      // positions that were given, or skipped
  uint64_t free_end_ = 0;  // those from next_ to here are free (L6)
  uint64_t placed_ = 0;    // messages between tail_ and next_
};

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_SENDER_H_

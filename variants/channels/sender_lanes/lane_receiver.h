// All lanes, as one receiver takes from them (L2-L5, L8, L9 in layout.h).
//
// PROGRESS: lock-free. A failed CAS means that another receiver's succeeded; nothing waits.
#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_RECEIVER_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_RECEIVER_H_

#include <cstdint>
#include <vector>

#include "variants/channels/sender_lanes/context.h"
#include "variants/channels/sender_lanes/hold.h"

namespace kill9::sender_lanes {

enum class TakeResult : uint8_t { kTaken, kNone, kClosed, kDamaged };

class LaneReceiver {
 public:
  explicit LaneReceiver(const Context& context);

  // Takes what came back, the oldest of a lane first, one message; or else a range of at most
  // `most` messages of the next lane, in turn, that has some. It is named in `name`, a word of the
  // own ledger that is 0; where nothing was taken, `name` is 0 again. kNone, kClosed: at one moment
  // of the call no lane had a message.
  TakeResult Take(SharedWord& name, uint64_t most, Held* held);
  // False: the word says that it is not this participant's, which only damage explains.
  bool Acknowledge(const Held& held);
  bool GiveBack(const Held& held);
  // Whether something has come back that this participant has not looked for.
  bool HasReturns() const {
    // Acquire: pairs with the release of CountReturn.
    return context_.header().returns.load(std::memory_order_acquire) != seen_;
  }

 private:
  // What this one knows of a lane.
  struct View {
    uint64_t head = 0;  // a position at which a range begins, or the head
    uint64_t tail = 0;  // as it was seen last
    uint64_t hint = 0;  // the head's hint, at least
    uint64_t seen = 0;  // returns that have been looked for
    uint64_t next = 0;  // the granule behind the last message that was taken at the head
  };
  enum class Attempt : uint8_t { kTaken, kNothing, kBeaten, kDamaged };

  [[gnu::always_inline]] bool FindHead(uint32_t lane, uint64_t* word, Attempt* attempt);
  Attempt TryLane(uint32_t lane, SharedWord& name, uint64_t most, Held* held);
  void FetchAhead(const View& view, uint64_t slot) const;
  uint32_t CountFresh(uint32_t lane, uint64_t most);
  TakeResult TakeReturned(SharedWord& name, Held* held);
  bool FindOldestReturned(Held* oldest, uint64_t* word);
  bool IsReturned(uint64_t slot, uint64_t* word, uint64_t* position) const;
  // Inline: a Range is read as a whole just after it was written in parts.
  [[gnu::always_inline]] bool Claim(SharedWord& name, uint64_t word, const Range& taken,
                                    Held* held);
  bool AreTailsAsSeen(uint32_t lanes) const;

  const Context context_;
  std::vector<View> views_;
  uint32_t next_lane_ = 0;
  uint64_t seen_ = 0;  // returns that have been looked for (L5)
  bool has_closed_lanes_ = false;
};

// Closes the lanes one by one; idempotent.
void CloseAllLanes(const Context& context);

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_LANE_RECEIVER_H_

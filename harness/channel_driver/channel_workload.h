// What the members of a channel do in torture: how often they send and receive, and what.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_WORKLOAD_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_WORKLOAD_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/base/random.h"

namespace kill9 {

enum class MessageSizes : uint8_t {
  kUniform,
  kSpread,  // half of them of the smaller ones: each power of two is about as likely as the next
  kEdges,   // about the powers of two, and a few of them: where designs go other ways
};

struct ChannelWorkload {
  std::string_view name;
  // In thousandths of the steps; the rest receives.
  uint16_t sends = 480;
  uint16_t rests = 5;
  // A message is at least as long as its name (harness/store_driver/value.h).
  uint32_t smallest_bytes = 8;
  uint32_t largest_bytes = 160;
  MessageSizes sizes = MessageSizes::kSpread;
  uint32_t most_held = 4;    // messages of a participant, but for a batch
  uint32_t most_drafts = 2;  // 0: all is sent at once
  uint32_t most_batch = 4;   // messages of a batch
  // In thousandths of the sends; of the steps that receive, beside each other; and of what is given
  // up: what is returned.
  uint16_t batches = 200;
  uint16_t receives = 400;
  uint16_t drains = 150;
  uint16_t takes = 450;
  uint16_t returns = 150;
  // One message goes round: who has taken it sends the next, and all others wait for it, for ever.
  bool last_message = false;
  // There is room for one message at a time: who has it gives it up, and all others wait for it,
  // for ever.
  bool last_room = false;
  // All but one wait for a message or for room, without end; the last one gives it to them.
  bool all_wait = false;
  // In thousandths of the calls: those that wait for a while, if they must.
  uint16_t waits = 100;
  // Who sends or receives only, by turns of the processes' numbers: one to one, many to one and so
  // on. 0: everybody does both.
  uint8_t senders = 0;
  uint8_t receivers = 0;
  // Each asks, and waits for its answer for ever; who takes a request answers it.
  bool asks = false;
  // So many messages at most are sent in a row, and then all that are there received; 0: as
  // `sends` says.
  uint32_t burst = 0;
  // As `sends`, in every second channel of a run that closes them; 0: the same.
  uint16_t sends_in_every_second = 0;

  bool MaySend(uint32_t process) const {
    return senders == 0 || process % (uint32_t{senders} + receivers) < senders;
  }
  bool MayReceive(uint32_t process) const { return senders == 0 || !MaySend(process); }
  uint16_t SendsIn(uint64_t channel) const {
    return channel % 2 == 1 && sends_in_every_second != 0 ? sends_in_every_second : sends;
  }
  uint32_t NextSize(Random& random) const;
};

std::span<const ChannelWorkload> AllChannelWorkloads();
const ChannelWorkload* FindChannelWorkload(std::string_view name);  // null if there is none

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_WORKLOAD_H_

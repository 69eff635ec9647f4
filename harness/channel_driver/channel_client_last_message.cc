// The part of a channel's client for a channel in which one message goes round, or room for one,
// and all wait for it without a deadline: each send, each return, each draft that is dropped and
// each death must wake somebody, for nobody else comes who would.
#include "harness/channel_driver/channel_client.h"

namespace kill9 {

// The next message is sent before the last one is acknowledged, so a death leaves one, or two. Who
// sees more than one acknowledges only. If two do so at a time none is left: they see that next.
void ChannelClient::PassOn(Random& random) {
  // Others may be in the way of the room: then all would wait, and there is none.
  if (CountAll() == 0 && !Send(workload_.NextSize(random), Deadline::None())) return;
  Take(Deadline::Never());
  if (held_.empty()) return;
  const bool acknowledge = !random.Chance(workload_.returns);
  if (acknowledge && CountAll() == 1) Send(workload_.NextSize(random), Deadline::None());
  GiveUp(held_.size() - 1, acknowledge);
}

// As large as a message can be: there is room for one, or two. None is sent, for its sender might
// die, and nobody would receive it.
void ChannelClient::PassRoomOn() {
  Reserve(static_cast<uint32_t>(channel().max_message_bytes()), Deadline::Never());
  if (!drafts_.empty()) CommitOrDrop(drafts_.size() - 1, /*commit=*/false);
  // Of drafts that are dropped the history knows nothing.
  if (Receive(Deadline::None())) {
    Fail(Verdict::kViolation, "a message is there, and nobody has sent one");
  }
}

uint64_t ChannelClient::CountAll() {
  const absl::StatusOr<Occupancy> occupancy = channel().Look();
  if (!occupancy.ok()) FailStatus("Look", occupancy.status());
  return occupancy->waiting + occupancy->taken;
}

}  // namespace kill9

// The part of a channel's client for a channel in which one message goes round, or room for one,
// and all wait for it without a deadline: each send, each return, each draft that is dropped and
// each death must wake somebody, for nobody else comes who would.
#include "harness/channel_driver/channel_client.h"

namespace kill9 {

// The next message is sent before the last one is acknowledged: a death leaves one, or two. Which
// is the last one the board says, from before it is sent until the next one is. Whatever else is
// there is only acknowledged, and the last one never without another: so there is always one,
// however long anybody is stopped. (How many there are tells less: they may be of two moments.
// Where two deaths within a moment leave a board that knows of none of those that are there, who
// sees no other than its own sends one, too.)
void ChannelClient::PassOn(Random& random) {
  PassedOnBoard& board = *boards_.passed_on;
  if (CountAll() == 0) {
    // Others may be in the way of the room: then all would wait, and there is none.
    if (!SendTheNext(board.sent.load(std::memory_order_seq_cst), random)) return;
  }
  Take(Deadline::Never());
  if (held_.empty()) return;
  // Seq_cst, here and below: each is one word that all agree on.
  ValueId mine = held_.back().id;
  // Its sender may have died, or be stopped, right behind its Send.
  if (board.sending.load(std::memory_order_seq_cst) == mine) {
    board.sent.store(mine, std::memory_order_seq_cst);
  }
  const bool is_the_last = board.sent.load(std::memory_order_seq_cst) == mine || CountAll() <= 1;
  const bool acknowledge =
      !random.Chance(workload_.returns) && (!is_the_last || SendTheNext(mine, random));
  GiveUp(held_.size() - 1, acknowledge);
}

// After `last`.
bool ChannelClient::SendTheNext(ValueId last, Random& random) {
  const ValueId next = NextId();
  boards_.passed_on->sending.store(next, std::memory_order_seq_cst);
  if (!SendValue(next, kValueKey, workload_.NextSize(random), Deadline::None())) return false;
  // It fails if who took it was faster.
  boards_.passed_on->sent.compare_exchange_strong(last, next, std::memory_order_seq_cst);
  return true;
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

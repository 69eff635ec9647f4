// The part of a channel's client for a channel in which nobody dies, and all but one wait without
// end (harness/torture/worker/last_to_wait.h): for a message, for room, or for the end of a channel
// that is closed. Each way to send one, to give one back, or to give up room must wake somebody;
// the end must wake all.
#include "harness/channel_driver/channel_client.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {

// In every second run, if one can wait for room in it.
bool ChannelClient::AllWaitForRoom() const {
  return closing_ == nullptr && context().seed % 2 == 0 &&
         traits_.when_full == ChannelTraits::WhenFull::kWait && traits_.has_draft;
}

void ChannelClient::Gave(const LastToWait::Others& others, LastToWait::Woken woken) {
  if (!others.any) return;
  last_to_wait_.AwaitWoken(others, woken);
  Count(*boards_.woken);
}

void ChannelClient::WaitOrGive(Random& random) {
  switch (last_to_wait_.Begin()) {
    case LastToWait::Begun::kStops:
      return;
    case LastToWait::Begun::kWaits:
      return AllWaitForRoom() ? AwaitRoom(random) : AwaitMessage(random);
    case LastToWait::Begun::kLast:
      break;
  }
  if (closing_ != nullptr) return CloseWithTheLast(random);
  // Of room all is there by now: they are on the way to it.
  const LastToWait::Others others = last_to_wait_.AwaitAllOthers(random);
  if (!AllWaitForRoom() && others.any && GiveMessage(random)) Gave(others, WhoIsWoken());
}

// The others wait for a message. This one has the only one, so that they wait for the end from the
// Close on, and are told of it by nothing but what becomes of that message.
void ChannelClient::CloseWithTheLast(Random& random) {
  if (!Send(workload_.smallest_bytes, Deadline::None()) || !Take(Deadline::None())) return;
  Close();
  const LastToWait::Others others = last_to_wait_.AwaitAllOthers(random);
  GiveUp(held_.size() - 1, /*acknowledge=*/random.Chance(700));
  Gave(others, LastToWait::Woken::kAll);
}

bool ChannelClient::GiveMessage(Random& random) {
  const uint64_t way = random.Below(3);
  if (way == 0 && traits_.has_draft) {
    if (!Reserve(workload_.NextSize(random), Deadline::None())) return false;
    CommitOrDrop(drafts_.size() - 1, /*commit=*/true);
    return true;
  }
  if (way == 1) return SendBatch(random, Deadline::None());
  return Send(workload_.NextSize(random), Deadline::None());
}

void ChannelClient::AwaitMessage(Random& random) {
  const Deadline far = LastToWait::Far(random);
  const uint64_t way = traits_.has_take ? random.Below(3) : 0;
  if (way == 0) {
    Receive(far);
    return last_to_wait_.End();
  }
  // What comes back in a broadcast is its own subscriber's.
  LastToWait::Others others;
  const bool gives_back = broadcast_ == nullptr && random.Chance(600);
  if (way == 1) {
    const bool got = Take(far);
    last_to_wait_.End();
    if (!got) return;
    if (gives_back) others = last_to_wait_.AwaitAllOthers(random);
    GiveUp(held_.size() - 1, /*acknowledge=*/!others.any);
    return Gave(others, WhoIsWoken());
  }
  bool ended = false;
  const uint64_t most = broadcast_ == nullptr ? workload_.most_batch : 1;
  TakeBatch(1 + random.Below(most), far, [&] {
    last_to_wait_.End();
    ended = true;
    if (gives_back) others = last_to_wait_.AwaitAllOthers(random);
    return !others.any;
  });
  if (!ended) last_to_wait_.End();
  Gave(others, WhoIsWoken());
}

// The one who has room gives up all of it, so there is enough for each of the others.
void ChannelClient::AwaitRoom(Random& random) {
  const uint64_t most = channel().max_message_bytes();
  const uint64_t size = random.Chance(500) ? most : 8 + random.Below(most - 7);
  const bool got = Reserve(static_cast<uint32_t>(size), LastToWait::Far(random));
  last_to_wait_.End();
  if (!got) return;
  const LastToWait::Others others = last_to_wait_.AwaitAllOthers(random);
  const bool commit = random.Chance(400);
  CommitOrDrop(drafts_.size() - 1, commit);
  if (commit) {
    if (traits_.has_take && random.Chance(500)) {
      if (Take(Deadline::None())) GiveUp(held_.size() - 1, /*acknowledge=*/true);
    } else {
      Receive(Deadline::None());
    }
  }
  Gave(others, WhoIsWoken());
}

}  // namespace kill9

// The part of a pool's client for a pool in which nobody dies, and all but one wait for room
// without end (harness/torture/worker/last_to_wait.h). Each way to give room up must wake one.
#include "harness/pool_driver/pool_client.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {

// As HeapClient::AwaitRoom. It goes as it was, or by way of another hold, or of a message.
void PoolClient::AwaitRoom(Random& random) {
  if (!last_to_wait_.BeginForRoom(random)) return;
  const uint64_t bytes = LastToWait::RoomToWaitFor(pool().max_buffer_bytes(), random);
  const bool got = Allocate(bytes, LastToWait::Far(random), {}, &views_);
  last_to_wait_.End();
  if (!got) return;
  if (random.Chance(300)) Share(random);
  if (random.Chance(300)) Send(random);
  const LastToWait::Others others = last_to_wait_.AwaitAllOthers(random);
  while (Receive(Deadline::None())) {
  }
  if (others.any && random.Chance(300)) {
    while (!views_.empty() && SendAndDrop()) {
    }
  }
  while (!views_.empty()) Release(views_.size() - 1);
  if (!others.any) return;
  last_to_wait_.AwaitWoken(others, LastToWait::Woken::kOne);
  Count(boards_.served_after_waiting);
}

// Sends a buffer to a box, and drops what is there. REQUIRES: all others wait for room, so that
// nothing older is on its way: for the history this one has received it. False: it was not sent.
bool PoolClient::SendAndDrop() {
  constexpr uint32_t kBoxOfNobody = kBoxes;
  Header header{.message = NextId(), .value = views_.back().value};
  const std::string_view text{reinterpret_cast<const char*>(&header), sizeof header};
  Verify("a buffer about to be sent", views_.back());
  Begin(Function::kSend, kTheMessages, header.message);
  const absl::StatusOr<Sequence> sent =
      pool().Send(channel(), views_.back().buffer, text, Deadline::None(), kBoxOfNobody);
  End(sent.ok() ? Outcome::kOk : Outcome::kRefused, kNothing, sent.ok() ? *sent * 2 : 0);
  if (!sent.ok()) return false;
  views_.pop_back();
  NoteHolds();
  Begin(Function::kReceive, kTheMessages);
  const absl::StatusOr<uint64_t> freed = pool().DropSent(kBoxOfNobody);
  End(Outcome::kOk, header.message, *sent * 2);
  if (!freed.ok()) FailStatus("DropSent", freed.status());
  return true;
}

}  // namespace kill9

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

// Sends a buffer to a box, and drops what is there. The history has nothing of it: a message that
// is dropped leaves the queue out of its turn, and whether it was is not told (one who waited for
// little may have had that at once, and the message by now). False: it was not sent.
bool PoolClient::SendAndDrop() {
  constexpr uint32_t kBoxOfNobody = kBoxes;
  const View& view = views_.back();
  const Header header{.message = kNothing,
                      .value = view.value,
                      .value_bytes = view.value_bytes,
                      .offset = view.offset};
  const std::string_view text{reinterpret_cast<const char*>(&header), sizeof header};
  Verify("a buffer about to be sent", view);
  BeginUnrecorded(Function::kSend, kTheMessages);
  const bool sent =
      pool().Send(channel(), views_.back().buffer, text, Deadline::None(), kBoxOfNobody).ok();
  EndUnrecorded();
  if (!sent) return false;
  views_.pop_back();
  NoteHolds();
  BeginUnrecorded(Function::kReceive, kTheMessages);
  const absl::StatusOr<uint64_t> freed = pool().DropSent(kBoxOfNobody);
  EndUnrecorded();
  if (!freed.ok()) FailStatus("DropSent", freed.status());
  return true;
}

}  // namespace kill9

// The part of a channel's client that is about broadcasts: where a subscriber begins, what it
// missed, and that a sender is never without room for long.
#include "harness/channel_driver/channel_client.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {
void ChannelClient::Attached() {
  // Release: pairs with IsAwaited. What answers the last one in the slot is nobody's from now on.
  if (boards_.requests != nullptr) {
    boards_.requests->asked[slot_].store(RequestBoard::kNone, std::memory_order_release);
  }
  if (broadcast_ == nullptr || !Receives(Role())) return;
  Begin(Function::kSubscribe, kTheChannel);
  End(Outcome::kOk, InTheRun(channel().began_after()));
  Count(broadcast_->subscribed);
}

void ChannelClient::NoteGap(const MessageInfo& info) {
  if (broadcast_ == nullptr) return;
  TellMissed(info.missed);
  if (info.missed != 0) {
    Count(broadcast_->missed, info.missed);
    Count(broadcast_->lapped);
  }
  if (info.redelivered) Count(broadcast_->came_again);
}

bool ChannelClient::IsHoldRefused(const absl::Status& status) {
  if (broadcast_ == nullptr || !absl::IsResourceExhausted(status)) return false;
  if (held_.empty()) FailStatus("a Take of who holds nothing", status);
  Count(broadcast_->pins_refused);
  return true;
}

void ChannelClient::NoteNoRoom(const absl::Status& status) {
  NoteRefused();
  if (broadcast_ == nullptr) return;
  // It waits for nobody, and so not for a deadline either.
  if (!absl::IsResourceExhausted(status)) FailStatus("Send or Reserve", status);
  Count(broadcast_->sends_refused);
}

// That something was received can always be a lie of a design that loses: but what was just sent,
// while nobody else sends, is there.
void ChannelClient::SendAndReceiveOne() {
  if (!Send(workload_.smallest_bytes, Deadline::None())) return;
  const ValueId sent = MakeValueId(process(), sequence_);
  if (!Receive(Deadline::None())) {
    Fail(Verdict::kViolation, "what was sent to a quiet channel is not received");
  }
  if (PeekId(buffer_) != sent) {
    Fail(Verdict::kViolation, "another message is received than was sent to a quiet channel");
  }
}

// Once round: all that was there is overwritten, so that the audit finds what keeps its room.
void ChannelClient::OverwriteAll() {
  const uint64_t rounds = 2 * context().segment_options.size_bytes / kFillBytes + 1;
  for (uint64_t sent = 0; sent < rounds; ++sent) {
    if (!Send(kFillBytes, Deadline::None())) return;
  }
}

}  // namespace kill9

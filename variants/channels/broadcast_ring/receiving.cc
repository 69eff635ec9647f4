// broadcast_ring: receiving. Where a message becomes this subscriber's is in Reader::PinAt.
#include <bit>

#include "absl/strings/str_cat.h"
#include "variants/channels/broadcast_ring/member.h"

namespace kill9::broadcast_ring {

absl::Status BroadcastMember::Await(Deadline deadline, absl::FunctionRef<TakeResult()> take) {
  const auto attempt = [&take](bool) -> std::optional<absl::Status> {
    switch (take()) {
      case TakeResult::kTaken:
        return absl::OkStatus();
      case TakeResult::kEnd:
        return absl::OutOfRangeError("the channel is closed, and this subscriber has read it all");
      case TakeResult::kNoHold:
        return absl::ResourceExhaustedError("this member holds all the messages that it may hold");
      case TakeResult::kDamaged:
        return absl::DataLossError("the segment is damaged: a slot's word says what cannot be");
      case TakeResult::kNone:
        break;
    }
    return std::nullopt;
  };
  std::optional<absl::Status> done = attempt(/*glance=*/false);
  return done.has_value() ? *std::move(done) : WaitForMessage(deadline, attempt);
}

absl::StatusOr<MessageInfo> BroadcastMember::DoReceive(std::string* message, Deadline deadline) {
  Held held;
  absl::Status status = Await(deadline, [&] { return reader_.TakeBriefly(&held); });
  if (!status.ok()) return status;
  message->assign(context_.bytes(held.ref), held.size);
  reader_.DropBrief();
  return InfoOf(held);
}

absl::StatusOr<TakenMessage> BroadcastMember::DoTake(Deadline deadline) {
  const uint32_t number = static_cast<uint32_t>(std::countr_one(used_taken_));
  if (number == kTakenHolds) {
    return absl::ResourceExhaustedError("this member holds all the messages that it may hold");
  }
  Held& held = taken_[number];
  absl::Status status = Await(deadline, [&] { return reader_.Take(&held); });
  if (!status.ok()) return status;
  used_taken_ |= uint64_t{1} << number;
  return TakenMessage(this, number, {BytesOf(held), InfoOf(held)});
}

absl::Status BroadcastMember::DoAcknowledge(uint64_t hold) {
  used_taken_ &= ~(uint64_t{1} << hold);
  reader_.Drop(taken_[hold]);
  return absl::OkStatus();
}

absl::Status BroadcastMember::DoReturn(uint64_t hold) {
  used_taken_ &= ~(uint64_t{1} << hold);
  reader_.Return(taken_[hold]);
  return absl::OkStatus();
}

absl::StatusOr<MessageBatch> BroadcastMember::DoDrain(size_t most, Deadline deadline) {
  if (has_batch_) return absl::ResourceExhaustedError("this member has a batch already");
  batch_.clear();
  batch_messages_.clear();
  const auto take_one = [this] {
    Held held;
    const TakeResult result = reader_.Take(&held);
    if (result == TakeResult::kTaken) batch_.push_back(held);
    return result;
  };
  absl::Status status = Await(deadline, take_one);
  if (!status.ok()) return status;
  while (batch_.size() < most && take_one() == TakeResult::kTaken) {
  }
  has_batch_ = true;
  for (const Held& held : batch_) batch_messages_.push_back({BytesOf(held), InfoOf(held)});
  return MessageBatch(this, 0, batch_messages_);
}

void BroadcastMember::DropBatch(void (Reader::*drop)(const Held&)) {
  for (const Held& held : batch_) (reader_.*drop)(held);
  has_batch_ = false;
}

absl::Status BroadcastMember::DoAcknowledgeBatch(uint64_t) {
  DropBatch(&Reader::Drop);
  return absl::OkStatus();
}

absl::Status BroadcastMember::DoReturnBatch(uint64_t) {
  DropBatch(&Reader::Return);
  return absl::OkStatus();
}

absl::StatusOr<Occupancy> BroadcastMember::DoLook() {
  Occupancy occupancy;
  uint64_t position = 0, word = 0, there = 0;
  // At most one lap: others may send as fast as this one counts.
  while (there < context_.slot_count() &&
         ring_.FindOldest(position, &position, &word) == Found::kThere) {
    ++there;
    // Relaxed: it may be of the next message already; each field is of a moment of its own.
    occupancy.bytes +=
        context_.record(context_.codec().Unpack(word).ref).size.load(std::memory_order_relaxed);
    ++position;
  }
  occupancy.waiting = Receives(role()) ? reader_.CountWaiting() : there;
  occupancy.taken =
      static_cast<uint64_t>(std::popcount(used_taken_)) + (has_batch_ ? batch_.size() : 0);
  occupancy.capacity_bytes = context_.granule_count() * kGranuleBytes;
  occupancy.senders = Count(MemberRole::kSender);
  occupancy.receivers = Count(MemberRole::kReceiver);
  occupancy.closed = IsClosed();
  return occupancy;
}

absl::StatusOr<AuditReport> BroadcastMember::DoAudit() { return AuditSegment(context_); }
RecoveryReport BroadcastMember::RecoverDeadOf(chunks::WhichSlots which) {
  return RecoverDead(context_, which);
}

}  // namespace kill9::broadcast_ring

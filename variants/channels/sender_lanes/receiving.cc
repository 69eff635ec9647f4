// sender_lanes: receiving. The commit points are Claim and Acknowledge of LaneReceiver.
#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "variants/channels/sender_lanes/sender_lanes.h"

namespace kill9::sender_lanes {
namespace {

absl::Status Damaged() {
  return absl::DataLossError("the segment is damaged: a slot of a lane says what cannot be");
}
absl::Status NoHoldLeft() {
  return absl::ResourceExhaustedError(
      "this member holds all the messages that its ledger has room for");
}

}  // namespace

std::optional<absl::Status> SenderLanes::TryToTake(SharedWord& name, Held* held) {
  switch (receiver_.Take(name, 1, held)) {
    case TakeResult::kTaken:
      return absl::OkStatus();
    case TakeResult::kDamaged:
      return Damaged();
    case TakeResult::kClosed:
      return AtTheEnd();
    case TakeResult::kNone:
      break;
  }
  return std::nullopt;
}

absl::Status SenderLanes::TakeOne(SharedWord& name, Deadline deadline, Held* held) {
  if (receiver_.Take(name, 1, held) == TakeResult::kTaken) [[likely]]
    return absl::OkStatus();
  return WaitForMessage(deadline, [&](bool) { return TryToTake(name, held); });
}

absl::StatusOr<MessageInfo> SenderLanes::DoReceive(std::string* message, Deadline deadline) {
  Held held;
  if (absl::Status status = TakeOne(ledger_.receiving, deadline, &held); !status.ok())
      [[unlikely]] {
    return status;
  }
  Message shown;
  const bool sound = Show(held, 0, &shown);
  if (sound) message->assign(shown.bytes);
  const bool acknowledged = receiver_.Acknowledge(held);
  chunks::Clear(ledger_.receiving);
  if (!sound || !acknowledged) return Damaged();
  WakeAfterEnd();
  return shown.info;
}

absl::StatusOr<TakenMessage> SenderLanes::DoTake(Deadline deadline) {
  if (~used_taken_ == 0) return NoHoldLeft();
  const uint32_t number = static_cast<uint32_t>(std::countr_one(used_taken_));
  Held& held = taken_[number];
  absl::Status status = TakeOne(ledger_.taken[number], deadline, &held);
  if (!status.ok()) return status;
  Message shown;
  if (!Show(held, 0, &shown)) return Damaged();
  used_taken_ |= uint64_t{1} << number;
  return TakenMessage(this, number, shown);
}

absl::Status SenderLanes::DoAcknowledge(uint64_t hold) {
  const bool acknowledged = receiver_.Acknowledge(taken_[hold]);
  chunks::Clear(ledger_.taken[hold]);
  used_taken_ &= ~(uint64_t{1} << hold);
  if (!acknowledged) return Damaged();
  WakeAfterEnd();
  return absl::OkStatus();
}

absl::Status SenderLanes::DoReturn(uint64_t hold) {
  const bool returned = receiver_.GiveBack(taken_[hold]);
  chunks::Clear(ledger_.taken[hold]);
  used_taken_ &= ~(uint64_t{1} << hold);
  if (!returned) return Damaged();
  WakeReceivers();
  return absl::OkStatus();
}

// ---- Batches.

TakeResult SenderLanes::FillBatch(size_t most) {
  TakeResult result = TakeResult::kNone;
  for (size_t count = 0; count < most && batch_.size() < kBatchRanges;) {
    Held held;
    result = receiver_.Take(ledger_.batch[batch_.size()], most - count, &held);
    if (result != TakeResult::kTaken) break;
    batch_.push_back(held);
    count += held.range.extent;
  }
  return result;
}

void SenderLanes::OrderBatch() {
  batch_order_.resize(batch_.size());
  std::iota(batch_order_.begin(), batch_order_.end(), 0u);
  const auto place = [this](uint32_t i) {
    return std::pair(context_.LaneOf(batch_[i].slot), batch_[i].position);
  };
  std::sort(batch_order_.begin(), batch_order_.end(),
            [&place](uint32_t a, uint32_t b) { return place(a) < place(b); });
}

absl::Status SenderLanes::ShowBatch() {
  for (const uint32_t number : batch_order_) {
    const Held& held = batch_[number];
    for (uint32_t i = 0; i < held.range.extent; ++i) {
      if (!Show(held, i, &batch_messages_.emplace_back())) return Damaged();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<MessageBatch> SenderLanes::DoDrain(size_t most, Deadline deadline) {
  if (has_batch_) return absl::ResourceExhaustedError("this member has a batch already");
  batch_.clear();
  batch_messages_.clear();
  const auto attempt = [&](bool) -> std::optional<absl::Status> {
    const TakeResult result = FillBatch(most);
    if (result == TakeResult::kDamaged) return Damaged();
    if (!batch_.empty()) return absl::OkStatus();
    if (result == TakeResult::kClosed) return AtTheEnd();
    return std::nullopt;
  };
  FillBatch(most);
  absl::Status status = batch_.empty() ? WaitForMessage(deadline, attempt) : absl::OkStatus();
  OrderBatch();
  if (status.ok()) status = ShowBatch();
  if (!status.ok()) {
    if (!batch_.empty()) GiveUpBatch(&LaneReceiver::GiveBack).IgnoreError();
    return status;
  }
  has_batch_ = true;
  return MessageBatch(this, 0, batch_messages_);
}

absl::Status SenderLanes::GiveUpBatch(bool (LaneReceiver::*give_up)(const Held&)) {
  bool sound = true;
  for (const uint32_t i : batch_order_) {
    sound &= (receiver_.*give_up)(batch_[i]);
    chunks::Clear(ledger_.batch[i]);
  }
  has_batch_ = false;
  WakeAfterEnd();
  WakeReceivers();
  return sound ? absl::OkStatus() : Damaged();
}

absl::Status SenderLanes::DoAcknowledgeBatch(uint64_t) {
  return GiveUpBatch(&LaneReceiver::Acknowledge);
}
absl::Status SenderLanes::DoReturnBatch(uint64_t) { return GiveUpBatch(&LaneReceiver::GiveBack); }

// ---- The end of the stream.

absl::Status SenderLanes::DoClose() {
  // dies before -> open;  dies after -> closed;  a successor sees -> the end, and marks the lanes
  // Seq_cst: with the look for sleepers (sleepers.h).
  context_.header().closed.store(1, std::memory_order_seq_cst);
  CloseAllLanes(context_);
  WakeReceivers();
  WakeSenders();
  return absl::OkStatus();
}

// Nothing waits, and nothing will be sent. What is taken at this moment is named in a ledger; if
// nothing has come back during the look, then all that the look does not find has been
// acknowledged. What this member itself has taken does not count: it knows of it, and would wait
// for itself.
std::optional<absl::Status> SenderLanes::AtTheEnd() {
  waits_for_end_ = true;
  if (IsAnythingTaken() || receiver_.HasReturns()) return std::nullopt;
  return absl::OutOfRangeError("the channel is closed, and empty");
}

bool SenderLanes::IsAnythingTaken() const {
  for (uint32_t i = 0; i < context_.participants().size(); ++i) {
    if (i == context_.index()) continue;
    if (context_.participants().state(i) == ParticipantState::kFree) continue;
    const Ledger& ledger = context_.ledger_of(i);
    if (HasTaken(i, ledger.receiving)) return true;
    for (const SharedWord& name : ledger.taken) {
      if (HasTaken(i, name)) return true;
    }
    for (const SharedWord& name : ledger.batch) {
      if (HasTaken(i, name)) return true;
    }
  }
  return false;
}

bool SenderLanes::HasTaken(uint32_t participant, const SharedWord& name) const {
  // Acquire: pairs with Note.
  const uint32_t named = chunks::Named(name.load(std::memory_order_acquire));
  if (named == 0) return false;
  const RangeName range = RangeName::Unpack(named);
  for (uint64_t i = 0; i < range.extent && range.slot + i < context_.slot_count(); ++i) {
    // Acquire: pairs with the acknowledgement, or the return. That is counted after it, and named
    // until then: what is named and has come back is there, whether it is counted or not.
    const Range now = context_.Load(range.slot + i, std::memory_order_acquire);
    if (now.TakenBy(participant) || now.kind == RangeKind::kReturned) return true;
  }
  return false;
}

}  // namespace kill9::sender_lanes

// slot_ring: the operations. The commit points are in ring.h.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "variants/channels/slot_ring/recovery.h"
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9::slot_ring {
namespace {

constexpr uint64_t kBatchCoversAhead = 64;  // slots
constexpr const char* kClosed = "the channel is closed";

absl::Status Damaged() {
  return absl::DataLossError("the segment is damaged: a slot's word says what cannot be");
}
absl::Status NoHoldLeft(std::string_view what) {
  return absl::ResourceExhaustedError(absl::StrCat("this member holds all the ", std::string(what),
                                                   " that its ledger has room for"));
}

}  // namespace

// ---- Sending.

absl::StatusOr<Ref> SlotRing::Allocate(size_t size, Deadline deadline) {
  if (std::optional<Ref> ref = space_.Allocate(size, /*thoroughly=*/false)) [[likely]]
    return *ref;
  return AllocateSlowly(size, deadline);
}

absl::StatusOr<Ref> SlotRing::AllocateSlowly(size_t size, Deadline deadline) {
  std::optional<Ref> ref;
  absl::Status status = WaitForRoom(deadline, [&](bool glance) -> std::optional<absl::Status> {
    if (ring_.IsClosed()) return absl::OutOfRangeError(kClosed);
    ref = space_.Allocate(size, /*thoroughly=*/!glance);
    if (space_.GaveUpRoom()) WakeSenders();
    if (!ref.has_value()) return std::nullopt;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return *ref;
}

absl::StatusOr<Sequence> SlotRing::SendAllocated(Ref ref) {
  uint64_t position = 0;
  const SendResult result = ring_.Send(ref, &position);
  if (result == SendResult::kSent) [[likely]] {
    space_.Release(ref);
    space_.FetchNext();
    WakeReceivers();
    if (space_.GaveUpRoom()) [[unlikely]]
      WakeSenders();
    return position + 1;
  }
  space_.Drop(ref);
  return result == SendResult::kClosed ? absl::OutOfRangeError(kClosed) : Damaged();
}

absl::StatusOr<Sequence> SlotRing::DoSend(std::string_view message, Deadline deadline) {
  absl::StatusOr<Ref> ref = Allocate(message.size(), deadline);
  if (!ref.ok()) [[unlikely]]
    return ref.status();
  if (!message.empty()) std::memcpy(context_.bytes(*ref), message.data(), message.size());
  return SendAllocated(*ref);
}

absl::StatusOr<size_t> SlotRing::DoSendMany(std::span<const std::string_view> messages,
                                            Deadline deadline) {
  for (size_t sent = 0; sent < messages.size(); ++sent) {
    absl::StatusOr<Sequence> sequence = DoSend(messages[sent], deadline);
    if (sequence.ok()) continue;
    if (sent > 0) return sent;
    return sequence.status();
  }
  return messages.size();
}

absl::StatusOr<MessageDraft> SlotRing::DoReserve(size_t size, Deadline deadline) {
  if (~used_drafts_ == 0) return NoHoldLeft("drafts");
  if (ring_.IsClosed()) return absl::OutOfRangeError(kClosed);
  absl::StatusOr<Ref> ref = Allocate(size, deadline);
  if (!ref.ok()) return ref.status();
  if (space_.GaveUpRoom()) WakeSenders();
  const uint32_t number = static_cast<uint32_t>(std::countr_one(used_drafts_));
  used_drafts_ |= uint64_t{1} << number;
  drafts_[number] = {*ref, size};
  return MessageDraft(this, number, {context_.bytes(*ref), size});
}

absl::StatusOr<Sequence> SlotRing::DoCommit(uint64_t hold) {
  used_drafts_ &= ~(uint64_t{1} << hold);
  return SendAllocated(drafts_[hold].ref);
}

void SlotRing::DoDropDraft(uint64_t hold) {
  used_drafts_ &= ~(uint64_t{1} << hold);
  space_.Drop(drafts_[hold].ref);
  WakeSenders();
}

// ---- Receiving.

absl::Status SlotRing::TakeOne(SharedWord& name, Deadline deadline, Held* held) {
  switch (ring_.Take(name, held)) {
    case TakeResult::kTaken:
      return absl::OkStatus();
    case TakeResult::kDamaged:
      return Damaged();
    case TakeResult::kNone:
    case TakeResult::kClosed:
      break;
  }
  return TakeSlowly(name, deadline, held);
}

absl::Status SlotRing::TakeSlowly(SharedWord& name, Deadline deadline, Held* held) {
  const auto attempt = [&](bool) -> std::optional<absl::Status> {
    switch (ring_.Take(name, held)) {
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
  };
  return WaitForMessage(deadline, attempt);
}

absl::StatusOr<MessageInfo> SlotRing::DoReceive(std::string* message, Deadline deadline) {
  Held held;
  if (absl::Status status = TakeOne(ledger_.receiving, deadline, &held); !status.ok())
      [[unlikely]] {
    return status;
  }
  message->assign(context_.bytes(held.slot.ref), held.size);
  const bool acknowledged = ring_.Acknowledge(held);
  chunks::Clear(ledger_.receiving);
  if (!acknowledged) return Damaged();
  WakeAfterEnd();
  return InfoOf(held);
}

absl::StatusOr<TakenMessage> SlotRing::DoTake(Deadline deadline) {
  if (~used_taken_ == 0) return NoHoldLeft("messages");
  const uint32_t number = static_cast<uint32_t>(std::countr_one(used_taken_));
  Held& held = taken_[number];
  absl::Status status = TakeOne(ledger_.taken[number], deadline, &held);
  if (!status.ok()) return status;
  used_taken_ |= uint64_t{1} << number;
  return TakenMessage(this, number, {BytesOf(held), InfoOf(held)});
}

absl::Status SlotRing::DoAcknowledge(uint64_t hold) {
  const bool acknowledged = ring_.Acknowledge(taken_[hold]);
  chunks::Clear(ledger_.taken[hold]);
  used_taken_ &= ~(uint64_t{1} << hold);
  if (!acknowledged) return Damaged();
  WakeAfterEnd();
  return absl::OkStatus();
}

absl::Status SlotRing::DoReturn(uint64_t hold) {
  const bool returned = ring_.GiveBack(taken_[hold]);
  chunks::Clear(ledger_.taken[hold]);
  used_taken_ &= ~(uint64_t{1} << hold);
  if (!returned) return Damaged();
  WakeReceivers();
  return absl::OkStatus();
}

// ---- Batches.

// Before a slot of the row is taken the ledger names it. What it names beyond is harmless: recovery
// gives back only what is this participant's.
void SlotRing::NameInBatch(uint64_t number) {
  const uint64_t slots = context_.slot_count();
  if (batch_covered_ == 0) {
    batch_first_ = number;
    context_.Note(ledger_.batch_first, number + 1);
  }
  const uint64_t distance =
      number >= batch_first_ ? number - batch_first_ : number + slots - batch_first_;
  if (distance < batch_covered_) return;
  batch_covered_ = std::min(distance + kBatchCoversAhead, slots);
  context_.Note(ledger_.batch_count, batch_covered_);
}

TakeResult SlotRing::FillBatch(size_t most) {
  TakeResult result = TakeResult::kNone;
  // What has come back is in no row.
  while (batch_.size() < most && ~used_taken_ != 0 && ring_.HasReturns()) {
    const uint32_t number = static_cast<uint32_t>(std::countr_one(used_taken_));
    Held held;
    result = ring_.Take(ledger_.taken[number], &held);
    if (result != TakeResult::kTaken) return result;
    used_taken_ |= uint64_t{1} << number;
    batch_taken_ |= uint64_t{1} << number;
    taken_[number] = held;
    batch_.push_back(held);
  }
  const auto covers = [this](uint64_t number) { NameInBatch(number); };
  while (batch_.size() < most) {
    Held held;
    result = ring_.TakeNext(covers, &held);
    if (result != TakeResult::kTaken) break;
    batch_.push_back(held);
  }
  return result;
}

absl::StatusOr<MessageBatch> SlotRing::DoDrain(size_t most, Deadline deadline) {
  if (has_batch_) return absl::ResourceExhaustedError("this member has a batch already");
  batch_.clear();
  batch_messages_.clear();
  has_batch_ = true;
  const auto attempt = [&](bool) -> std::optional<absl::Status> {
    const TakeResult result = FillBatch(most);
    if (result == TakeResult::kDamaged) return Damaged();
    if (!batch_.empty()) return absl::OkStatus();
    if (~used_taken_ == 0 && ring_.HasReturns()) return NoHoldLeft("messages");
    if (result == TakeResult::kClosed) return AtTheEnd();
    return std::nullopt;
  };
  std::optional<absl::Status> done = attempt(/*glance=*/false);
  const absl::Status status =
      done.has_value() ? *std::move(done) : WaitForMessage(deadline, attempt);
  if (!status.ok()) {
    GiveUpBatch(&Ring::GiveBack).IgnoreError();
    return status;
  }
  // The oldest first, also where an older one came back when others had been taken already.
  const auto is_older = [](const Held& a, const Held& b) { return a.position < b.position; };
  if (!std::is_sorted(batch_.begin(), batch_.end(), is_older)) {
    std::sort(batch_.begin(), batch_.end(), is_older);
  }
  for (const Held& held : batch_) batch_messages_.push_back({BytesOf(held), InfoOf(held)});
  return MessageBatch(this, 0, batch_messages_);
}

absl::Status SlotRing::GiveUpBatch(bool (Ring::*give_up)(const Held&)) {
  bool sound = true;
  for (const Held& held : batch_) sound &= (ring_.*give_up)(held);
  chunks::Clear(ledger_.batch_count);
  chunks::Clear(ledger_.batch_first);
  for (uint64_t left = batch_taken_; left != 0; left &= left - 1) {
    chunks::Clear(ledger_.taken[std::countr_zero(left)]);
  }
  used_taken_ &= ~batch_taken_;
  batch_taken_ = 0;
  batch_covered_ = 0;
  has_batch_ = false;
  WakeAfterEnd();
  WakeReceivers();
  return sound ? absl::OkStatus() : Damaged();
}

absl::Status SlotRing::DoAcknowledgeBatch(uint64_t) { return GiveUpBatch(&Ring::Acknowledge); }
absl::Status SlotRing::DoReturnBatch(uint64_t) { return GiveUpBatch(&Ring::GiveBack); }

// ---- The rest.

absl::Status SlotRing::DoClose() {
  if (ring_.Close() == SendResult::kDamaged) return Damaged();
  WakeReceivers();
  WakeSenders();
  return absl::OkStatus();
}

absl::StatusOr<Occupancy> SlotRing::DoLook() {
  Occupancy occupancy;
  for (uint64_t number = 0; number < context_.slot_count(); ++number) {
    // Acquire: pairs with the CAS of Send, for the record.
    const Slot slot =
        context_.codec().Unpack(context_.slot(number).load(std::memory_order_acquire));
    if (slot.kind == SlotKind::kEmpty || slot.ref >= context_.granule_count()) continue;
    ++(slot.kind == SlotKind::kFull ? occupancy.waiting : occupancy.taken);
    // Relaxed: it may be of the next message already; each field is of a moment of its own.
    occupancy.bytes += context_.record(slot.ref).size.load(std::memory_order_relaxed);
  }
  occupancy.capacity_bytes = context_.granule_count() * kGranuleBytes;
  occupancy.senders = Count(MemberRole::kSender);
  occupancy.receivers = Count(MemberRole::kReceiver);
  occupancy.closed = ring_.IsClosed();
  return occupancy;
}

absl::StatusOr<AuditReport> SlotRing::DoAudit() { return AuditSegment(context_); }

}  // namespace kill9::slot_ring

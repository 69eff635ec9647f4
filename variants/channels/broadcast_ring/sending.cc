// broadcast_ring: sending. The commit point is in Ring::Send.
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "variants/channels/broadcast_ring/member.h"

namespace kill9::broadcast_ring {
namespace {

absl::Status Closed() { return absl::OutOfRangeError("the channel is closed"); }
absl::Status Damaged() {
  return absl::DataLossError("the segment is damaged: a slot's word says what cannot be");
}

}  // namespace

bool BroadcastMember::IsClosed() {
  uint64_t position = 0;
  return ring_.FindTail(&position) == Found::kEnd;
}

// What the dead hold is room as well, once all that may be overwritten is.
absl::StatusOr<Ref> BroadcastMember::Allocate(size_t size) {
  Ref ref = 0;
  Found found = room_.Allocate(size, &ref);
  if (found == Found::kThere) [[likely]]
    return ref;
  if (found == Found::kDamaged) return Damaged();
  if (IsClosed()) return Closed();
  RecoverAndWake();
  found = room_.Allocate(size, &ref);
  if (found == Found::kDamaged) return Damaged();
  if (found == Found::kThere) return ref;
  if (const std::optional<Ref> got = room_.LookEverywhere(size)) return *got;
  return absl::ResourceExhaustedError(
      "nothing is left to overwrite: living members hold what is in the way");
}

absl::StatusOr<Sequence> BroadcastMember::SendAllocated(Ref ref) {
  uint64_t position = 0;
  const Found sent = ring_.Send(ref, &position);
  if (sent == Found::kThere) [[likely]] {
    room_.Release(ref);
    WakeReceivers();
    return position + 1;
  }
  room_.Drop(ref);
  return sent == Found::kEnd ? Closed() : Damaged();
}

absl::StatusOr<Sequence> BroadcastMember::DoSend(std::string_view message, Deadline) {
  const absl::StatusOr<Ref> ref = Allocate(message.size());
  if (!ref.ok()) [[unlikely]]
    return ref.status();
  if (!message.empty()) std::memcpy(context_.bytes(*ref), message.data(), message.size());
  return SendAllocated(*ref);
}

absl::StatusOr<size_t> BroadcastMember::DoSendMany(std::span<const std::string_view> messages,
                                                   Deadline deadline) {
  for (size_t sent = 0; sent < messages.size(); ++sent) {
    const absl::StatusOr<Sequence> sequence = DoSend(messages[sent], deadline);
    if (sequence.ok()) continue;
    if (sent > 0) return sent;
    return sequence.status();
  }
  return messages.size();
}

absl::StatusOr<MessageDraft> BroadcastMember::DoReserve(size_t size, Deadline) {
  if (~used_drafts_ == 0) {
    return absl::ResourceExhaustedError("this member has all the drafts that it may have");
  }
  if (IsClosed()) return Closed();
  const absl::StatusOr<Ref> ref = Allocate(size);
  if (!ref.ok()) return ref.status();
  const uint32_t number = static_cast<uint32_t>(std::countr_one(used_drafts_));
  used_drafts_ |= uint64_t{1} << number;
  drafts_[number] = *ref;
  return MessageDraft(this, number, {context_.bytes(*ref), size});
}

absl::StatusOr<Sequence> BroadcastMember::DoCommit(uint64_t hold) {
  used_drafts_ &= ~(uint64_t{1} << hold);
  return SendAllocated(drafts_[hold]);
}

void BroadcastMember::DoDropDraft(uint64_t hold) {
  used_drafts_ &= ~(uint64_t{1} << hold);
  room_.Drop(drafts_[hold]);
}

absl::Status BroadcastMember::DoClose() {
  if (ring_.Close() == Found::kDamaged) return Damaged();
  WakeReceivers();
  return absl::OkStatus();
}

}  // namespace kill9::broadcast_ring

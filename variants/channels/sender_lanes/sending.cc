// sender_lanes: sending. The commit point is LaneSender::Publish.
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "variants/channels/sender_lanes/sender_lanes.h"

namespace kill9::sender_lanes {

absl::Status SenderLanes::Closed() {
  CloseAllLanes(context_);
  return absl::OutOfRangeError("the channel is closed");
}

inline absl::StatusOr<Ref> SenderLanes::Allocate(size_t size, Deadline deadline) {
  if (IsClosed()) [[unlikely]]
    return Closed();
  if (lane_.IsReady(draft_count_) == Ready::kYes) [[likely]] {
    if (std::optional<Ref> ref = space_.Allocate(size, /*thoroughly=*/false)) [[likely]]
      return *ref;
  }
  return AllocateSlowly(size, deadline);
}

absl::StatusOr<Ref> SenderLanes::AllocateSlowly(size_t size, Deadline deadline) {
  std::optional<Ref> ref;
  absl::Status status = WaitForRoom(deadline, [&](bool glance) -> std::optional<absl::Status> {
    if (IsClosed()) return Closed();
    if (lane_.IsReady(draft_count_) != Ready::kYes) return std::nullopt;
    ref = space_.Allocate(size, /*thoroughly=*/!glance);
    if (space_.GaveUpRoom()) WakeSenders();
    if (!ref.has_value()) return std::nullopt;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return *ref;
}

// REQUIRES: the lane is ready for it.
inline absl::StatusOr<Sequence> SenderLanes::SendAllocated(Ref ref, size_t size) {
  const uint64_t position = lane_.Add(ref, size);
  if (!lane_.Publish()) [[unlikely]] {
    space_.Drop(ref);
    return Closed();
  }
  space_.Release(ref);
  space_.FetchNext();
  WakeReceivers();
  if (space_.GaveUpRoom()) [[unlikely]]
    WakeSenders();
  return position + 1;
}

absl::StatusOr<Sequence> SenderLanes::DoSend(std::string_view message, Deadline deadline) {
  absl::StatusOr<Ref> ref = Allocate(message.size(), deadline);
  if (!ref.ok()) [[unlikely]]
    return ref.status();
  if (!message.empty()) std::memcpy(context_.bytes(*ref), message.data(), message.size());
  return SendAllocated(*ref, message.size());
}

absl::StatusOr<size_t> SenderLanes::SendRow(std::span<const std::string_view> messages) {
  if (IsClosed()) return Closed();
  Ref refs[kMostAtOnce];
  size_t placed = 0;
  for (const std::string_view message : messages.first(std::min(messages.size(), kMostAtOnce))) {
    if (lane_.IsReady(draft_count_) != Ready::kYes) break;
    const std::optional<Ref> ref = space_.Allocate(message.size(), /*thoroughly=*/false);
    if (!ref.has_value()) break;
    if (!message.empty()) std::memcpy(context_.bytes(*ref), message.data(), message.size());
    lane_.Add(*ref, message.size());
    refs[placed++] = *ref;
  }
  if (placed == 0) return 0;
  const std::span<const Ref> row(refs, placed);
  if (!lane_.Publish()) {
    for (const Ref ref : row) space_.Drop(ref);
    return Closed();
  }
  for (const Ref ref : row) space_.Release(ref);
  WakeReceivers();
  if (space_.GaveUpRoom()) WakeSenders();
  return row.size();
}

absl::StatusOr<size_t> SenderLanes::DoSendMany(std::span<const std::string_view> messages,
                                               Deadline deadline) {
  size_t sent = 0;
  while (sent < messages.size()) {
    absl::StatusOr<size_t> row = SendRow(messages.subspan(sent));
    if (row.ok() && *row == 0) {
      const absl::StatusOr<Sequence> one = DoSend(messages[sent], deadline);
      row = one.ok() ? absl::StatusOr<size_t>(1) : one.status();
    }
    if (!row.ok()) {
      if (sent > 0) return sent;
      return row.status();
    }
    sent += *row;
  }
  return sent;
}

absl::StatusOr<MessageDraft> SenderLanes::DoReserve(size_t size, Deadline deadline) {
  if (~used_drafts_ == 0) {
    return absl::ResourceExhaustedError("this member has all the drafts that it can");
  }
  absl::StatusOr<Ref> ref = Allocate(size, deadline);
  if (!ref.ok()) return ref.status();
  if (space_.GaveUpRoom()) WakeSenders();
  const uint32_t number = static_cast<uint32_t>(std::countr_one(used_drafts_));
  used_drafts_ |= uint64_t{1} << number;
  ++draft_count_;
  drafts_[number] = {*ref, size};
  return MessageDraft(this, number, {context_.bytes(*ref), size});
}

absl::StatusOr<Sequence> SenderLanes::DoCommit(uint64_t hold) {
  used_drafts_ &= ~(uint64_t{1} << hold);
  --draft_count_;
  const Draft draft = drafts_[hold];
  if (IsClosed()) {
    space_.Drop(draft.ref);
    return Closed();
  }
  if (lane_.IsReady(draft_count_) != Ready::kYes) {
    space_.Drop(draft.ref);
    return absl::DataLossError("the segment is damaged: a lane has no room that it had");
  }
  return SendAllocated(draft.ref, draft.size);
}

void SenderLanes::DoDropDraft(uint64_t hold) {
  used_drafts_ &= ~(uint64_t{1} << hold);
  --draft_count_;
  space_.Drop(drafts_[hold].ref);
  WakeSenders();
}

}  // namespace kill9::sender_lanes

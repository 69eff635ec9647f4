#include "variants/channel.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

// Of most handles, and without a call. Of the others Check... tells.
bool IsSurelyOwn(const ForkGuard& guard) { return guard.mine() && !guard.can_be_lost(); }

}  // namespace

MessageDraft& MessageDraft::operator=(MessageDraft&& other) noexcept {
  if (this != &other) {
    Drop();
    channel_ = std::exchange(other.channel_, nullptr);
    hold_ = other.hold_;
    bytes_ = other.bytes_;
  }
  return *this;
}

void MessageDraft::Drop() {
  bytes_ = {};
  Channel* const channel = std::exchange(channel_, nullptr);
  if (channel != nullptr && channel->guard().owns()) channel->DoDropDraft(hold_);
}

TakenMessage& TakenMessage::operator=(TakenMessage&& other) noexcept {
  if (this != &other) {
    GiveBack();
    channel_ = std::exchange(other.channel_, nullptr);
    hold_ = other.hold_;
    message_ = other.message_;
  }
  return *this;
}

void TakenMessage::GiveBack() {
  Channel* const channel = std::exchange(channel_, nullptr);
  // The contract allows no error of it: what cannot be returned is lost by the whole handle.
  if (channel != nullptr && channel->guard().owns()) channel->DoReturn(hold_).IgnoreError();
}

MessageBatch& MessageBatch::operator=(MessageBatch&& other) noexcept {
  if (this != &other) {
    GiveBack();
    channel_ = std::exchange(other.channel_, nullptr);
    hold_ = other.hold_;
    messages_ = other.messages_;
  }
  return *this;
}

void MessageBatch::GiveBack() {
  Channel* const channel = std::exchange(channel_, nullptr);
  if (channel != nullptr && channel->guard().owns()) channel->DoReturnBatch(hold_).IgnoreError();
}

absl::Status Channel::CheckSend(size_t size) const {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!Sends(role_)) return absl::PermissionDeniedError("this member only receives");
  if (size > max_message_bytes()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the message has ", size, " bytes; this channel takes at most ", max_message_bytes()));
  }
  return absl::OkStatus();
}

absl::Status Channel::CheckReceive() const {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!Receives(role_)) return absl::PermissionDeniedError("this member only sends");
  return absl::OkStatus();
}

absl::Status Channel::CheckHold(const ChannelHold& hold) const {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (hold.channel_ != this) {
    return absl::InvalidArgumentError("it is spent, or of another channel");
  }
  return absl::OkStatus();
}

absl::StatusOr<Sequence> Channel::Send(std::string_view message, Deadline deadline) {
  const bool may = IsSurelyOwn(guard()) && Sends(role()) && message.size() <= max_message_bytes();
  if (!may) [[unlikely]] {
    if (absl::Status status = CheckSend(message.size()); !status.ok()) return status;
  }
  return DoSend(message, deadline);
}

absl::StatusOr<size_t> Channel::SendMany(std::span<const std::string_view> messages,
                                         Deadline deadline) {
  size_t longest = 0;
  for (const std::string_view message : messages) longest = std::max(longest, message.size());
  if (absl::Status status = CheckSend(longest); !status.ok()) return status;
  if (messages.empty()) return 0;
  return DoSendMany(messages, deadline);
}

absl::StatusOr<MessageDraft> Channel::Reserve(size_t size, Deadline deadline) {
  if (absl::Status status = CheckSend(size); !status.ok()) return status;
  return DoReserve(size, deadline);
}

absl::StatusOr<Sequence> Channel::Commit(MessageDraft draft) {
  if (absl::Status status = CheckHold(draft); !status.ok()) return status;
  draft.channel_ = nullptr;
  return DoCommit(draft.hold_);
}

absl::StatusOr<MessageInfo> Channel::Receive(std::string* message, Deadline deadline) {
  if (!IsSurelyOwn(guard()) || !Receives(role())) [[unlikely]] {
    if (absl::Status status = CheckReceive(); !status.ok()) return status;
  }
  return DoReceive(message, deadline);
}

absl::StatusOr<TakenMessage> Channel::Take(Deadline deadline) {
  if (absl::Status status = CheckReceive(); !status.ok()) return status;
  return DoTake(deadline);
}

absl::StatusOr<MessageBatch> Channel::Drain(size_t most, Deadline deadline) {
  if (absl::Status status = CheckReceive(); !status.ok()) return status;
  if (most == 0) return absl::InvalidArgumentError("a batch has at least one message");
  return DoDrain(most, deadline);
}

absl::Status Channel::Acknowledge(TakenMessage message) {
  if (absl::Status status = CheckHold(message); !status.ok()) return status;
  message.channel_ = nullptr;
  return DoAcknowledge(message.hold_);
}

absl::Status Channel::Acknowledge(MessageBatch batch) {
  if (absl::Status status = CheckHold(batch); !status.ok()) return status;
  batch.channel_ = nullptr;
  return DoAcknowledgeBatch(batch.hold_);
}

absl::Status Channel::Return(TakenMessage message) {
  if (absl::Status status = CheckHold(message); !status.ok()) return status;
  message.channel_ = nullptr;
  return DoReturn(message.hold_);
}

absl::Status Channel::Return(MessageBatch batch) {
  if (absl::Status status = CheckHold(batch); !status.ok()) return status;
  batch.channel_ = nullptr;
  return DoReturnBatch(batch.hold_);
}

absl::Status Channel::Close() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoClose();
}

absl::StatusOr<Occupancy> Channel::Look() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoLook();
}

absl::StatusOr<int> Channel::ReadinessDescriptor() {
  if (absl::Status status = CheckReceive(); !status.ok()) return status;
  return DoReadinessDescriptor();
}

}  // namespace kill9

// Survivors of the sweep of channels.
#include "harness/channel_driver/sweep/channel_scene.h"

namespace kill9::sweep {

// No room, and no message: all else that a call may say is no answer. A closed channel is one that
// the victim closed.
void ChannelSurvivor::Allow(const char* what, const absl::Status& status) {
  findings_.Check(status.ok() || absl::IsDeadlineExceeded(status) ||
                      absl::IsResourceExhausted(status) || absl::IsOutOfRange(status),
                  Verdict::kAuditFailed, what, ": ", status);
}

void ChannelSurvivor::AllowSend(const char* what, bool was_closed, const absl::Status& status) {
  Allow(what, status);
  if (absl::IsOutOfRange(status)) {
    // Release: pairs with the acquires below; who was told tells all that come later.
    scene_.closed().store(1, std::memory_order_release);
  } else {
    findings_.Check(!was_closed, Verdict::kViolation, what, ": after a Close it was told ", status);
  }
}

bool ChannelSurvivor::Send(uint32_t bytes) {
  const ValueId id = MakeValueId(process_, ++sequence_);
  const std::string message = MessageOf(id, bytes);
  Operation& send = log_.Begin(process_, Function::kSend, 0, id);
  const bool was_closed = scene_.closed().load(std::memory_order_acquire) != 0;
  const absl::StatusOr<Sequence> sent = channel_->Send(message, Deadline::None());
  AllowSend("send", was_closed, sent.status());
  log_.End(send, sent.ok() ? Outcome::kOk : Outcome::kRefused, kNothing, sent.ok() ? *sent * 2 : 0);
  return sent.ok();
}

void ChannelSurvivor::SendDraft(bool commit) {
  if (!scene_.design().traits().has_draft) return;
  const bool was_closed = scene_.closed().load(std::memory_order_acquire) != 0;
  absl::StatusOr<MessageDraft> draft = channel_->Reserve(kSmallMessageBytes, Deadline::None());
  AllowSend("reserve", was_closed, draft.status());
  if (!draft.ok()) return;
  const ValueId id = MakeValueId(process_, ++sequence_);
  FillValue(id, /*key=*/0, draft->bytes());
  if (!commit) {
    draft->Drop();
    return;
  }
  Operation& send = log_.Begin(process_, Function::kSend, 0, id);
  const absl::StatusOr<Sequence> sent = channel_->Commit(*std::move(draft));
  Allow("commit", sent.status());
  log_.End(send, sent.ok() ? Outcome::kOk : Outcome::kRefused, kNothing, sent.ok() ? *sent * 2 : 0);
}

bool ChannelSurvivor::Receive() {
  Operation& receive = log_.Begin(process_, Function::kReceive, 0);
  const absl::StatusOr<MessageInfo> info = channel_->Receive(&read_, Deadline::None());
  Allow("receive", info.status());
  if (info.ok()) {
    EndReceived(log_, receive, read_, *info);
  } else {
    log_.End(receive, Outcome::kOk);
  }
  return info.ok();
}

bool ChannelSurvivor::Take(TakenMessage* taken) {
  if (!scene_.design().traits().has_take) return false;  // Empty receives what waits
  Operation& take = log_.Begin(process_, Function::kTake, 0);
  absl::StatusOr<TakenMessage> got = channel_->Take(Deadline::None());
  Allow("take", got.status());
  if (!got.ok()) {
    // Who has no hold left is not told whether there is a message.
    sees_all_ = !absl::IsResourceExhausted(got.status());
    log_.End(take, sees_all_ ? Outcome::kOk : Outcome::kRefused);
    return false;
  }
  *taken = *std::move(got);
  EndReceived(log_, take, taken->bytes(), taken->info());
  return true;
}

void ChannelSurvivor::GiveUp(TakenMessage taken, bool acknowledge) {
  Operation& operation = log_.Begin(
      process_, acknowledge ? Function::kAcknowledge : Function::kReturn, 0, IdOf(taken.bytes()));
  const absl::Status status =
      acknowledge ? channel_->Acknowledge(std::move(taken)) : channel_->Return(std::move(taken));
  findings_.Check(status.ok(), Verdict::kAuditFailed, "giving a message up: ", status);
  log_.End(operation, Outcome::kOk);
}

void ChannelSurvivor::Look() {
  std::vector<TakenMessage> taken;
  for (TakenMessage one; Take(&one);) taken.push_back(std::move(one));
  seen_ = taken.size();
  for (TakenMessage& one : taken) GiveUp(std::move(one), /*acknowledge=*/false);
}

void ChannelSurvivor::Work(Nearness) {
  Send(kSmallMessageBytes);
  TakenMessage first, second;
  const bool has_first = Take(&first);
  const bool has_second = Take(&second);
  Send(kLargeMessageBytes);
  SendDraft(/*commit=*/true);
  SendDraft(/*commit=*/false);
  if (has_first) GiveUp(std::move(first), /*acknowledge=*/true);
  if (has_second) GiveUp(std::move(second), /*acknowledge=*/false);
  Receive();
  Look();
}

uint32_t ChannelSurvivor::Fill() {
  uint32_t count = 0;
  while (count < kMostFills && Send(scene_.fill_bytes())) ++count;
  return count;
}

void ChannelSurvivor::Empty(uint32_t) {
  while (Receive()) {
  }
  Operation& count = log_.Begin(process_, Function::kCount, 0);
  const absl::StatusOr<Occupancy> occupancy = channel_->Look();
  findings_.Check(occupancy.ok(), Verdict::kAuditFailed, "look: ", occupancy.status());
  log_.End(count, Outcome::kOk, occupancy->waiting + occupancy->taken);
  seen_ = 0;
  sees_all_ = true;
}

// The live holder's message is among what there is.
void ChannelSurvivor::CheckContents(const AuditReport& audit) {
  if (scene_.is_broadcast()) {
    // It may have begun late, and have received others before: those stay for other subscribers.
    findings_.Check(audit.entries >= seen_, Verdict::kAuditFailed, "the audit finds ",
                    audit.entries, " messages, the last look found ", seen_);
    return;
  }
  const uint64_t held = scene_.making().live_holder ? 1 : 0;
  const bool right =
      sees_all_ ? audit.entries == seen_ + held : audit.entries >= seen_ + held && seen_ != 0;
  findings_.Check(right, Verdict::kAuditFailed, "the audit finds ", audit.entries,
                  " messages, the last look found ", seen_, sees_all_ ? "" : " and no more holds");
}

void ChannelSurvivor::Interfere(uint32_t way) {
  if (way == 0) {
    Work(Nearness::kSame);
  } else {
    Send(kSmallMessageBytes);
    Receive();
  }
}

void ChannelSurvivor::Churn() {
  Fill();
  Empty(0);
}

void ChannelSurvivor::Probe(uint32_t probe, Nearness) {
  switch (probe) {
    case kTrySend:
      Send(kSmallMessageBytes);
      return;
    case kTryDraft:
      return SendDraft(/*commit=*/true);
    case kTryTake: {
      TakenMessage taken;
      if (Take(&taken)) GiveUp(std::move(taken), /*acknowledge=*/false);
      return;
    }
    case kTryReceive:
      Receive();
      return;
    case kTryLook:
      channel_->Look().IgnoreError();
      return;
    case kTryRecover:
      channel_->Recover().IgnoreError();
      return;
    default: {
      absl::StatusOr<std::unique_ptr<Channel>> other = scene_.design().Attach(scene_.segment(), {});
      findings_.Check(other.ok() || absl::IsResourceExhausted(other.status()),
                      Verdict::kAuditFailed, "attach: ", other.status());
      return;
    }
  }
}

}  // namespace kill9::sweep

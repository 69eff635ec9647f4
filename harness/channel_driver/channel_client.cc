#include "harness/channel_driver/channel_client.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9 {
namespace {

// Messages are named as values of this key.
constexpr uint64_t kValueKey = 0;
constexpr uint32_t kOfOneSender = 0xffff;  // messages, where each attachment is a sender
constexpr int64_t kLongestWaitUs = 1000;
// Of sequences (harness/checker/models/messages/channel_checker.h).
constexpr int kChannelShift = 40;
constexpr uint64_t kStepsToClose = 800;  // on average

}  // namespace

ValueId ChannelClient::NextId() {
  if (traits_.order == ChannelTraits::Order::kPerSender && named_attachment_ != attachments() &&
      sequence_ < ~kOfOneSender) {
    named_attachment_ = attachments();
    sequence_ |= kOfOneSender;
  }
  return MakeValueId(process(), ++sequence_);
}

uint64_t ChannelClient::InTheRun(Sequence sequence) {
  // The history is of one channel: what a later one passes has the later place.
  return closing_ == nullptr ? sequence : sequence | Number() << kChannelShift;
}

uint64_t ChannelClient::VersionOf(ValueId id, Sequence sequence, bool redelivered) {
  if (!traits_.has_sequences || sequence == 0) return 0;
  if (traits_.order == ChannelTraits::Order::kPerSender) {
    sequence |= uint64_t{SequenceOf(id) / (kOfOneSender + 1)} << kChannelShift;
  } else {
    sequence = InTheRun(sequence);
  }
  return sequence * 2 + (redelivered ? 1 : 0);
}

ValueId ChannelClient::PeekId(std::string_view bytes) {
  ValueId id = kNothing;
  std::memcpy(&id, bytes.data(), std::min(sizeof id, bytes.size()));
  return id == kNothing ? kNothing + 1 : id;
}

void ChannelClient::CheckBytes(const char* operation, ValueId id, std::string_view bytes) {
  const ValueCheck check = CheckValue(kValueKey, bytes);
  if (check.defect == ValueDefect::kNone && check.id == id) return;
  Fail(Verdict::kViolation,
       absl::StrFormat("%s showed a message of %d bytes that nobody has sent so (it names %#x)",
                       operation, bytes.size(), id));
}

void ChannelClient::FailStatus(const char* operation, const absl::Status& status) {
  Fail(Verdict::kViolation, absl::StrCat(operation, " failed: ", status.ToString()));
}

Deadline ChannelClient::NextDeadline(Random& random) const {
  if (!random.Chance(workload_.waits)) return Deadline::None();
  // Two that hold something would wait for each other's, for ever.
  if (may_wait_forever_ && held_.empty() && random.Chance(300)) return Deadline::Never();
  const int64_t wait_us = static_cast<int64_t>(random.Below(kLongestWaitUs));
  return Deadline::After(std::chrono::microseconds(wait_us));
}

bool ChannelClient::Act(Random& random) {
  if (random.Chance(workload_.rests)) return false;
  if (closing_ != nullptr) {
    // Until an audit has found it empty there is little left to do.
    if (KnowBefore(Deadline::None()).ended && random.Chance(900)) return false;
    if (random.Below(kStepsToClose) == 0) {
      Close();
      return true;
    }
  }
  if (!drafts_.empty() && random.Chance(drafts_.size() == kMostDrafts ? 700 : 300)) {
    CommitOrDrop(random.Below(drafts_.size()), /*commit=*/random.Chance(800));
    return true;
  }
  if (!held_.empty() && random.Chance(held_.size() == kMostHeld ? 800 : 400)) {
    GiveUp(random.Below(held_.size()), /*acknowledge=*/random.Chance(850));
    return true;
  }
  const bool sends = random.Chance(workload_.SendsIn(closing_ == nullptr ? 0 : Number()));
  if (sends ? workload_.MaySend(process()) : !workload_.MayReceive(process())) {
    SendStep(random);
  } else {
    ReceiveStep(random);
  }
  return true;
}

// ---- Sending ------------------------------------------------------------------------------------

void ChannelClient::SendStep(Random& random) {
  const uint32_t size = workload_.NextSize(random);
  const Deadline deadline = NextDeadline(random);
  if (traits_.has_draft && drafts_.size() < kMostDrafts && random.Chance(250)) {
    Reserve(size, deadline);
  } else {
    Send(size, deadline, /*as_batch=*/random.Chance(200));
  }
}

bool ChannelClient::Send(uint32_t size, Deadline deadline, bool as_batch) {
  const ValueId id = NextId();
  buffer_.resize(size);
  FillValue(id, kValueKey, buffer_);
  const Known known = KnowBefore(deadline);
  Begin(Function::kSend, kTheChannel, id);
  if (as_batch) {
    const std::string_view one[] = {buffer_};
    return EndSend(id, known, channel().SendMany(one, deadline).status(), 0);
  }
  const absl::StatusOr<Sequence> sent = channel().Send(buffer_, deadline);
  return EndSend(id, known, sent.status(), sent.ok() ? *sent : 0);
}

bool ChannelClient::EndSend(ValueId id, const Known& known, const absl::Status& status,
                            Sequence sequence) {
  CheckSent("Send", known, status);
  if (status.ok()) {
    End(Outcome::kOk, kNothing, VersionOf(id, sequence));
    return true;
  }
  if (absl::IsOutOfRange(status)) {
    End(Outcome::kRefused);
    return false;
  }
  if (!absl::IsDeadlineExceeded(status) && !absl::IsResourceExhausted(status) &&
      !absl::IsUnavailable(status)) {
    FailStatus("Send", status);
  }
  End(Outcome::kRefused);
  NoteNoRoom(status);
  return false;
}

void ChannelClient::Reserve(uint32_t size, Deadline deadline) {
  const Known known = KnowBefore(deadline);
  BeginUnrecorded(Function::kSend, kTheChannel);
  absl::StatusOr<MessageDraft> draft = channel().Reserve(size, deadline);
  EndUnrecorded();
  CheckSent("Reserve", known, draft.status());
  if (!draft.ok()) {
    if (absl::IsOutOfRange(draft.status())) return;
    if (!absl::IsDeadlineExceeded(draft.status()) && !absl::IsResourceExhausted(draft.status()) &&
        !absl::IsUnavailable(draft.status())) {
      FailStatus("Reserve", draft.status());
    }
    NoteNoRoom(draft.status());
    return;
  }
  const ValueId id = NextId();
  FillValue(id, kValueKey, draft->bytes());
  drafts_.push_back({*std::move(draft), id});
  NoteHolds();
}

void ChannelClient::CommitOrDrop(size_t index, bool commit) {
  std::swap(drafts_[index], drafts_.back());
  Reserved reserved = std::move(drafts_.back());
  drafts_.pop_back();
  NoteHolds();
  if (!commit) {
    BeginUnrecorded(Function::kSend, kTheChannel);
    reserved.draft.Drop();
    EndUnrecorded();
    return;
  }
  const Known known = KnowBefore(Deadline::None());
  Begin(Function::kSend, kTheChannel, reserved.id);
  const absl::StatusOr<Sequence> sent = channel().Commit(std::move(reserved.draft));
  CheckSent("Commit", known, sent.status());
  if (absl::IsOutOfRange(sent.status())) return End(Outcome::kRefused);
  if (!sent.ok()) FailStatus("Commit", sent.status());
  End(Outcome::kOk, kNothing, VersionOf(reserved.id, *sent));
}

// ---- Receiving ----------------------------------------------------------------------------------

void ChannelClient::ReceiveStep(Random& random) {
  const Deadline deadline = NextDeadline(random);
  const uint64_t draw = random.Below(1000);
  if (!traits_.has_take || draw < 400) {
    Receive(deadline);
  } else if (draw < 550) {
    TakeAsBatch(deadline, /*acknowledge=*/random.Chance(800));
  } else if (held_.size() < kMostHeld) {
    Take(deadline);
  }
}

void ChannelClient::EndNothing(const char* operation, const Known& known,
                               const absl::Status& status) {
  CheckTaken(operation, known, status);
  if (absl::IsDeadlineExceeded(status) || absl::IsOutOfRange(status)) {
    End(Outcome::kOk, kNothing);
  } else if (absl::IsUnavailable(status)) {
    End(Outcome::kRefused);  // it tells of members, not of messages
  } else if (IsHoldRefused(status)) {
    End(Outcome::kRefused);
  } else {
    FailStatus(operation, status);
  }
}

bool ChannelClient::Receive(Deadline deadline) {
  const Known known = KnowBefore(deadline);
  Begin(Function::kReceive, kTheChannel);
  const absl::StatusOr<MessageInfo> info = channel().Receive(&buffer_, deadline);
  if (!info.ok()) {
    EndNothing("Receive", known, info.status());
    return false;
  }
  const ValueId id = PeekId(buffer_);
  EndTaken("Receive", known, id, *info);
  CheckBytes("Receive", id, buffer_);
  return true;
}

void ChannelClient::Take(Deadline deadline) {
  const Known known = KnowBefore(deadline);
  Begin(Function::kTake, kTheChannel);
  absl::StatusOr<TakenMessage> taken = channel().Take(deadline);
  if (!taken.ok()) return EndNothing("Take", known, taken.status());
  const ValueId id = PeekId(taken->bytes());
  EndTaken("Take", known, id, taken->info());
  CheckBytes("Take", id, taken->bytes());
  held_.push_back({*std::move(taken), id});
  NoteHolds();
}

// A batch of one: a history has one operation of a process open at a time.
void ChannelClient::TakeAsBatch(Deadline deadline, bool acknowledge) {
  const Known known = KnowBefore(deadline);
  Begin(Function::kTake, kTheChannel);
  absl::StatusOr<MessageBatch> batch = channel().Drain(1, deadline);
  if (!batch.ok()) return EndNothing("Drain", known, batch.status());
  const Message message = (*batch)[0];
  const ValueId id = PeekId(message.bytes);
  EndTaken("Drain", known, id, message.info);
  NoteHeld(held_.size() + drafts_.size() + 1);
  CheckBytes("Drain", id, message.bytes);
  Begin(acknowledge ? Function::kAcknowledge : Function::kReturn, kTheChannel, id);
  const absl::Status status =
      acknowledge ? channel().Acknowledge(*std::move(batch)) : channel().Return(*std::move(batch));
  if (!status.ok()) FailStatus(acknowledge ? "Acknowledge" : "Return", status);
  End(Outcome::kOk);
  NoteHolds();
}

void ChannelClient::GiveUp(size_t index, bool acknowledge) {
  std::swap(held_[index], held_.back());
  Held held = std::move(held_.back());
  held_.pop_back();
  // It was to stay as it was.
  CheckBytes("a message held", held.id, held.message.bytes());
  Begin(acknowledge ? Function::kAcknowledge : Function::kReturn, kTheChannel, held.id);
  const absl::Status status = acknowledge ? channel().Acknowledge(std::move(held.message))
                                          : channel().Return(std::move(held.message));
  if (!status.ok()) FailStatus(acknowledge ? "Acknowledge" : "Return", status);
  End(Outcome::kOk);
  NoteHolds();
}

void ChannelClient::ReleaseAll() {
  while (!held_.empty()) GiveUp(held_.size() - 1, /*acknowledge=*/false);
  while (!drafts_.empty()) CommitOrDrop(drafts_.size() - 1, /*commit=*/false);
}

// ---- The whole ----------------------------------------------------------------------------------

void ChannelClient::ReceiveAll() {
  while (Receive(Deadline::None())) {
  }
}

void ChannelClient::Visit() {
  ReceiveAll();
  for (const WorkerBoard& board : context().control().boards) {
    // Relaxed: the workers are parked.
    if (board.attached.load(std::memory_order_relaxed) != 0 &&
        board.held.load(std::memory_order_relaxed) != 0) {
      return;
    }
  }
  Begin(Function::kCount, kTheChannel);
  const absl::StatusOr<Occupancy> occupancy = channel().Look();
  if (!occupancy.ok()) FailStatus("Look", occupancy.status());
  End(Outcome::kOk, occupancy->waiting + occupancy->taken);
  if (occupancy->waiting + occupancy->taken != 0) {
    Fail(Verdict::kViolation,
         absl::StrCat("nobody holds a message, a receiver finds none, and there are ",
                      occupancy->waiting, " that wait and ", occupancy->taken, " taken"));
  }
  if (broadcast_ != nullptr && !occupancy->closed) SendAndReceiveOne();
  if (closing_ != nullptr && occupancy->closed) ReplaceChannel();
}

bool ChannelClient::Fill() {
  if (closing_ != nullptr && closing_->close_called.load(std::memory_order_acquire) >= Number()) {
    return false;
  }
  // Bounded: a channel that overwrites is never full.
  const uint64_t most = context().scenario.segment_bytes / kFillBytes + 1;
  for (uint64_t sent = 0; sent < most; ++sent) {
    if (!Send(kFillBytes, Deadline::None(), /*as_batch=*/false)) return true;
  }
  return false;
}

}  // namespace kill9

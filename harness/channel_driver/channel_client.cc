#include "harness/channel_driver/channel_client.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9 {
namespace {

constexpr uint32_t kOfOneSender = 0xffff;  // messages, where each attachment is a sender
constexpr int64_t kLongestWaitUs = 1000;
// Of sequences (harness/checker/models/messages/channel_checker.h).
constexpr int kChannelShift = 40;
constexpr uint64_t kStepsToClose = 800;  // on average

bool IsNoRoom(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         absl::IsUnavailable(status);
}

// Whether who took nothing was told something of messages: there was none yet, or is none any more.
// That the other side has gone is told only to who would have to wait: there was none, either.
bool TellsOfNothing(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsOutOfRange(status) ||
         absl::IsUnavailable(status);
}

}  // namespace

// Who audits does both; of a full table the newcomer has no place, but the first worker is there.
MemberRole ChannelClient::Role() const {
  const bool does_both = workload_.senders == 0 || context().seed % 2 == 0 || may_audit_ ||
                         context().design.role() != Design::Role::kDesign;
  if (does_both) return MemberRole::kBoth;
  return workload_.MaySend(process()) ? MemberRole::kSender : MemberRole::kReceiver;
}

absl::StatusOr<std::unique_ptr<SharedObject>> ChannelClient::AttachObject() {
  const auto& design = static_cast<const ChannelDesign&>(context().design);
  absl::StatusOr<std::unique_ptr<Channel>> member = design.Attach(segment(), {.role = Role()});
  if (!member.ok()) return member.status();
  return std::unique_ptr<SharedObject>(*std::move(member));
}

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
  const ValueCheck check = CheckValue(KeyOf(bytes), bytes);
  if (check.defect == ValueDefect::kNone && check.id == id) return;
  Fail(Verdict::kViolation,
       absl::StrFormat("%s showed a message of %d bytes that nobody has sent so (it names %#x)",
                       operation, bytes.size(), id));
}

Deadline ChannelClient::NextDeadline(Random& random) const {
  // Of a closed channel many wait for the end, until who has the last messages lets go of them.
  // Acquire: as in KnowBefore.
  if (closing_ != nullptr && may_wait_forever_ && held_.empty() && random.Chance(300) &&
      closing_->close_called.load(std::memory_order_acquire) >= number_) {
    return Deadline::Never();
  }
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
  if (workload_.last_message || workload_.last_room) {
    workload_.last_message ? PassOn(random) : PassRoomOn();
    return true;
  }
  if (workload_.all_wait) {
    WaitOrGive(random);
    return true;
  }
  if (boards_.requests != nullptr) return Ask(random);
  // Where much may be held, much is.
  const auto is_due = [&random](size_t have, uint32_t most, uint32_t at_most, uint32_t usual) {
    if (have == 0) return false;
    return random.Chance(have >= most ? at_most : std::max(1u, usual * 4 / std::max(most, 4u)));
  };
  if (is_due(drafts_.size(), workload_.most_drafts, 700, 300)) {
    CommitOrDrop(random.Below(drafts_.size()), /*commit=*/random.Chance(800));
    return true;
  }
  if (is_due(held_.size(), workload_.most_held, 800, 400)) {
    GiveUp(random.Below(held_.size()), /*acknowledge=*/!random.Chance(workload_.returns));
    return true;
  }
  if (boards_.bursts != nullptr) return BurstStep(random);
  const bool sends = random.Chance(workload_.SendsIn(closing_ == nullptr ? 0 : Number()));
  if (sends ? workload_.MaySend(process()) : !workload_.MayReceive(process())) {
    SendStep(random);
  } else {
    ReceiveStep(random);
  }
  return true;
}

// ---- Sending ------------------------------------------------------------------------------------

bool ChannelClient::SendStep(Random& random) {
  const Deadline deadline = NextDeadline(random);
  if (traits_.has_draft && drafts_.size() < workload_.most_drafts && random.Chance(250)) {
    return Reserve(workload_.NextSize(random), deadline);
  }
  if (random.Chance(workload_.batches)) return SendBatch(random, deadline);
  return Send(workload_.NextSize(random), deadline);
}

bool ChannelClient::Send(uint32_t size, Deadline deadline) {
  const ValueId id = NextId();
  return SendValue(id, kValueKey, size, deadline);
}

bool ChannelClient::SendValue(ValueId id, uint64_t key, uint32_t size, Deadline deadline) {
  buffer_.resize(size);
  FillValue(id, key, buffer_);
  const Known known = KnowBefore(deadline);
  Begin(Function::kSend, kTheChannel, id);
  const absl::StatusOr<Sequence> sent = channel().Send(buffer_, deadline);
  return EndSend(id, known, sent.status(), sent.ok() ? *sent : 0);
}

// Each message of it is sent, or none of those after it.
bool ChannelClient::SendBatch(Random& random, Deadline deadline) {
  // Few of the largest are many bytes already.
  constexpr uint64_t kMostBytes = 256u << 10;
  const uint64_t most =
      std::clamp<uint64_t>(kMostBytes / workload_.largest_bytes, 1, workload_.most_batch);
  batch_.resize(1 + random.Below(most));
  batch_ids_.clear();
  for (std::string& message : batch_) {
    message.resize(workload_.NextSize(random));
    batch_ids_.push_back(NextId());
    FillValue(batch_ids_.back(), kValueKey, message);
  }
  const std::vector<std::string_view> messages(batch_.begin(), batch_.end());
  const Known known = KnowBefore(deadline);
  BeginRow(Function::kSend, kTheChannel, batch_ids_);
  const absl::StatusOr<size_t> sent = channel().SendMany(messages, deadline);
  const size_t count = sent.ok() ? *sent : 0;
  EndRow(messages.size(),
         [count](size_t i, Operation&) { return i < count ? Outcome::kOk : Outcome::kRefused; });
  CheckSent("SendMany", known, sent.status());
  if (sent.ok() && (count == 0 || count > messages.size())) {
    Fail(Verdict::kViolation,
         absl::StrCat("SendMany of ", messages.size(), " messages sent ", count));
  }
  if (sent.ok() || absl::IsOutOfRange(sent.status())) return sent.ok();
  if (!IsNoRoom(sent.status())) FailStatus("SendMany", sent.status());
  NoteNoRoom(sent.status());
  return false;
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
  if (!IsNoRoom(status)) FailStatus("Send", status);
  End(Outcome::kRefused);
  NoteNoRoom(status);
  return false;
}

bool ChannelClient::Reserve(uint32_t size, Deadline deadline) {
  const Known known = KnowBefore(deadline);
  BeginUnrecorded(Function::kSend, kTheChannel);
  absl::StatusOr<MessageDraft> draft = channel().Reserve(size, deadline);
  EndUnrecorded();
  CheckSent("Reserve", known, draft.status());
  if (!draft.ok()) {
    if (absl::IsOutOfRange(draft.status())) return false;
    if (!IsNoRoom(draft.status())) FailStatus("Reserve", draft.status());
    RequireManyDrafts(draft.status());
    NoteNoRoom(draft.status());
    return false;
  }
  const ValueId id = NextId();
  FillValue(id, kValueKey, draft->bytes());
  drafts_.push_back({*std::move(draft), id});
  NoteHolds();
  return true;
}

// Where senders wait for room it is something else that is exhausted: the drafts of a member.
void ChannelClient::RequireManyDrafts(const absl::Status& refused) {
  constexpr size_t kFewDrafts = 8;
  if (!absl::IsResourceExhausted(refused) || drafts_.size() >= kFewDrafts ||
      traits_.when_full != ChannelTraits::WhenFull::kWait ||
      context().design.role() != Design::Role::kDesign) {
    return;
  }
  // Where a file grows, the machine may have had no room for it.
  const absl::StatusOr<uint64_t> bytes = segment()->file_bytes();
  if (!bytes.ok() || *bytes < segment()->size()) return;
  Fail(Verdict::kLeak, absl::StrCat("Reserve was refused, though this member holds ",
                                    drafts_.size(), " drafts: ", refused.ToString()));
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

bool ChannelClient::ReceiveStep(Random& random) {
  const Deadline deadline = NextDeadline(random);
  if (!traits_.has_take) return Receive(deadline);
  const uint32_t all = uint32_t{workload_.receives} + workload_.drains + workload_.takes;
  const uint64_t draw = random.Below(std::max(all, 1u));
  if (draw < workload_.receives) return Receive(deadline);
  if (draw < uint32_t{workload_.receives} + workload_.drains) {
    // A history of a broadcast has one message of a subscriber after the other.
    const uint64_t most = broadcast_ == nullptr ? workload_.most_batch : 1;
    const bool acknowledge = !random.Chance(workload_.returns);
    return TakeBatch(1 + random.Below(most), deadline, [acknowledge] { return acknowledge; });
  }
  return held_.size() >= workload_.most_held || Take(deadline);
}

void ChannelClient::EndNothing(const char* operation, const Known& known,
                               const absl::Status& status) {
  End(TellsOfNothing(status) ? Outcome::kOk : Outcome::kRefused, kNothing);
  NoteNothing(operation, known, status);
}

void ChannelClient::NoteNothing(const char* operation, const Known& known,
                                const absl::Status& status) {
  CheckTaken(operation, known, status);
  if (TellsOfNothing(status)) return;
  if (!IsHoldRefused(status)) FailStatus(operation, status);
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

bool ChannelClient::Take(Deadline deadline) {
  const Known known = KnowBefore(deadline);
  Begin(Function::kTake, kTheChannel);
  absl::StatusOr<TakenMessage> taken = channel().Take(deadline);
  if (!taken.ok()) {
    EndNothing("Take", known, taken.status());
    return false;
  }
  const ValueId id = PeekId(taken->bytes());
  EndTaken("Take", known, id, taken->info());
  CheckBytes("Take", id, taken->bytes());
  held_.push_back({*std::move(taken), id});
  NoteHolds();
  return true;
}

// So many takes at most, of which those that got nothing tell nothing; if all did, the first tells
// that there was nothing.
bool ChannelClient::TakeBatch(size_t most, Deadline deadline,
                              absl::FunctionRef<bool()> acknowledges) {
  const Known known = KnowBefore(deadline);
  batch_ids_.assign(most, kNothing);
  BeginRow(Function::kTake, kTheChannel, batch_ids_);
  absl::StatusOr<MessageBatch> batch = channel().Drain(most, deadline);
  const size_t got = batch.ok() ? batch->size() : 0;
  const bool tells = TellsOfNothing(batch.status());
  batch_ids_.clear();
  EndRow(most, [&](size_t i, Operation& operation) {
    if (i >= got) return got == 0 && i == 0 && tells ? Outcome::kOk : Outcome::kRefused;
    const Message message = (*batch)[i];
    batch_ids_.push_back(PeekId(message.bytes));
    operation.result = batch_ids_.back();
    operation.result_version =
        VersionOf(batch_ids_.back(), message.info.sequence, message.info.redelivered);
    operation.expected = message.info.missed;
    return Outcome::kOk;
  });
  if (!batch.ok()) {
    NoteNothing("Drain", known, batch.status());
    return false;
  }
  CheckTaken("Drain", known, absl::OkStatus());
  NoteHeld(held_.size() + drafts_.size() + got);
  if (got == 0 || got > most) {
    Fail(Verdict::kViolation, absl::StrCat("a batch of at most ", most, " messages has ", got));
  }
  // The oldest first; where the order is of each sender's, of each.
  absl::flat_hash_map<uint64_t, Sequence> last;
  for (size_t i = 0; i < got; ++i) {
    const Message message = (*batch)[i];
    NoteGap(message.info);
    CheckBytes("Drain", batch_ids_[i], message.bytes);
    const bool is_total = traits_.order == ChannelTraits::Order::kTotal;
    Sequence& before = last[is_total ? 0 : batch_ids_[i] / (kOfOneSender + 1)];
    if (traits_.has_sequences && message.info.sequence <= before) {
      Fail(Verdict::kViolation,
           absl::StrCat("a batch shows message ", message.info.sequence, " after ", before));
    }
    before = message.info.sequence;
  }
  const bool acknowledge = acknowledges();
  BeginRow(acknowledge ? Function::kAcknowledge : Function::kReturn, kTheChannel, batch_ids_);
  const absl::Status status =
      acknowledge ? channel().Acknowledge(*std::move(batch)) : channel().Return(*std::move(batch));
  if (!status.ok()) FailStatus(acknowledge ? "Acknowledge" : "Return", status);
  EndRow(got, [](size_t, Operation&) { return Outcome::kOk; });
  NoteHolds();
  return true;
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

uint64_t ChannelClient::ReceiveAll() {
  uint64_t received = 0;
  while (Receive(Deadline::None())) ++received;
  return received;
}

void ChannelClient::Visit() {
  // What the workers wait for is taken out here: they are parked.
  if (boards_.requests != nullptr) boards_.requests->Forget();
  const absl::StatusOr<Occupancy> before = channel().Look();
  const uint64_t received = ReceiveAll();
  if (context().design.role() == Design::Role::kDesign && before.ok() &&
      before->waiting != received) {
    Fail(Verdict::kViolation, absl::StrCat("Look told of ", before->waiting,
                                           " messages that wait, and ", received, " did"));
  }
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
  if (context().design.role() == Design::Role::kDesign) CheckMembers(*occupancy);
  if (broadcast_ != nullptr && !occupancy->closed) SendAndReceiveOne();
  // Small messages would divide the only room that there is.
  const bool tries_all = broadcast_ == nullptr && !workload_.last_room &&
                         context().design.role() == Design::Role::kDesign;
  if (tries_all && !occupancy->closed) TryAll();
  if (closing_ != nullptr && occupancy->closed) ReplaceChannel();
}

bool ChannelClient::Fill() {
  if (closing_ != nullptr && closing_->close_called.load(std::memory_order_acquire) >= Number()) {
    return false;
  }
  // Bounded: a channel that overwrites is never full.
  const uint64_t most = context().segment_options.size_bytes / kFillBytes + 1;
  for (uint64_t sent = 0; sent < most; ++sent) {
    if (!Send(kFillBytes, Deadline::None())) return true;
  }
  return false;
}

}  // namespace kill9

#include "harness/explore/scenes/channel_scene.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kChannelNames[] = {"send",       "receive", "take",         "return",
                                              "drain",      "draft",   "close",        "recover",
                                              "return_two", "join",    "wait_receive", "wait_send"};
constexpr std::string_view kChannelBeginnings[] = {"", "@empty", "@full", "@closed"};
constexpr std::string_view kLargerChannelScenes[] = {
    "send,send,receive+receive,send", "send,receive+send,receive@empty", "send,take+send,return",
    "take,send+receive,send@full", "return+receive,recover", "take+send,receive,recover",
    "draft,draft+drain,receive", "send+receive+receive", "send+send+receive@empty",
    "send,send+take+recover@full", "receive,send+receive,send@full",
    "return,take+receive,send@full", "close,send+send,send", "close,receive+send",
    "return_two,take,take+send@full", "return_two,drain+take,send@full",
    // Two messages are shown while others are overwritten, and the ring comes round.
    "return_two+send,send,send@full", "return_two,receive+send,send,send,send,send,send@full"};
constexpr std::string_view kWiderChannelScenes[] = {
    "send+receive+take",   "send+send+drain@full", "take+return+recover",   "send+join+recover",
    "close+send+receive",  "send+receive@closed",  "take+drain@closed",     "draft+return@closed",
    "receive+join@closed", "send+close@closed",    "receive+receive@closed"};
constexpr std::string_view kWaitingChannelScenes[] = {"wait_receive+send@empty",
                                                      "wait_receive+draft@empty",
                                                      "wait_receive,receive+send@empty",
                                                      "wait_receive+return",
                                                      "take,recover+wait_receive",
                                                      "wait_receive+wait_receive+send@empty",
                                                      "wait_send+receive@full",
                                                      "wait_send+take@full",
                                                      "wait_send+drain@full",
                                                      "wait_receive+wait_send@full",
                                                      "wait_receive+wait_send@empty"};
constexpr size_t kMessageBytes = 24;
// Of a broadcast that is full, each message has so large a part of the room that the next one
// overwrites another.
constexpr size_t kLapOfMessages = 8;
// Messages are named as values of this key.
constexpr uint64_t kValueKey = 0;
// Histories know no Close: it is recorded as a Recover with this argument, which says nothing of
// messages; and that a call was told of one, as this in `expected` of what it was refused.
constexpr uint64_t kOfAClose = 1;

// What lies in the segment is copied first: the explorer sees who reads it then. Of a message that
// only fills room the head is enough: each word is a step.
ValueId IdIn(std::string_view shown, size_t whole_up_to) {
  if (shown.size() > whole_up_to) {
    const std::string head(shown.substr(0, sizeof(ValueId)));
    ValueId id;
    std::memcpy(&id, head.data(), sizeof id);
    return id;
  }
  const std::string bytes(shown);
  const ValueCheck check = CheckValue(kValueKey, bytes);
  if (check.defect == ValueDefect::kNone) return check.id;
  Stage::Get().Fail(Verdict::kViolation, absl::StrCat("a message of ", bytes.size(),
                                                      " bytes is shown that nobody has sent so"));
}

// Room, members and messages that were lacking, and the end, are no errors.
bool IsRefusal(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         absl::IsUnavailable(status) || absl::IsOutOfRange(status);
}

}  // namespace

const ScenarioWords& ChannelWords() {
  static constexpr ScenarioWords kWords = {kChannelNames, kChannelBeginnings};
  return kWords;
}

bool HasChannelCall(const ChannelTraits& traits, size_t call) {
  switch (static_cast<ChannelCall>(call)) {
    case ChannelCall::kTake:
    case ChannelCall::kReturn:
    case ChannelCall::kReturnTwo:
    case ChannelCall::kDrain:
      return traits.has_take;
    case ChannelCall::kDraft:
      return traits.has_draft;
    case ChannelCall::kRecover:
      return traits.has_recovery;
    case ChannelCall::kWaitReceive:
      return traits.has_readiness;
    case ChannelCall::kWaitSend:
      return traits.has_readiness && traits.when_full == ChannelTraits::WhenFull::kWait;
    default:
      return true;
  }
}

std::span<const std::string_view> LargerChannelScenes() { return kLargerChannelScenes; }

std::span<const std::string_view> WiderChannelScenes() { return kWiderChannelScenes; }

std::span<const std::string_view> WaitingChannelScenes() { return kWaitingChannelScenes; }

ChannelScene::ChannelScene(const ChannelDesign& design, const Scenario& scenario)
    : ObjectScene(design, scenario),
      design_(design),
      is_broadcast_(design.traits().delivery == ChannelTraits::Delivery::kBroadcast) {}

// The members and their segment lie in the arena, which forgets them.
ChannelScene::~ChannelScene() = default;

uint64_t ChannelScene::VersionOf(const MessageInfo& info) const {
  if (!design_.traits().has_sequences || info.sequence == 0) return 0;
  return info.sequence * 2 + (info.redelivered ? 1 : 0);
}

bool ChannelScene::SendAtBeginning(size_t bytes) {
  std::string message(bytes, '\0');
  const ValueId id = MakeValueId(kMaker, sent_at_beginning_ + 1);
  FillValue(id, kValueKey, message);
  const absl::StatusOr<Sequence> sent = channel(kAuditor).Send(message, Deadline::None());
  if (!sent.ok()) {
    if (!IsRefusal(sent.status())) CannotMake(sent.status());
    return false;
  }
  ++sent_at_beginning_;
  Operation operation = {};
  operation.function = Function::kSend;
  operation.argument = id;
  operation.result_version = VersionOf({.sequence = *sent});
  Before(operation);
  return true;
}

// With few messages: what is left is received one by one after each schedule. A broadcast is full
// when the first message is overwritten.
void ChannelScene::Fill() {
  if (is_broadcast_) {
    message_bytes_ = channel(kAuditor).max_message_bytes() / kLapOfMessages;
    for (uint64_t waiting = 0; SendAtBeginning(message_bytes_);) {
      const absl::StatusOr<Occupancy> occupancy = channel(kAuditor).Look();
      if (!occupancy.ok()) CannotMake(occupancy.status());
      if (occupancy->waiting <= waiting) return;
      waiting = occupancy->waiting;
    }
    return;
  }
  for (size_t bytes = channel(kAuditor).max_message_bytes(); bytes > kMessageBytes; bytes /= 2) {
    while (SendAtBeginning(bytes)) {
    }
  }
  while (SendAtBeginning(kMessageBytes)) {
  }
}

void ChannelScene::Act(int participant, int what) {
  std::string message;
  switch (what) {
    case kAttach: {
      absl::StatusOr<std::unique_ptr<Channel>> member = design_.Attach(*segment_, Membership{});
      if (!member.ok()) CannotMake(member.status());
      channels_[static_cast<size_t>(participant)] = member->release();
      if (is_broadcast_) found_ = channel(participant).began_after();
      return;
    }
    case kWaitForNothing: {
      const absl::Status none = channel(participant).Receive(&message, Deadline::AtNs(1)).status();
      if (!IsRefusal(none)) CannotMake(none);
      return;
    }
    default: {
      const absl::StatusOr<MessageInfo> info =
          channel(participant).Receive(&message, Deadline::None());
      if (!info.ok()) CannotMake(info.status());
      found_ = VersionOf(*info);
    }
  }
}

void ChannelScene::Attach(int participant) {
  Stage::Get().As(participant, kAttach);
  if (!is_broadcast_) return;
  Operation subscribe = {};
  subscribe.function = Function::kSubscribe;
  subscribe.process = ProcessOf(participant);
  subscribe.result = found_;
  Before(subscribe);
}

void ChannelScene::MakeObject() {
  SegmentOptions options;
  options.max_participants = Places(static_cast<size_t>(ChannelCall::kJoin));
  options.hash_seed = 1;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = SmallestSegment(design_, options);
  if (!segment.ok()) CannotMake(segment.status());
  segment_ = new std::shared_ptr<Segment>(*segment);
  Attach(kAuditor);
  sent_at_beginning_ = 0;
  message_bytes_ = kMessageBytes;
  // A subscriber gets what is sent from then on; in a queue, who comes later gets what waits.
  const bool waits = Has(static_cast<size_t>(ChannelCall::kWaitReceive)) ||
                     Has(static_cast<size_t>(ChannelCall::kWaitSend));
  const bool attaches_first = is_broadcast_ || waits;
  for (int i = 0; i < participants() && attaches_first; ++i) Attach(i);
  if (waits) WaitInVain();
  const auto beginning = static_cast<ChannelBeginning>(scenario().beginning);
  if (beginning != ChannelBeginning::kEmpty) SendAtBeginning(kMessageBytes);
  if (beginning == ChannelBeginning::kFull) Fill();
  for (int i = 0; i < participants() && !attaches_first; ++i) Attach(i);
  if (beginning != ChannelBeginning::kClosed) return;
  if (const absl::Status closed = channel(kAuditor).Close(); !closed.ok()) CannotMake(closed);
}

absl::Status ChannelScene::AttachAndLeave() {
  return design_.Attach(*segment_, Membership{}).status();
}

// All have waited before, and nobody is announced any more: a message has come since.
void ChannelScene::WaitInVain() {
  Stage& stage = Stage::Get();
  for (int i = 0; i < participants(); ++i) stage.As(i, kWaitForNothing);
  if (!SendAtBeginning(kMessageBytes)) CannotMake(absl::InternalError("no room for a message"));
  for (int i = 0; i <= participants(); ++i) {
    const int receiver = i == participants() ? kAuditor : i;
    if (!is_broadcast_ && receiver != kAuditor) continue;
    stage.As(receiver, kReceiveOne);
    Operation received = {};
    received.function = Function::kReceive;
    received.process = ProcessOf(receiver);
    received.result = MakeValueId(kMaker, sent_at_beginning_);
    received.result_version = found_;
    Before(received);
  }
}

// ---- Operations ---------------------------------------------------------------------------------

Operation& ChannelScene::BeginOne(int participant, const char* what, Function function,
                                  Progress progress, ValueId argument) {
  Operation asked = {};
  asked.function = function;
  asked.argument = argument;
  return Begin(participant, what, MustNotWait(progress), asked);
}

void ChannelScene::EndSend(Operation& operation, const absl::StatusOr<Sequence>& sent) {
  if (sent.ok()) {
    return End(operation, Outcome::kOk, kNothing, VersionOf({.sequence = *sent}));
  }
  if (!IsRefusal(sent.status())) FailStatus(sent.status());
  if (absl::IsOutOfRange(sent.status())) operation.expected = kOfAClose;
  End(operation, Outcome::kRefused, kNothing, 0);
}

void ChannelScene::Send(int participant, ValueId id, bool as_draft) {
  Channel& channel = this->channel(participant);
  std::string message(message_bytes_, '\0');
  FillValue(id, kValueKey, message);
  Operation& operation = BeginOne(participant, as_draft ? "draft" : "send", Function::kSend,
                                  design_.traits().send, id);
  if (!as_draft) {
    return EndSend(operation, channel.Send(message, Deadline::None()));
  }
  absl::StatusOr<MessageDraft> draft = channel.Reserve(message.size(), Deadline::None());
  if (!draft.ok()) return EndSend(operation, draft.status());
  std::copy(message.begin(), message.end(), draft->bytes().begin());
  EndSend(operation, channel.Commit(*std::move(draft)));
}

void ChannelScene::EndNothing(Operation& operation, const absl::Status& status) {
  if (!IsRefusal(status)) FailStatus(status);
  const bool tells_of_messages = absl::IsDeadlineExceeded(status) || absl::IsOutOfRange(status);
  End(operation, tells_of_messages ? Outcome::kOk : Outcome::kRefused, kNothing, 0);
}

void ChannelScene::EndTaken(Operation& operation, const Message& message) {
  operation.expected = message.info.missed;
  End(operation, Outcome::kOk, IdIn(message.bytes, message_bytes_), VersionOf(message.info));
}

void ChannelScene::EndGivenUp(Operation& operation, const absl::Status& status) {
  if (!status.ok()) FailStatus(status);
  End(operation, Outcome::kOk, kNothing, 0);
}

void ChannelScene::Receive(int participant) {
  std::string message;
  Operation& operation =
      BeginOne(participant, "receive", Function::kReceive, design_.traits().receive, kNothing);
  const absl::StatusOr<MessageInfo> info = channel(participant).Receive(&message, Deadline::None());
  if (!info.ok()) return EndNothing(operation, info.status());
  EndTaken(operation, {message, *info});
}

// Both: a wait of an hour, which is over where nobody can go on.
void ChannelScene::WaitAndReceive(int participant) {
  std::string message;
  Operation& operation =
      BeginOne(participant, "wait_receive", Function::kReceive, Progress::kBlocking, kNothing);
  const Deadline deadline = AnHour();
  const absl::StatusOr<MessageInfo> info = channel(participant).Receive(&message, deadline);
  if (!info.ok()) return EndNothing(operation, info.status());
  CheckWoken(deadline);
  EndTaken(operation, {message, *info});
}

void ChannelScene::WaitAndSend(int participant, ValueId id) {
  std::string message(message_bytes_, '\0');
  FillValue(id, kValueKey, message);
  Operation& operation =
      BeginOne(participant, "wait_send", Function::kSend, Progress::kBlocking, id);
  const Deadline deadline = AnHour();
  const absl::StatusOr<Sequence> sent = channel(participant).Send(message, deadline);
  if (sent.ok()) CheckWoken(deadline);
  EndSend(operation, sent);
}

std::optional<ChannelScene::Taken> ChannelScene::TakeOne(int participant) {
  Operation& operation =
      BeginOne(participant, "take", Function::kTake, design_.traits().receive, kNothing);
  absl::StatusOr<TakenMessage> taken = channel(participant).Take(Deadline::None());
  if (!taken.ok()) {
    EndNothing(operation, taken.status());
    return std::nullopt;
  }
  const ValueId id = IdIn(taken->bytes(), message_bytes_);
  EndTaken(operation, {taken->bytes(), taken->info()});
  return Taken{*std::move(taken), id};
}

void ChannelScene::GiveUp(int participant, Taken taken, bool acknowledge) {
  Channel& channel = this->channel(participant);
  Operation& given_up = BeginOne(participant, acknowledge ? "acknowledge" : "return",
                                 acknowledge ? Function::kAcknowledge : Function::kReturn,
                                 design_.traits().receive, taken.id);
  // It is to stay as it was.
  if (IdIn(taken.message.bytes(), message_bytes_) != taken.id) {
    FailStatus(absl::DataLossError("a taken message has changed"));
  }
  EndGivenUp(given_up, acknowledge ? channel.Acknowledge(std::move(taken.message))
                                   : channel.Return(std::move(taken.message)));
}

void ChannelScene::Take(int participant, bool acknowledge) {
  std::optional<Taken> taken = TakeOne(participant);
  if (taken.has_value()) GiveUp(participant, *std::move(taken), acknowledge);
}

void ChannelScene::ReturnTwo(int participant) {
  std::optional<Taken> first = TakeOne(participant);
  std::optional<Taken> second = TakeOne(participant);
  if (second.has_value()) GiveUp(participant, *std::move(second), /*acknowledge=*/false);
  if (first.has_value()) GiveUp(participant, *std::move(first), /*acknowledge=*/false);
}

void ChannelScene::TakeAsBatch(int participant) {
  Channel& channel = this->channel(participant);
  const Progress progress = design_.traits().receive;
  Operation& operation = BeginOne(participant, "drain", Function::kTake, progress, kNothing);
  absl::StatusOr<MessageBatch> batch = channel.Drain(1, Deadline::None());
  if (!batch.ok()) return EndNothing(operation, batch.status());
  const ValueId id = IdIn((*batch)[0].bytes, message_bytes_);
  EndTaken(operation, (*batch)[0]);
  Operation& given_up = BeginOne(participant, "acknowledge", Function::kAcknowledge, progress, id);
  EndGivenUp(given_up, channel.Acknowledge(*std::move(batch)));
}

void ChannelScene::Close(int participant) {
  Operation asked = {};
  asked.function = Function::kRecover;
  asked.argument = kOfAClose;
  Operation& operation = Begin(participant, "close", /*must_not_wait=*/false, asked);
  const absl::Status status = channel(participant).Close();
  if (!status.ok()) FailStatus(status);
  End(operation, Outcome::kOk, kNothing, 0);
}

Finding ChannelScene::CheckCloses() const {
  const bool is_closed =
      static_cast<ChannelBeginning>(scenario().beginning) == ChannelBeginning::kClosed;
  uint64_t first_call = is_closed ? 0 : kNever, first_return = first_call;
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (one.function != Function::kRecover || one.argument != kOfAClose) continue;
      first_call = std::min(first_call, one.invoke);
      if (one.outcome == Outcome::kOk) first_return = std::min(first_return, one.finish);
    }
  }
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (one.function != Function::kSend || one.outcome == Outcome::kOpen) continue;
      const bool was_told = one.expected == kOfAClose;
      if (was_told && one.finish < first_call) {
        return {Verdict::kViolation, "a send was told of a Close that nobody had called"};
      }
      if (!was_told && one.invoke > first_return) {
        return {Verdict::kViolation, "a send after a Close had returned was not told of it"};
      }
    }
  }
  return {};
}

void ChannelScene::Do(int participant, size_t number, size_t call) {
  switch (static_cast<ChannelCall>(call)) {
    case ChannelCall::kSend:
      return Send(participant, IdOfWrite(participant, number), /*as_draft=*/false);
    case ChannelCall::kDraft:
      return Send(participant, IdOfWrite(participant, number), /*as_draft=*/true);
    case ChannelCall::kReceive:
      return Receive(participant);
    case ChannelCall::kTake:
      return Take(participant, /*acknowledge=*/true);
    case ChannelCall::kReturn:
      return Take(participant, /*acknowledge=*/false);
    case ChannelCall::kDrain:
      return TakeAsBatch(participant);
    case ChannelCall::kClose:
      return Close(participant);
    case ChannelCall::kRecover:
      return Recover(participant);
    case ChannelCall::kReturnTwo:
      return ReturnTwo(participant);
    case ChannelCall::kJoin:
      return Join(participant);
    case ChannelCall::kWaitReceive:
      return WaitAndReceive(participant);
    case ChannelCall::kWaitSend:
      return WaitAndSend(participant, IdOfWrite(participant, number));
  }
}

// Receives all that is left; then nothing may be left.
Finding ChannelScene::Look() {
  if (Finding found = CheckCloses(); found.verdict != Verdict::kPass) return found;
  Channel& channel = this->channel(kAuditor);
  std::string message;
  for (;;) {
    const absl::StatusOr<MessageInfo> info = channel.Receive(&message, Deadline::None());
    const bool nothing = absl::IsDeadlineExceeded(info.status()) ||
                         absl::IsUnavailable(info.status()) || absl::IsOutOfRange(info.status());
    if (!info.ok() && !nothing) {
      return {Verdict::kViolation,
              absl::StrCat("Receive after recovery: ", std::string(info.status().message()))};
    }
    if (nothing && !is_broadcast_) break;
    Operation received = {};
    received.function = Function::kReceive;
    if (!nothing) {
      received.expected = info->missed;
      received.result = IdIn(message, message_bytes_);
      received.result_version = VersionOf(*info);
    }
    After(received);
    if (nothing) return {};
  }
  const absl::StatusOr<Occupancy> left = channel.Look();
  if (!left.ok()) {
    return {Verdict::kViolation,
            absl::StrCat("Look after recovery: ", std::string(left.status().message()))};
  }
  Operation counted = {};
  counted.function = Function::kCount;
  counted.result = left->waiting + left->taken;
  After(counted);
  return {};
}

}  // namespace kill9::explore

#include "harness/explore/scenes/channel_scene.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kill9::explore {
namespace {

constexpr size_t kMessageBytes = 24;
// How long messages are in drawn scenes; the first in all.
constexpr size_t kDrawnMessageBytes[] = {kMessageBytes, 8, 9, 16, 31, 56, 64, 120, 197, 600, 1500};
constexpr size_t kReadWhole = 256;  // in drawn scenes; of longer ones their head
constexpr size_t kMostOfABatch = 3;
constexpr size_t kLapOfMessages = 8;  // of a full broadcast: the next one overwrites another
// Messages are named as values of this key.
constexpr uint64_t kValueKey = 0;

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

ChannelScene::ChannelScene(const ChannelDesign& design, const Scenario& scenario)
    : ObjectScene(design, scenario),
      design_(design),
      is_broadcast_(design.traits().delivery == ChannelTraits::Delivery::kBroadcast) {}

// The members and their segment lie in the arena, which forgets them.
ChannelScene::~ChannelScene() = default;

// The checker of broadcasts takes the receives of one subscriber one by one.
size_t ChannelScene::MostOfABatch() const { return is_broadcast_ ? 1 : kMostOfABatch; }

// Messages are read whole up to so many bytes.
size_t ChannelScene::ReadWhole() const {
  return scenario().drawn == 0 ? message_bytes_ : std::max(message_bytes_, kReadWhole);
}

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

void ChannelScene::Prepare(int participant, int what) {
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
      const absl::Status none = channel(participant).Receive(&message, LongEnough()).status();
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
  options.max_participants =
      Places(static_cast<size_t>(ChannelCall::kJoin), static_cast<size_t>(ChannelCall::kCome)) +
      static_cast<uint32_t>(Pick(Aspect::kPlaces, 3));
  options.hash_seed = 1;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = SmallestSegment(design_, options);
  if (!segment.ok()) CannotMake(segment.status());
  segment_ = new std::shared_ptr<Segment>(*segment);
  Attach(kAuditor);
  sent_at_beginning_ = 0;
  message_bytes_ = kMessageBytes;
  // A subscriber gets what is sent from then on; in a queue, who comes later gets what waits.
  const bool waits = HasAny([](size_t call) {
    using enum ChannelCall;
    const auto one = static_cast<ChannelCall>(call);
    return one == kWaitReceive || one == kWaitSend || one == kSoonReceive || one == kSoonSend ||
           one == kAsk || one == kServe || one == kToldReceive;
  });
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

// All have waited before, and nobody is announced any more: a message has come since. Who looks has
// done so in any case: what a process sets up at its first wait is there.
void ChannelScene::WaitInVain() {
  Stage& stage = Stage::Get();
  if (!scenario().have_waited) stage.As(kAuditor, kWaitForNothing);
  for (int i = 0; i < participants() && scenario().have_waited; ++i) stage.As(i, kWaitForNothing);
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

// A broadcast that is full has messages of one size.
size_t ChannelScene::BytesOf(ValueId id) const {
  if (message_bytes_ != kMessageBytes) return message_bytes_;
  return kDrawnMessageBytes[PickOf(Mix(static_cast<uint64_t>(Aspect::kBytes), id),
                                   std::size(kDrawnMessageBytes))];
}

std::string ChannelScene::MessageOf(ValueId id) const {
  std::string message(BytesOf(id), '\0');
  FillValue(id, kValueKey, message);
  return message;
}

// The same call, of two messages: as many sends, which begin and end together.
void ChannelScene::SendTwo(int participant, ValueId first) {
  constexpr ValueId kSecond = 1u << 16;  // beside the numbers of all other sends
  const std::string messages[] = {MessageOf(first), MessageOf(first + kSecond)};
  const std::string_view shown[] = {messages[0], messages[1]};
  Operation& operation =
      BeginOne(participant, "batch", Function::kSend, design_.traits().send, first);
  Operation asked = {};
  asked.function = Function::kSend;
  asked.argument = first + kSecond;
  BeginBeside(participant, asked);
  const absl::StatusOr<size_t> sent = channel(participant).SendMany(shown, Deadline::None());
  if (!sent.ok() || *sent == 0) {
    EndSend(operation, sent.ok() ? absl::ResourceExhaustedError("") : sent.status());
    (&operation)[1].expected = operation.expected;
    return EndBeside(operation, 1, kNothing, 0);
  }
  End(operation, Outcome::kOk, kNothing, 0);
  EndBeside(operation, 1, kNothing, 0);
  if (*sent < std::size(shown)) (&operation)[1].outcome = Outcome::kRefused;
}

bool ChannelScene::Send(int participant, ValueId id, bool as_draft) {
  Channel& channel = this->channel(participant);
  const std::string message = MessageOf(id);
  Operation& operation = BeginOne(participant, as_draft ? "draft" : "send", Function::kSend,
                                  design_.traits().send, id);
  absl::StatusOr<Sequence> sent;
  if (!as_draft) {
    sent = channel.Send(message, Deadline::None());
  } else if (absl::StatusOr<MessageDraft> draft = channel.Reserve(message.size(), Deadline::None());
             !draft.ok()) {
    sent = draft.status();
  } else {
    std::copy(message.begin(), message.end(), draft->bytes().begin());
    sent = channel.Commit(*std::move(draft));
  }
  EndSend(operation, sent);
  return sent.ok();
}

void ChannelScene::EndNothing(Operation& operation, const absl::Status& status) {
  if (!IsRefusal(status)) FailStatus(status);
  const bool tells_of_messages = absl::IsDeadlineExceeded(status) || absl::IsOutOfRange(status);
  if (absl::IsOutOfRange(status)) operation.expected = kOfAClose;
  End(operation, tells_of_messages ? Outcome::kOk : Outcome::kRefused, kNothing, 0);
}

void ChannelScene::EndTaken(Operation& operation, const Message& message) {
  operation.expected = message.info.missed;
  End(operation, Outcome::kOk, IdIn(message.bytes, ReadWhole()), VersionOf(message.info));
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

std::optional<ChannelScene::Taken> ChannelScene::TakeOne(int participant) {
  Operation& operation =
      BeginOne(participant, "take", Function::kTake, design_.traits().receive, kNothing);
  absl::StatusOr<TakenMessage> taken = channel(participant).Take(Deadline::None());
  if (!taken.ok()) {
    EndNothing(operation, taken.status());
    return std::nullopt;
  }
  const ValueId id = IdIn(taken->bytes(), ReadWhole());
  EndTaken(operation, {taken->bytes(), taken->info()});
  return Taken{*std::move(taken), id};
}

void ChannelScene::GiveUp(int participant, Taken taken, bool acknowledge) {
  Channel& channel = this->channel(participant);
  Operation& given_up = BeginOne(participant, acknowledge ? "acknowledge" : "return",
                                 acknowledge ? Function::kAcknowledge : Function::kReturn,
                                 design_.traits().receive, taken.id);
  // It is to stay as it was.
  if (IdIn(taken.message.bytes(), ReadWhole()) != taken.id) {
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

// As many takes as it may have messages, and as many of what follows, which begin and end together.
void ChannelScene::TakeAsBatch(int participant, size_t most, bool acknowledge) {
  Channel& channel = this->channel(participant);
  const Progress progress = design_.traits().receive;
  Operation& operation = BeginOne(participant, "drain", Function::kTake, progress, kNothing);
  Operation beside = {};
  beside.function = Function::kTake;
  for (size_t i = 1; i < most; ++i) BeginBeside(participant, beside);
  absl::StatusOr<MessageBatch> batch = channel.Drain(most, Deadline::None());
  const size_t count = batch.ok() ? batch->size() : 0;
  if (count > most || (batch.ok() && count == 0)) {
    FailStatus(absl::InternalError(absl::StrCat("a batch of at most ", most, " has ", count)));
  }
  std::array<ValueId, kMostOfABatch> ids;
  const bool is_total = design_.traits().order == ChannelTraits::Order::kTotal;
  for (size_t i = 0; i < count; ++i) {
    ids[i] = IdIn((*batch)[i].bytes, ReadWhole());
    const bool is_behind = i > 0 && (*batch)[i].info.sequence <= (*batch)[i - 1].info.sequence;
    if (is_total && design_.traits().has_sequences && is_behind) {
      FailStatus(absl::InternalError("a batch shows a message after a later one"));
    }
  }
  if (batch.ok()) {
    EndTaken(operation, (*batch)[0]);
  } else {
    EndNothing(operation, batch.status());
  }
  for (size_t i = 1; i < most; ++i) {
    Operation& one = (&operation)[i];
    if (i < count) one.expected = (*batch)[i].info.missed;
    EndBeside(operation, i, i < count ? ids[i] : kNothing,
              i < count ? VersionOf((*batch)[i].info) : 0);
    if (i >= count) one.outcome = Outcome::kRefused;
  }
  if (!batch.ok()) return;
  const Function function = acknowledge ? Function::kAcknowledge : Function::kReturn;
  Operation& given_up =
      BeginOne(participant, acknowledge ? "acknowledge" : "return", function, progress, ids[0]);
  beside.function = function;
  for (size_t i = 0; i < count; ++i) {
    // It is to stay as it was.
    if (IdIn((*batch)[i].bytes, ReadWhole()) != ids[i]) {
      FailStatus(absl::DataLossError("a taken message has changed"));
    }
    beside.argument = ids[i];
    if (i > 0) BeginBeside(participant, beside);
  }
  EndGivenUp(given_up, acknowledge ? channel.Acknowledge(*std::move(batch))
                                   : channel.Return(*std::move(batch)));
  for (size_t i = 1; i < count; ++i) EndBeside(given_up, i, kNothing, 0);
}

void ChannelScene::Keep(int participant, size_t number) {
  std::optional<Taken> taken = TakeOne(participant);
  DoAfter(participant, number);
  if (taken.has_value()) GiveUp(participant, *std::move(taken), /*acknowledge=*/true);
}

std::optional<ChannelScene::Taken> ChannelScene::WaitAndTake(int participant) {
  Operation& operation =
      BeginOne(participant, "wait_take", Function::kTake, Progress::kBlocking, kNothing);
  const Deadline deadline = AnHour();
  absl::StatusOr<TakenMessage> taken = channel(participant).Take(deadline);
  if (!taken.ok()) {
    EndWait(operation, taken.status());
    return std::nullopt;
  }
  CheckWoken(deadline);
  const ValueId id = IdIn(taken->bytes(), ReadWhole());
  EndTaken(operation, {taken->bytes(), taken->info()});
  return Taken{*std::move(taken), id};
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

void ChannelScene::Do(int participant, size_t number, size_t call) {
  switch (static_cast<ChannelCall>(call)) {
    case ChannelCall::kSend:
    case ChannelCall::kDraft:
      Send(participant, IdOfWrite(participant, number),
           static_cast<ChannelCall>(call) == ChannelCall::kDraft);
      return;
    case ChannelCall::kReceive:
      return Receive(participant);
    case ChannelCall::kTake:
      return Take(participant, /*acknowledge=*/true);
    case ChannelCall::kReturn:
      return Take(participant, /*acknowledge=*/false);
    case ChannelCall::kDrain:
      return TakeAsBatch(participant, 1, /*acknowledge=*/true);
    case ChannelCall::kDrainAll:
      return TakeAsBatch(participant, MostOfABatch(), /*acknowledge=*/true);
    case ChannelCall::kReturnAll:
      return TakeAsBatch(participant, MostOfABatch(), /*acknowledge=*/false);
    case ChannelCall::kKeep:
      return Keep(participant, number);
    case ChannelCall::kBatch:
      return SendTwo(participant, IdOfWrite(participant, number));
    case ChannelCall::kCome:
      return Come(participant, number);
    case ChannelCall::kClose:
      return Close(participant);
    case ChannelCall::kRecover:
      return Recover(participant);
    case ChannelCall::kReturnTwo:
      return ReturnTwo(participant);
    case ChannelCall::kJoin:
      return Join(participant);
    case ChannelCall::kWaitReceive:
    case ChannelCall::kSoonReceive:
      return WaitAndReceive(participant, IsTimedChannelCall(call));
    case ChannelCall::kWaitSend:
    case ChannelCall::kSoonSend:
      return WaitAndSend(participant, IdOfWrite(participant, number), IsTimedChannelCall(call));
    case ChannelCall::kTick:
      return Tick(participant);
    case ChannelCall::kAsk:
      return Ask(participant, number);
    case ChannelCall::kServe:
      return Serve(participant, number);
    case ChannelCall::kToldReceive:
      return ReceiveAsTold(participant);
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
      received.result = IdIn(message, ReadWhole());
      received.result_version = VersionOf(*info);
      received.invoke = kNever;
      if (IsAfterAnEnd(received)) return {Verdict::kViolation, kAfterTheEnd};
      if (!is_broadcast_ && WasOverslept(received.result)) return {Verdict::kStuck, kOverslept};
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

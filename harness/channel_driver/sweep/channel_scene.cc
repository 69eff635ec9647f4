#include "harness/channel_driver/sweep/channel_scene.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "harness/base/shared_mapping.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kParticipants = 8;
constexpr uint32_t kIdle = 66;  // so that all others have places beyond a word of 64 bits
constexpr uint32_t kSeveral = 4;
constexpr uint32_t kHolder = 100;  // the first one, as a process of the history

}  // namespace

std::string MessageOf(ValueId id, uint32_t bytes) {
  std::string message(bytes, '\0');
  FillValue(id, /*key=*/0, message);
  return message;
}

// Of what nobody has sent so, a number that no message has.
ValueId IdOf(std::string_view bytes) {
  const ValueCheck check = CheckValue(/*key=*/0, bytes);
  return check.defect == ValueDefect::kNone ? check.id : kUnreadValue;
}

void EndReceived(OperationLog& log, Operation& operation, std::string_view bytes,
                 const MessageInfo& info) {
  operation.expected = info.missed;
  log.End(operation, Outcome::kOk, IdOf(bytes), info.sequence * 2 + (info.redelivered ? 1 : 0));
}

void RecordSubscription(const Channel& channel, uint32_t process, OperationLog& log) {
  Operation& operation = log.Begin(process, Function::kSubscribe, 0);
  log.End(operation, Outcome::kOk, channel.began_after());
}

absl::StatusOr<std::unique_ptr<Channel>> ChannelScene::Attach() const {
  return design_.Attach(segment_, {.start = Membership::Start::kOldest});
}

absl::StatusOr<std::unique_ptr<SharedObject>> ChannelScene::AttachHolder() const {
  return Attach();
}

void ChannelScene::Record(Function function, uint64_t argument, uint64_t result, uint64_t version) {
  Operation operation{};
  operation.invoke = ++time_;
  operation.finish = ++time_;
  operation.process = kMaker;
  operation.function = function;
  operation.outcome = Outcome::kOk;
  operation.argument = argument;
  operation.result = result;
  operation.result_version = version;
  beginning_.push_back(operation);
}

absl::StatusOr<bool> ChannelScene::Send(Channel& channel, uint32_t bytes) {
  const ValueId id = MakeValueId(kMaker, ++sequence_);
  const absl::StatusOr<Sequence> sent = channel.Send(MessageOf(id, bytes), Deadline::None());
  if (absl::IsDeadlineExceeded(sent.status()) || absl::IsResourceExhausted(sent.status())) {
    return false;
  }
  if (!sent.ok()) return sent.status();
  Record(Function::kSend, id, kNothing, *sent * 2);
  return true;
}

absl::Status ChannelScene::Make(uint64_t size_bytes) {
  closed_ = MapShared<std::atomic<uint32_t>>();
  if (closed_ == nullptr) return absl::ResourceExhaustedError("no memory");
  SetOptions(size_bytes, kParticipants + making().idle, shape_);
  if (design_.traits().needs_name) {
    options_.location = {SegmentKind::kNamed, absl::StrCat("kill9-sweep-channel-", getpid())};
    Segment::Unlink(options_.location).IgnoreError();  // of a cell that was cut off
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = design_.Create(options_);
  if (!segment.ok()) return segment.status();
  segment_ = *std::move(segment);
  absl::StatusOr<std::unique_ptr<Channel>> channel = design_.Attach(segment_, {});
  if (!channel.ok()) return channel.status();
  if ((*channel)->max_message_bytes() < 4 * kLargeMessageBytes) {
    return absl::OutOfRangeError("too small for large messages");
  }
  if (absl::Status status = FillOnce(**channel); !status.ok()) return status;
  if (state_ == ChannelState::kFull) return absl::OkStatus();
  // Another one is worked on, which the victim creates: nothing was done to that before.
  if (operation_ == ChannelOperation::kCreate) beginning_.clear();
  std::vector<uint32_t> sizes;
  if (state_ == ChannelState::kLargeMessage) sizes = {kLargeMessageBytes, kSmallMessageBytes};
  if (state_ == ChannelState::kOneMessage) sizes = {kSmallMessageBytes};
  if (state_ >= ChannelState::kTakenByLive || state_ == ChannelState::kSeveral) {
    // Who finds no message would recover the dead.
    sizes.assign(making().all_participants_dead ? kParticipants : kSeveral, kSmallMessageBytes);
  }
  if (state_ == ChannelState::kMany || state_ == ChannelState::kManyReturned) {
    sizes.assign(kManyMessages - 10, kSmallMessageBytes);
    if (absl::Status status = GoRound(**channel); !status.ok()) return status;
  }
  const size_t first = beginning_.size();
  for (const uint32_t size : sizes) {
    const absl::StatusOr<bool> room = Send(**channel, size);
    if (!room.ok() || !*room) return absl::ResourceExhaustedError("no room for the state");
  }
  if (state_ == ChannelState::kManyReturned) return ReturnEach(**channel, sizes.size());
  RecordHolders(first);
  return absl::OkStatus();
}

// Rings have as many slots as a power of two, or as the room has granules, or twice as many: its
// bytes are a multiple of each. What was received long ago says nothing, and is not recorded.
absl::Status ChannelScene::GoRound(Channel& channel) {
  if (is_broadcast()) return absl::OkStatus();  // what it has sent stays
  const absl::StatusOr<Occupancy> occupancy = channel.Look();
  if (!occupancy.ok()) return occupancy.status();
  const std::string message(kSmallMessageBytes, '\0');
  std::string received;
  for (uint64_t sent = sequence_; sent + kManyMessages / 2 < occupancy->capacity_bytes; ++sent) {
    absl::Status status = channel.Send(message, Deadline::None()).status();
    if (status.ok()) status = channel.Receive(&received, Deadline::None()).status();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Takes so many, as one batch, and returns them.
absl::Status ChannelScene::ReturnEach(Channel& channel, size_t messages) {
  absl::StatusOr<MessageBatch> batch = channel.Drain(messages, Deadline::None());
  if (!batch.ok()) return batch.status();
  for (const Function function : {Function::kTake, Function::kReturn}) {
    for (const Message& message : *batch) {
      const bool takes = function == Function::kTake;
      Record(function, takes ? kNothing : IdOf(message.bytes),
             takes ? IdOf(message.bytes) : kNothing, takes ? message.info.sequence * 2 : 0);
    }
  }
  return channel.Return(*std::move(batch));
}

absl::Status ChannelScene::FillOnce(Channel& channel) {
  if (is_broadcast()) {
    // Never full: it goes round. What was sent would be there for ever, so only where it is to be.
    if (state_ != ChannelState::kFull) return absl::OkStatus();
    const uint64_t messages = 2 * channel.Look()->capacity_bytes / fill_bytes();
    for (uint64_t i = 0; i < messages; ++i) {
      const absl::StatusOr<bool> room = Send(channel, fill_bytes());
      if (!room.ok() || !*room) return absl::ResourceExhaustedError("no room for the state");
    }
    return absl::OkStatus();
  }
  // A segment that grows is at its full length: what is compared and restored has one size.
  absl::StatusOr<bool> room = true;
  for (const uint32_t size : {fill_bytes(), kSmallMessageBytes}) {
    while (room.ok() && *room) room = Send(channel, size);
    if (!room.ok()) return room.status();
    room = true;
  }
  if (state_ == ChannelState::kFull) return absl::OkStatus();
  std::string message;
  for (;;) {
    const absl::StatusOr<MessageInfo> info = channel.Receive(&message, Deadline::None());
    if (!info.ok()) return absl::OkStatus();
    Record(Function::kReceive, kNothing, IdOf(message), info->sequence * 2);
  }
}

void ChannelScene::RecordHolders(size_t first) {
  const size_t taken = making().all_participants_dead                 ? kParticipants - 1
                       : making().live_holder || making().dead_holder ? 1
                                                                      : 0;
  for (size_t i = 0; i < taken; ++i) {
    const uint32_t holder = kHolder + static_cast<uint32_t>(i);
    // Of a broadcast each takes the first one.
    const Operation sent = beginning_[is_broadcast() ? first : first + i];
    if (is_broadcast()) {
      Record(Function::kSubscribe, kNothing, sent.result_version / 2 - 1, 0);
      beginning_.back().process = holder;
    }
    Record(Function::kTake, kNothing, sent.argument, sent.result_version);
    beginning_.back().process = holder;
  }
}

Scene::Making ChannelScene::making() const {
  Making making;
  making.live_holder = state_ == ChannelState::kTakenByLive;
  making.idle = making.live_holder ? kIdle : 0;
  making.dead_holder = state_ == ChannelState::kTakenByDead;
  making.all_participants_dead = state_ == ChannelState::kAllParticipantsDead;
  making.dead_beside = making.all_participants_dead ? 0 : shape_.dead;
  const auto half_done = [&making](ChannelOperation operation) {
    making.half_done = static_cast<uint32_t>(operation);
  };
  if (state_ == ChannelState::kHalfSent || making.all_participants_dead) {
    half_done(ChannelOperation::kSend);
  }
  if (state_ == ChannelState::kHalfSentLarge) half_done(ChannelOperation::kSendLarge);
  if (state_ == ChannelState::kHalfAcknowledged) half_done(ChannelOperation::kAcknowledge);
  return making;
}

Naming ChannelScene::naming() const {
  Naming naming;
  naming.key = [](uint64_t) { return std::string("the channel"); };
  naming.value = [](uint64_t id) {
    if (id == kUnreadValue) return std::string("(that nobody sent)");
    return absl::StrCat("m", ProcessOf(id), ".", SequenceOf(id));
  };
  return naming;
}

std::unique_ptr<Scene> ChannelScene::In(std::shared_ptr<Segment> other) const {
  auto scene = std::make_unique<ChannelScene>(design_, operation_, ChannelState::kEmpty, shape_);
  scene->options_ = options_;
  scene->segment_ = std::move(other);
  scene->closed_ = closed_;
  return scene;
}

std::unique_ptr<Victim> ChannelScene::NewVictim(uint32_t operation, uint32_t number, bool,
                                                OperationLog log) const {
  return std::make_unique<ChannelVictim>(*this, static_cast<ChannelOperation>(operation), number,
                                         log);
}

absl::StatusOr<std::unique_ptr<Survivor>> ChannelScene::NewSurvivor(CellProcess process,
                                                                    Findings& findings,
                                                                    OperationLog log) const {
  absl::StatusOr<std::unique_ptr<Channel>> channel = Attach();
  if (!channel.ok()) return channel.status();
  // Of a run before. Relaxed: as in ChannelVictim::Prepare.
  if (process == kSurvivorBefore) closed().store(0, std::memory_order_relaxed);
  return std::make_unique<ChannelSurvivor>(*this, process, *std::move(channel), findings, log);
}

// A message that was taken and a draft. The take is in the history already (Make).
std::shared_ptr<void> ChannelScene::Hold(SharedObject& object) const {
  struct Held {
    TakenMessage taken;
    MessageDraft draft;
  };
  Channel& channel = static_cast<Channel&>(object);
  auto held = std::make_shared<Held>();
  absl::StatusOr<TakenMessage> taken = channel.Take(Deadline::None());
  if (taken.ok()) held->taken = *std::move(taken);
  absl::StatusOr<MessageDraft> draft = channel.Reserve(kSmallMessageBytes, Deadline::None());
  if (draft.ok()) held->draft = *std::move(draft);
  return taken.ok() || draft.ok() ? held : nullptr;
}

// A draft. Where there is no room for it, nothing.
std::shared_ptr<void> ChannelScene::HoldUnseen(SharedObject& object) const {
  auto held = std::make_shared<MessageDraft>();
  if (state_ == ChannelState::kFull || !design_.traits().has_draft) return held;
  absl::StatusOr<MessageDraft> draft =
      static_cast<Channel&>(object).Reserve(kSmallMessageBytes, Deadline::None());
  if (draft.ok()) *held = *std::move(draft);
  return held;
}

bool ChannelScene::IsTried(uint32_t probe) const {
  const ChannelTraits& traits = design_.traits();
  switch (probe) {
    case kTryDraft:
      return traits.has_draft;
    case kTryTake:
      return traits.has_take;
    case kTryRecover:
      return traits.has_recovery;
    default:
      return true;
  }
}

bool ChannelScene::DeclaredUnblocked(uint32_t probe, Nearness) const {
  const ChannelTraits& traits = design_.traits();
  switch (probe) {
    case kTrySend:
    case kTryDraft:
      return traits.send != Progress::kBlocking;
    case kTryTake:
    case kTryReceive:
      return traits.receive != Progress::kBlocking;
    default:
      return traits.send != Progress::kBlocking && traits.receive != Progress::kBlocking;
  }
}

}  // namespace kill9::sweep

// Victims of the sweep of channels.
#include "harness/channel_driver/sweep/channel_scene.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kSendRowMessages = 12;
constexpr uint32_t kLargeInRow = 7;

}  // namespace

ChannelVictim::ChannelVictim(const ChannelScene& scene, ChannelOperation operation, uint32_t number,
                             OperationLog log)
    : scene_(scene),
      operation_(operation),
      process_(kVictims + number),
      log_(log),
      message_(MessageOf(MakeValueId(process_, 1), operation == ChannelOperation::kSendLarge
                                                       ? scene.large_bytes()
                                                       : scene.small_bytes())),
      second_(MessageOf(MakeValueId(process_, 2), kSmallMessageBytes)) {
  // Room for what is read: growing it would be the string's instructions, not the channel's.
  read_.reserve(size_t{16} << 10);
  announced_.reserve(kManyMessages);
  for (uint32_t i = 0; operation == ChannelOperation::kSendRow && i < kSendRowMessages; ++i) {
    const uint32_t bytes = i == kLargeInRow ? scene.large_bytes() : scene.small_bytes();
    row_.push_back(MessageOf(MakeValueId(process_, i + 1), bytes));
  }
}

absl::Status ChannelVictim::Prepare() {
  // Relaxed: nobody has worked yet.
  if (process_ == kVictims) scene_.closed().store(0, std::memory_order_relaxed);
  absl::StatusOr<std::unique_ptr<Channel>> channel = scene_.Attach();
  if (!channel.ok()) return channel.status();
  channel_ = *std::move(channel);
  if (scene_.is_broadcast()) RecordSubscription(*channel_, process_, log_);
  if (absl::Status status = GetReady(); !status.ok()) return status;
  switch (operation_) {
    case ChannelOperation::kSend:
    case ChannelOperation::kSendLarge:
      Announce(Function::kSend, MakeValueId(process_, 1));
      break;
    case ChannelOperation::kSendMany:
      Announce(Function::kSend, MakeValueId(process_, 1));
      Announce(Function::kSend, MakeValueId(process_, 2));
      break;
    case ChannelOperation::kCommit:
      // In a full channel there is nothing to commit.
      Announce(Function::kSend, MakeValueId(process_, 1));
      break;
    case ChannelOperation::kSendRow:
      for (uint32_t i = 0; i < kSendRowMessages; ++i) {
        Announce(Function::kSend, MakeValueId(process_, i + 1));
      }
      break;
    case ChannelOperation::kReceive:
      Announce(Function::kReceive);
      break;
    case ChannelOperation::kTake:
    case ChannelOperation::kDrain:
      Announce(Function::kTake);
      break;
    default:
      break;
  }
  return absl::OkStatus();
}

void ChannelVictim::NoteTaken(const Message& message) {
  Operation& take = log_.Begin(process_, Function::kTake, 0);
  EndReceived(log_, take, message.bytes, message.info);
}

absl::Status ChannelVictim::GetReady() {
  const bool acknowledges = operation_ == ChannelOperation::kAcknowledge ||
                            operation_ == ChannelOperation::kAcknowledgeBatch;
  const Function gives_up = acknowledges ? Function::kAcknowledge : Function::kReturn;
  switch (operation_) {
    case ChannelOperation::kCommit:
    case ChannelOperation::kDrop: {
      absl::StatusOr<MessageDraft> draft = channel_->Reserve(message_.size(), Deadline::None());
      if (draft.ok()) {
        draft_ = *std::move(draft);
        message_.copy(draft_.bytes().data(), message_.size());
      }
      return absl::OkStatus();
    }
    case ChannelOperation::kAcknowledge:
    case ChannelOperation::kReturn: {
      absl::StatusOr<TakenMessage> taken = channel_->Take(Deadline::None());
      if (!taken.ok()) return absl::OkStatus();  // the operation is then a misuse, refused
      taken_ = *std::move(taken);
      NoteTaken({taken_.bytes(), taken_.info()});
      Announce(gives_up, IdOf(taken_.bytes()));
      return absl::OkStatus();
    }
    case ChannelOperation::kAcknowledgeBatch:
    case ChannelOperation::kReturnBatch: {
      absl::StatusOr<MessageBatch> batch = channel_->Drain(Channel::kAll, Deadline::None());
      if (!batch.ok()) return absl::OkStatus();
      batch_ = *std::move(batch);
      for (const Message& message : batch_) NoteTaken(message);
      for (const Message& message : batch_) Announce(gives_up, IdOf(message.bytes));
      return absl::OkStatus();
    }
    default:
      return absl::OkStatus();
  }
}

void ChannelVictim::Run() {
  const auto take_sequence = [this](const absl::StatusOr<Sequence>& sent) {
    status_ = sent.status();
    if (sent.ok()) sequence_ = *sent;
  };
  switch (operation_) {
    case ChannelOperation::kSend:
    case ChannelOperation::kSendLarge:
      return take_sequence(channel_->Send(message_, Deadline::None()));
    case ChannelOperation::kSendMany: {
      const std::string_view both[] = {message_, second_};
      const absl::StatusOr<size_t> sent = channel_->SendMany(both, Deadline::None());
      status_ = sent.status();
      sequence_ = sent.ok() ? *sent : 0;  // how many were sent
      return;
    }
    case ChannelOperation::kSendRow: {
      const std::vector<std::string_view> row(row_.begin(), row_.end());
      const absl::StatusOr<size_t> sent = channel_->SendMany(row, Deadline::None());
      status_ = sent.status();
      sequence_ = sent.ok() ? *sent : 0;  // how many were sent
      return;
    }
    case ChannelOperation::kReserve: {
      absl::StatusOr<MessageDraft> draft = channel_->Reserve(message_.size(), Deadline::None());
      if (draft.ok()) draft_ = *std::move(draft);
      return;
    }
    case ChannelOperation::kCommit:
      return take_sequence(channel_->Commit(std::move(draft_)));
    case ChannelOperation::kDrop:
      draft_.Drop();
      return;
    case ChannelOperation::kReceive: {
      const absl::StatusOr<MessageInfo> info = channel_->Receive(&read_, Deadline::None());
      got_ = info.ok();
      if (got_) info_ = *info;
      return;
    }
    case ChannelOperation::kTake: {
      absl::StatusOr<TakenMessage> taken = channel_->Take(Deadline::None());
      got_ = taken.ok();
      if (got_) taken_ = *std::move(taken);
      return;
    }
    case ChannelOperation::kDrain: {
      absl::StatusOr<MessageBatch> batch = channel_->Drain(1, Deadline::None());
      got_ = batch.ok();
      if (got_) batch_ = *std::move(batch);
      return;
    }
    case ChannelOperation::kAcknowledge:
      status_ = channel_->Acknowledge(std::move(taken_));
      return;
    case ChannelOperation::kReturn:
      status_ = channel_->Return(std::move(taken_));
      return;
    case ChannelOperation::kAcknowledgeBatch:
      status_ = channel_->Acknowledge(std::move(batch_));
      return;
    case ChannelOperation::kReturnBatch:
      status_ = channel_->Return(std::move(batch_));
      return;
    case ChannelOperation::kClose:
      status_ = channel_->Close();
      return;
    default:
      return;  // the sweep's own
  }
}

void ChannelVictim::Record() {
  if (operation_ == ChannelOperation::kClose && status_.ok()) {
    // Release: pairs with the acquires of survivors, whose calls come later.
    scene_.closed().store(1, std::memory_order_release);
  }
  if (operation_ == ChannelOperation::kTake && got_) info_ = taken_.info();
  if (operation_ == ChannelOperation::kDrain && got_) info_ = batch_[0].info;
  const std::string_view bytes = operation_ == ChannelOperation::kTake && got_    ? taken_.bytes()
                                 : operation_ == ChannelOperation::kDrain && got_ ? batch_[0].bytes
                                                                                  : read_;
  for (size_t i = 0; i < announced_.size(); ++i) {
    Operation& operation = *announced_[i];
    const bool takes =
        operation.function == Function::kReceive || operation.function == Function::kTake;
    if (takes) {
      if (got_) {
        EndReceived(log_, operation, bytes, info_);
      } else {
        log_.End(operation, Outcome::kOk);
      }
    } else if (operation_ == ChannelOperation::kSendMany ||
               operation_ == ChannelOperation::kSendRow) {
      log_.End(operation, i < sequence_ ? Outcome::kOk : Outcome::kRefused);
    } else {
      log_.End(operation, status_.ok() ? Outcome::kOk : Outcome::kRefused, kNothing,
               status_.ok() ? sequence_ * 2 : 0);
    }
  }
}

}  // namespace kill9::sweep

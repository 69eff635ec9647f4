// Victims of the sweep of pools.
#include "harness/pool_driver/sweep/pool_scene.h"

namespace kill9::sweep {
namespace {

constexpr size_t kHoldsOfALeaver = 3;

}  // namespace

PoolVictim::PoolVictim(const PoolScene& scene, PoolOperation operation, uint32_t number,
                       OperationLog log)
    : scene_(scene), operation_(operation), process_(kVictims + number), log_(log) {
  held_.reserve(kHoldsOfALeaver + 1);
}

absl::Status PoolVictim::GetBuffer() {
  if (scene_.is_shared()) {
    Operation& receive = log_.Begin(process_, Function::kReceive, 0);
    absl::StatusOr<ReceivedBuffer> received = seat_.Receive();
    if (received.ok() && received->buffer.has_block()) {
      const MessageInfo info = received->info;
      absl::StatusOr<HeldBuffer> taken = TakeOut(*std::move(received));
      EndReceive(log_, receive, taken, info);
      if (!taken.ok()) return taken.status();
      held_.push_back(*std::move(taken));
      return absl::OkStatus();
    }
    log_.End(receive, received.ok() ? Outcome::kRefused : Outcome::kOk);
    if (!received.ok() && !IsRefusal(received.status())) return received.status();
    // Another victim has it.
  }
  absl::StatusOr<HeldBuffer> made = MakeBuffer(*seat_.pool, NextId(), scene_.small_bytes());
  if (!made.ok()) return made.status();
  held_.push_back(*std::move(made));
  return absl::OkStatus();
}

absl::Status PoolVictim::Prepare() {
  absl::StatusOr<BoxedPool> seat = scene_.AttachAs(process_);
  if (!seat.ok()) return seat.status();
  seat_ = *std::move(seat);
  const bool on_buffer =
      operation_ >= PoolOperation::kRelease && operation_ <= PoolOperation::kGrow;
  if (on_buffer || operation_ == PoolOperation::kLeave) {
    if (absl::Status status = GetBuffer(); !status.ok()) return status;
  }
  // In this state only with what it has received.
  const bool has_several =
      operation_ == PoolOperation::kLeave && scene_.state() != PoolState::kSharedWithDead;
  while (has_several && held_.size() < kHoldsOfALeaver) {
    // Of two buffers; of the first one twice.
    absl::StatusOr<Buffer> other = held_.front().buffer.Share();
    if (!other.ok()) return other.status();
    held_.push_back({*std::move(other), held_.front().id});
    absl::StatusOr<HeldBuffer> made = MakeBuffer(*seat_.pool, NextId(), scene_.small_bytes());
    if (!made.ok()) return made.status();
    held_.push_back(*std::move(made));
  }
  const bool sends = operation_ == PoolOperation::kSend || operation_ == PoolOperation::kSendShared;
  if (sends) announced_ = &log_.Begin(process_, Function::kSend, 0, held_.front().id);
  // What is dropped is gone as if it had been received by nobody else.
  if (operation_ == PoolOperation::kReceive || operation_ == PoolOperation::kDropSent) {
    announced_ = &log_.Begin(process_, Function::kReceive, 0);
  }
  return absl::OkStatus();
}

void PoolVictim::Run() {
  const auto answer = [this](const auto& result) {
    status_ = result.status();
    if (result.ok()) answer_ = *result;
  };
  switch (operation_) {
    case PoolOperation::kAllocate:
    case PoolOperation::kAllocateLarge: {
      const uint32_t bytes =
          operation_ == PoolOperation::kAllocate ? scene_.small_bytes() : scene_.large_bytes();
      absl::StatusOr<Buffer> buffer = seat_.pool->Allocate(bytes, Deadline::None());
      if (buffer.ok()) held_.push_back({*std::move(buffer), kNothing});
      return;
    }
    case PoolOperation::kRelease:
      return held_.front().buffer.Release();
    case PoolOperation::kShare: {
      absl::StatusOr<Buffer> other = held_.front().buffer.Share();
      if (other.ok()) held_.push_back({*std::move(other), held_.front().id});
      return;
    }
    case PoolOperation::kSend:
      return answer(seat_.Send(held_.front()));
    case PoolOperation::kSendShared:
      return answer(seat_.SendShared(held_.front()));
    case PoolOperation::kWrite:
      status_ = held_.front().buffer.Write(Deadline::None()).status();
      return;
    case PoolOperation::kGrow:
      status_ = held_.front().buffer.GrowBack(kMoreBytes, Deadline::None()).status();
      return;
    case PoolOperation::kReceive: {
      absl::StatusOr<ReceivedBuffer> received = seat_.Receive();
      status_ = received.status();
      if (received.ok()) received_ = *std::move(received);
      return;
    }
    case PoolOperation::kDropSent:
      // As long as a hold is a message's, that message is in the box.
      return answer(seat_.pool->DropSent([this](uint32_t box) {
        dropped_ = scene_.IdInTheBox(*seat_.pool);
        return box == 0;
      }));
    case PoolOperation::kTakeSeat:
      status_ = seat_.pool->TakeSeat(kSeatOfVictims);
      return;
    case PoolOperation::kLeave:
      for (HeldBuffer& held : held_) new Buffer(std::move(held.buffer));  // the pool lets go
      seat_.pool.reset();
      return;
    default:
      return;  // the sweep's own
  }
}

void PoolVictim::Record() {
  if (announced_ == nullptr) return;
  if (operation_ == PoolOperation::kReceive) {
    if (!status_.ok()) return log_.End(*announced_, Outcome::kOk);
    if (!received_.buffer.has_block()) return log_.End(*announced_, Outcome::kRefused);
    const MessageInfo info = received_.info;
    absl::StatusOr<HeldBuffer> taken = TakeOut(std::move(received_));
    EndReceive(log_, *announced_, taken, info);
    if (taken.ok()) held_.push_back(*std::move(taken));
    return;
  }
  if (operation_ == PoolOperation::kDropSent) {
    // Nobody else holds what waits: it was freed, or was not dropped.
    const bool dropped = status_.ok() && answer_ != 0;
    return log_.End(*announced_, dropped ? Outcome::kOk : Outcome::kRefused, dropped_.id,
                    dropped_.version);
  }
  log_.End(*announced_, status_.ok() ? Outcome::kOk : Outcome::kRefused, kNothing,
           status_.ok() ? answer_ * 2 : 0);
}

}  // namespace kill9::sweep

#include "harness/pool_driver/sweep/pool_scene.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "harness/base/shared_mapping.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kParticipants = 8;
constexpr uint32_t kBuffersMost = 24;
constexpr uint64_t kOfAPool = 0;  // all values are of one key

std::string HeaderOf(ValueId id) { return {reinterpret_cast<const char*>(&id), sizeof id}; }

}  // namespace

// ---- Buffers ------------------------------------------------------------------------------------

absl::StatusOr<HeldBuffer> MakeBuffer(BufferPool& pool, ValueId id, uint32_t bytes) {
  absl::StatusOr<Buffer> buffer = pool.Allocate(bytes, Deadline::None(), {.tailroom = kMoreBytes});
  if (!buffer.ok()) return buffer.status();
  const absl::StatusOr<std::span<char>> data = buffer->Write(Deadline::None());
  if (!data.ok()) return data.status();
  FillValue(id, kOfAPool, *data);
  return HeldBuffer{*std::move(buffer), id};
}

absl::StatusOr<HeldBuffer> TakeOut(ReceivedBuffer received) {
  HeldBuffer held{std::move(received.buffer), kNothing};
  if (received.header.size() == sizeof held.id) {
    std::memcpy(&held.id, received.header.data(), sizeof held.id);
  }
  if (held.buffer.has_block() && IsWhole(held)) return held;
  return absl::DataLossError("a message that nobody has sent so");
}

bool IsWhole(const HeldBuffer& held) {
  const ValueCheck check = CheckValue(kOfAPool, held.buffer.bytes());
  return check.defect == ValueDefect::kNone && check.id == held.id;
}

void EndReceive(OperationLog& log, Operation& operation, const absl::StatusOr<HeldBuffer>& taken,
                const MessageInfo& info) {
  log.End(operation, Outcome::kOk, taken.ok() ? taken->id : kUnreadValue,
          info.sequence * 2 + (info.redelivered ? 1 : 0));
}

absl::StatusOr<Sequence> BoxedPool::Send(HeldBuffer& held) {
  return pool->Send(*box, held.buffer, HeaderOf(held.id), Deadline::None());
}
absl::StatusOr<Sequence> BoxedPool::SendShared(const HeldBuffer& held) {
  return pool->SendShared(*box, held.buffer, HeaderOf(held.id), Deadline::None());
}

// ---- The starting state -------------------------------------------------------------------------

absl::Status PoolScene::Make(uint64_t size_bytes) {
  board_ = MapShared<PoolBoard>();
  if (board_ == nullptr) return absl::ResourceExhaustedError("no memory");
  SetOptions(size_bytes, kParticipants, shape_);
  options_.expected_entries = kBuffersMost;
  absl::StatusOr<std::shared_ptr<Segment>> segment = design_.Create(options_);
  if (!segment.ok()) return segment.status();
  segment_ = *std::move(segment);
  absl::StatusOr<BoxedPool> maker = AttachAs(kMaker);
  if (!maker.ok()) return maker.status();
  if (maker->pool->max_buffer_bytes() < 4 * kLargeBufferBytes) {
    return absl::OutOfRangeError("too small for large buffers");
  }
  const bool waits = state_ == PoolState::kWaiting || state_ == PoolState::kHalfReceived;
  if (!waits && !is_shared()) return absl::OkStatus();
  // What the maker sends, or the holder will (Hold).
  const ValueId id = MakeValueId(waits ? uint32_t{kMaker} : kHolderMember, 1);
  Operation sent{};
  sent.invoke = 1;
  sent.finish = 2;
  sent.process = ProcessOf(id);
  sent.function = Function::kSend;
  sent.outcome = Outcome::kOk;
  sent.argument = id;
  sent.result = kNothing;
  sent.result_version = 2;
  beginning_.push_back(sent);
  if (!waits) return absl::OkStatus();
  absl::StatusOr<HeldBuffer> buffer = MakeBuffer(*maker->pool, id, small_bytes());
  if (!buffer.ok()) return buffer.status();
  return maker->Send(*buffer).status();
}

Scene::Making PoolScene::making() const {
  Making making;
  making.live_holder = state_ == PoolState::kOneBuffer || state_ == PoolState::kSharedWithLive ||
                       state_ == PoolState::kFull;
  making.dead_holder = state_ == PoolState::kSharedWithDead || state_ == PoolState::kHeldByDead;
  making.all_participants_dead = state_ == PoolState::kAllParticipantsDead;
  making.dead_beside = making.all_participants_dead ? 0 : shape_.dead;
  const auto half_done = [&making](PoolOperation operation) {
    making.half_done = static_cast<uint32_t>(operation);
  };
  if (state_ == PoolState::kHalfAllocated || making.all_participants_dead) {
    half_done(PoolOperation::kAllocate);
  }
  if (state_ == PoolState::kHalfReleased) half_done(PoolOperation::kRelease);
  if (state_ == PoolState::kHalfSent) half_done(PoolOperation::kSend);
  if (state_ == PoolState::kHalfReceived) half_done(PoolOperation::kReceive);
  return making;
}

Naming PoolScene::naming() const {
  Naming naming;
  naming.key = [](uint64_t) { return std::string("the box"); };
  naming.value = [](uint64_t id) {
    if (id == kUnreadValue) return std::string("(that nobody sent)");
    return absl::StrCat("b", ProcessOf(id), ".", SequenceOf(id));
  };
  return naming;
}

std::unique_ptr<Scene> PoolScene::In(std::shared_ptr<Segment> other) const {
  auto scene = std::make_unique<PoolScene>(design_, operation_, PoolState::kEmpty, shape_);
  scene->options_ = options_;
  scene->segment_ = std::move(other);
  scene->board_ = board_;
  return scene;
}

std::unique_ptr<Victim> PoolScene::NewVictim(uint32_t operation, uint32_t number, bool,
                                             OperationLog log) const {
  return std::make_unique<PoolVictim>(*this, static_cast<PoolOperation>(operation), number, log);
}

absl::StatusOr<std::unique_ptr<Survivor>> PoolScene::NewSurvivor(CellProcess process,
                                                                 Findings& findings,
                                                                 OperationLog log) const {
  absl::StatusOr<BoxedPool> seat = AttachAs(process);
  if (!seat.ok()) return seat.status();
  return std::make_unique<PoolSurvivor>(*this, process, *std::move(seat), findings, log);
}

absl::StatusOr<BoxedPool> PoolScene::AttachAs(uint32_t process) const {
  absl::StatusOr<std::unique_ptr<BufferPool>> pool = BufferPool::Attach(segment_);
  if (!pool.ok()) return pool.status();
  BoxedPool seat{*std::move(pool), nullptr};
  seat.box = NewMessageBox(*seat.pool, board_->texts, process);
  return seat;
}

InTheBox PoolScene::IdInTheBox(const BufferPool& pool) const {
  const Message message = LookIntoBox(pool, board_->texts);
  InTheBox there{.version = message.info.sequence * 2};
  if (message.bytes.size() < sizeof there.id) return there;
  std::memcpy(&there.id, message.bytes.data() + message.bytes.size() - sizeof there.id,
              sizeof there.id);
  return there;
}

// ---- Who holds buffers --------------------------------------------------------------------------

// One; of a full pool all that there is room for, beside.
std::shared_ptr<void> PoolScene::Hold(SharedObject& object) const {
  auto& pool = static_cast<BufferPool&>(object);
  auto held = std::make_shared<std::vector<HeldBuffer>>();
  const auto make = [&](uint32_t bytes) {
    const ValueId id = MakeValueId(kHolderMember, static_cast<uint32_t>(held->size() + 1));
    absl::StatusOr<HeldBuffer> buffer = MakeBuffer(pool, id, bytes);
    if (buffer.ok()) held->push_back(*std::move(buffer));
    return buffer.ok();
  };
  if (!make(small_bytes())) return nullptr;
  for (uint64_t bytes = pool.max_buffer_bytes(); state_ == PoolState::kFull && bytes > 0;
       bytes /= 2) {
    while (make(static_cast<uint32_t>(bytes))) {
    }
  }
  board_->holds_of_holder.store(held->size(), std::memory_order_release);
  board_->holder_slot.store(pool.id().slot + 1, std::memory_order_release);
  if (is_shared()) {
    const std::unique_ptr<Channel> box = NewMessageBox(pool, board_->texts, kHolderMember);
    if (!pool.SendShared(*box, held->front().buffer, HeaderOf(held->front().id), Deadline::None())
             .ok()) {
      return nullptr;
    }
  }
  return held;
}

// A buffer that nobody knows of. Where there is no room for it, nothing.
std::shared_ptr<void> PoolScene::HoldUnseen(SharedObject& object) const {
  auto held = std::make_shared<Buffer>();
  absl::StatusOr<Buffer> buffer =
      static_cast<BufferPool&>(object).Allocate(kSmallBufferBytes, Deadline::None());
  if (buffer.ok()) *held = *std::move(buffer);
  return held;
}

}  // namespace kill9::sweep

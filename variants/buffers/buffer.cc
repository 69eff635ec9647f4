// Views of blocks: what a Buffer does without its pool's help but for room and holds.
#include <algorithm>
#include <cstring>

#include "variants/buffers/buffer_pool.h"

namespace kill9 {

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Release();
    pool_ = std::exchange(other.pool_, nullptr);
    hold_ = other.hold_;
    block_ = std::exchange(other.block_, {});
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
  }
  return *this;
}

void Buffer::Release() {
  BufferPool* const pool = std::exchange(pool_, nullptr);
  block_ = {};
  begin_ = end_ = 0;
  if (pool != nullptr && pool->owns()) pool->LetGo(hold_);
}

bool Buffer::IsShared() const {
  return pool_ != nullptr && !pool_->space_.HasNoOtherHold(hold_.buffer, hold_.index);
}

absl::StatusOr<Buffer> Buffer::Slice(size_t begin, size_t length) const {
  if (pool_ == nullptr || begin > size() || length > size() - begin) {
    return absl::InvalidArgumentError("no such part of the buffer");
  }
  if (absl::Status status = pool_->CheckHandle(); !status.ok()) return status;
  absl::StatusOr<buffers::HoldRef> hold =
      pool_->space_.AddHold(hold_.buffer, pool_->participant_.slot());
  if (!hold.ok()) return hold.status();
  ++pool_->holds_;
  return Buffer(pool_, *hold, block_, begin_ + begin, begin_ + begin + length);
}

absl::Status Buffer::MakeRoom(size_t front, size_t back, Deadline deadline) {
  if (pool_ == nullptr) return absl::InvalidArgumentError("the buffer is of no pool");
  if (absl::Status status = pool_->CheckHandle(); !status.ok()) return status;
  if (front <= headroom() && back <= tailroom() && !IsShared()) return absl::OkStatus();
  // In an end that grows, as much room as there are bytes then: it moves rarely.
  const size_t grown = size() + front + back;
  BufferPool::Ends ends{
      .headroom = front > headroom() ? front + grown : std::min(headroom(), grown),
      .tailroom = back > tailroom() ? back + grown : std::min(tailroom(), grown)};
  absl::StatusOr<Buffer> other = pool_->Allocate(size(), deadline, ends);
  if (absl::IsInvalidArgument(other.status())) {
    other = pool_->Allocate(size(), deadline, {.headroom = front, .tailroom = back});
  }
  if (!other.ok()) return other.status();
  std::memcpy(other->block_.data() + other->begin_, block_.data() + begin_, size());
  *this = *std::move(other);
  return absl::OkStatus();
}

absl::StatusOr<std::span<char>> Buffer::Write(Deadline deadline) {
  if (absl::Status status = MakeRoom(0, 0, deadline); !status.ok()) return status;
  return block_.subspan(begin_, size());
}

absl::StatusOr<std::span<char>> Buffer::GrowFront(size_t bytes, Deadline deadline) {
  if (absl::Status status = MakeRoom(bytes, 0, deadline); !status.ok()) return status;
  begin_ -= bytes;
  return block_.subspan(begin_, bytes);
}

absl::StatusOr<std::span<char>> Buffer::GrowBack(size_t bytes, Deadline deadline) {
  if (absl::Status status = MakeRoom(0, bytes, deadline); !status.ok()) return status;
  end_ += bytes;
  return block_.subspan(end_ - bytes, bytes);
}

absl::Status Buffer::Prepend(std::string_view bytes, Deadline deadline) {
  absl::StatusOr<std::span<char>> room = GrowFront(bytes.size(), deadline);
  if (!room.ok()) return room.status();
  std::copy(bytes.begin(), bytes.end(), room->begin());
  return absl::OkStatus();
}

absl::Status Buffer::Append(std::string_view bytes, Deadline deadline) {
  absl::StatusOr<std::span<char>> room = GrowBack(bytes.size(), deadline);
  if (!room.ok()) return room.status();
  std::copy(bytes.begin(), bytes.end(), room->begin());
  return absl::OkStatus();
}

}  // namespace kill9

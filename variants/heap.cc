#include "variants/heap.h"

#include "absl/strings/str_cat.h"

namespace kill9 {

HeapReserve& HeapReserve::operator=(HeapReserve&& other) noexcept {
  if (this != &other) {
    GiveBack();
    heap_ = std::exchange(other.heap_, nullptr);
    hold_ = other.hold_;
    blocks_left_ = std::exchange(other.blocks_left_, 0);
    block_bytes_ = other.block_bytes_;
  }
  return *this;
}

void HeapReserve::GiveBack() {
  const uint64_t left = std::exchange(blocks_left_, 0);
  Heap* const heap = std::exchange(heap_, nullptr);
  // The hold of one that is used up may be the next one's. What cannot be released is lost by the
  // whole handle.
  if (heap != nullptr && left != 0 && heap->guard().owns()) heap->DoRelease(hold_).IgnoreError();
}

absl::Status Heap::CheckSize(size_t bytes) const {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (bytes <= max_block_bytes()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a block of ", bytes, " bytes; this heap has room for ", max_block_bytes(), " in one piece"));
}

absl::Status Heap::CheckReserve(const HeapReserve& reserve) const {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (reserve.heap_ == this) return absl::OkStatus();
  return absl::InvalidArgumentError("the reserve is spent, or of another heap");
}

absl::StatusOr<BlockHandle> Heap::AllocateAt(uint64_t offset, size_t bytes) {
  if (absl::Status status = CheckSize(bytes); !status.ok()) return status;
  return DoAllocateAt(offset, bytes);
}

absl::StatusOr<HeapReserve> Heap::Reserve(uint64_t blocks, size_t block_bytes, Deadline deadline) {
  if (absl::Status status = CheckSize(block_bytes); !status.ok()) return status;
  if (blocks == 0) return absl::InvalidArgumentError("a reserve has at least one block");
  return DoReserve(blocks, block_bytes, deadline);
}

absl::StatusOr<BlockHandle> Heap::Allocate(HeapReserve& reserve, size_t bytes) {
  if (absl::Status status = CheckReserve(reserve); !status.ok()) return status;
  if (bytes > reserve.block_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a block of ", bytes, " bytes; those of this reserve have ", reserve.block_bytes_));
  }
  if (reserve.blocks_left_ == 0) {
    return absl::DeadlineExceededError("no block is left in the reserve");
  }
  absl::StatusOr<BlockHandle> block = DoAllocateReserved(reserve.hold_, bytes);
  if (block.ok()) --reserve.blocks_left_;
  return block;
}

absl::Status Heap::Release(HeapReserve reserve) {
  if (absl::Status status = CheckReserve(reserve); !status.ok()) return status;
  reserve.heap_ = nullptr;
  // As in GiveBack.
  return reserve.blocks_left_ == 0 ? absl::OkStatus() : DoRelease(reserve.hold_);
}

absl::Status Heap::Share(BlockHandle block, ParticipantId other) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoShare(block, other);
}

absl::Status Heap::Transfer(BlockHandle block, ParticipantId other) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoTransfer(block, other);
}

absl::StatusOr<std::span<char>> Heap::Data(BlockHandle block) {
  if (!IsSurelyMine()) [[unlikely]] {
    if (absl::Status status = CheckHandle(); !status.ok()) return status;
  }
  return DoData(block);
}

absl::StatusOr<std::vector<ParticipantId>> Heap::Owners(BlockHandle block) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoOwners(block);
}

absl::Status Heap::ForEach(absl::FunctionRef<bool(const HeapBlock&)> visit) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoForEach(visit);
}

absl::StatusOr<HeapOccupancy> Heap::Look() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoLook();
}

absl::StatusOr<HeapAccount> Heap::Account() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoAccount();
}

absl::StatusOr<AuditReport> Heap::DoAudit() {
  absl::StatusOr<HeapAccount> account = DoAccount();
  if (!account.ok()) return account.status();
  return std::move(account)->report;
}

}  // namespace kill9

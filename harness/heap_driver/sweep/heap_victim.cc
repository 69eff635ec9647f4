// Victims of the sweep of heaps.
#include "absl/strings/str_cat.h"
#include "harness/heap_driver/sweep/heap_scene.h"
#include "harness/history/heap_call.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kCompanion = 50;  // of the first victim, as a process of the history
constexpr uint64_t kReservedBlocks = 3;

}  // namespace

HeapVictim::HeapVictim(const HeapScene& scene, HeapOperation operation, uint32_t number,
                       OperationLog log)
    : scene_(scene), operation_(operation), process_(kVictims + number), log_(log) {
  owners_.reserve(64);
}

void HeapVictim::Announce(Function function, ValueId id, uint64_t size_or_owner) {
  announced_ = &log_.Begin(process_, function, 0, id, HeapCall(0, size_or_owner));
}

absl::Status HeapVictim::Prepare() {
  absl::StatusOr<std::unique_ptr<Heap>> heap = scene_.AttachAs(process_);
  if (!heap.ok()) return heap.status();
  heap_ = *std::move(heap);
  return GetReady();
}

absl::Status HeapVictim::GetBlock() {
  id_ = NextId();
  Operation& allocate =
      log_.Begin(process_, Function::kAllocate, 0, id_, HeapCall(0, scene_.small_bytes()));
  const absl::StatusOr<BlockHandle> block = heap_->Allocate(scene_.small_bytes(), Deadline::None());
  log_.End(allocate, block.ok() ? Outcome::kOk : Outcome::kRefused, block.ok() ? block->offset : 0);
  if (!block.ok()) return block.status();
  block_ = *block;
  scene_.Write(id_, block_, scene_.small_bytes());
  scene_.TellBlock(process_ - kVictims, {block_, id_, scene_.small_bytes()});
  const bool is_shared =
      scene_.state() == HeapState::kSharedWithLive || scene_.state() == HeapState::kSharedWithDead;
  if (!is_shared || !scene_.holder().has_value()) return absl::OkStatus();
  Operation& share =
      log_.Begin(process_, Function::kShare, 0, id_, HeapCall(0, scene_.holder()->owner));
  const absl::Status status = heap_->Share(block_, scene_.holder()->participant);
  log_.End(share, status.ok() ? Outcome::kOk : Outcome::kRefused, 1);
  return status.ok() || absl::IsUnavailable(status) ? absl::OkStatus() : status;
}

absl::Status HeapVictim::GetReady() {
  switch (operation_) {
    case HeapOperation::kAllocate:
    case HeapOperation::kAllocateLarge:
      break;
    case HeapOperation::kAllocateReserved:
    case HeapOperation::kRelease: {
      absl::StatusOr<HeapReserve> reserve =
          heap_->Reserve(kReservedBlocks, scene_.small_bytes(), Deadline::None());
      if (!reserve.ok()) return reserve.status();
      reserve_ = *std::move(reserve);
      break;
    }
    case HeapOperation::kAllocateAt:
    case HeapOperation::kFree:
    case HeapOperation::kShare:
    case HeapOperation::kTransfer:
    case HeapOperation::kOwners:
      if (absl::Status status = GetBlock(); !status.ok()) return status;
      break;
    case HeapOperation::kLeave:
      for (int i = 0; i < 3; ++i) {
        if (absl::Status status = GetBlock(); !status.ok()) return status;
      }
      break;
    default:
      break;
  }
  const bool hands_over =
      operation_ == HeapOperation::kShare || operation_ == HeapOperation::kTransfer;
  // In these states the other one owns the block already.
  const bool is_owner =
      scene_.state() == HeapState::kSharedWithLive || scene_.state() == HeapState::kSharedWithDead;
  if (hands_over && scene_.holder().has_value() && !is_owner) {
    other_ = *scene_.holder();
  } else if (hands_over) {
    const uint32_t process = kCompanion + process_;
    absl::StatusOr<std::unique_ptr<Heap>> companion = scene_.AttachAs(process);
    if (!companion.ok()) return companion.status();
    companion_ = *std::move(companion);
    other_ = {companion_->id(), HeapOwner(process, 0)};
  }
  switch (operation_) {
    case HeapOperation::kAllocate:
    case HeapOperation::kAllocateReserved:
      Announce(Function::kAllocate, NextId(), scene_.small_bytes());
      break;
    case HeapOperation::kAllocateLarge:
      Announce(Function::kAllocate, NextId(), scene_.large_bytes());
      break;
    case HeapOperation::kAllocateAt: {
      // Where a block has just been, or so little behind that place that what is in front of it is
      // too little for a block.
      Operation& free = log_.Begin(process_, Function::kFree, 0, id_, HeapCall(0, 0));
      const absl::Status status = heap_->Free(block_);
      log_.End(free, status.ok() ? Outcome::kOk : Outcome::kRefused, 1);
      if (!status.ok()) return status;
      Announce(Function::kAllocate, NextId(), scene_.small_bytes() - scene_.place_behind());
      break;
    }
    case HeapOperation::kFree:
      Announce(Function::kFree, id_, 0);
      break;
    case HeapOperation::kShare:
      Announce(Function::kShare, id_, other_.owner);
      break;
    case HeapOperation::kTransfer:
      Announce(Function::kTransfer, id_, other_.owner);
      break;
    case HeapOperation::kOwners:
      Announce(Function::kOwners, id_, 0);
      break;
    default:
      break;
  }
  return absl::OkStatus();
}

void HeapVictim::Run() {
  const auto take = [this](const absl::StatusOr<BlockHandle>& block) {
    status_ = block.status();
    if (block.ok()) allocated_ = *block;
  };
  switch (operation_) {
    case HeapOperation::kAllocate:
      return take(heap_->Allocate(scene_.small_bytes(), Deadline::None()));
    case HeapOperation::kAllocateLarge:
      return take(heap_->Allocate(scene_.large_bytes(), Deadline::None()));
    case HeapOperation::kAllocateAt:
      return take(heap_->AllocateAt(block_.offset + scene_.place_behind(),
                                    scene_.small_bytes() - scene_.place_behind()));
    case HeapOperation::kReserve: {
      absl::StatusOr<HeapReserve> reserve =
          heap_->Reserve(kReservedBlocks, scene_.small_bytes(), Deadline::None());
      if (reserve.ok()) reserve_ = *std::move(reserve);
      return;
    }
    case HeapOperation::kAllocateReserved:
      return take(heap_->Allocate(reserve_, scene_.small_bytes()));
    case HeapOperation::kRelease:
      status_ = heap_->Release(std::move(reserve_));
      return;
    case HeapOperation::kFree:
      status_ = heap_->Free(block_);
      return;
    case HeapOperation::kShare:
      status_ = heap_->Share(block_, other_.participant);
      return;
    case HeapOperation::kTransfer:
      status_ = heap_->Transfer(block_, other_.participant);
      return;
    case HeapOperation::kOwners: {
      absl::StatusOr<std::vector<ParticipantId>> owners = heap_->Owners(block_);
      status_ = owners.status();
      if (owners.ok()) owners_ = *std::move(owners);
      return;
    }
    case HeapOperation::kForEach:
      heap_->ForEach([](const HeapBlock&) { return true; }).IgnoreError();
      return;
    case HeapOperation::kLeave:
      heap_.reset();
      return;
    default:
      return;  // the sweep's own
  }
}

void HeapVictim::Record() {
  if (announced_ == nullptr) return;
  uint64_t result = 1;
  if (announced_->function == Function::kAllocate) result = allocated_.offset;
  if (announced_->function == Function::kOwners) result = scene_.BitsOf(owners_);
  log_.End(*announced_, status_.ok() ? Outcome::kOk : Outcome::kRefused, result);
}

}  // namespace kill9::sweep

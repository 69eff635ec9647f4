#include "harness/heap_driver/sweep/heap_scene.h"

#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "harness/base/shared_mapping.h"
#include "harness/history/heap_call.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kParticipants = 8;
constexpr uint32_t kIdle = 66;  // so that all others have places beyond a word of 64 bits
constexpr uint32_t kFragments = 24;
constexpr size_t kNameBytes = 16;  // of the name and the generation

// Blocks that a holder keeps as long as it lives.
struct Held {
  std::vector<KnownBlock> blocks;
  HeapReserve reserve;
};

}  // namespace

absl::Status HeapScene::Make(uint64_t size_bytes) {
  const bool may_idle = state_ == HeapState::kOneBlock || state_ == HeapState::kSharedWithLive;
  idle_ = may_idle ? kIdle : 0;
  SetOptions(size_bytes, kParticipants + idle_, shape_);
  if (options_.max_participants > SceneSeats::kMost) {
    return absl::OutOfRangeError("more places than a history has names for");
  }
  if (design_.traits().needs_name) {
    options_.location = {SegmentKind::kNamed, absl::StrCat("kill9-sweep-heap-", getpid())};
    Segment::Unlink(options_.location).IgnoreError();  // of a cell that was cut off
  }
  seats_ = MapShared<SceneSeats>();
  if (seats_ == nullptr) return absl::ResourceExhaustedError("no memory");
  absl::StatusOr<std::shared_ptr<Segment>> segment = design_.Create(options_);
  if (absl::IsInvalidArgument(segment.status()) && idle_ != 0) {
    // There are designs for few.
    options_.max_participants -= std::exchange(idle_, 0);
    segment = design_.Create(options_);
  }
  if (!segment.ok()) return segment.status();
  segment_ = *std::move(segment);
  absl::StatusOr<std::unique_ptr<Heap>> heap = design_.Attach(segment_);
  if (!heap.ok()) return heap.status();
  if ((*heap)->max_block_bytes() < 4 * kLargeBlockBytes) {
    return absl::OutOfRangeError("too small for large blocks");
  }
  return absl::OkStatus();
}

Scene::Making HeapScene::making() const {
  Making making;
  making.live_holder = LivesBeside();
  making.idle = idle_;
  making.dead_holder = state_ >= HeapState::kSharedWithDead && state_ <= HeapState::kFullOfTheDead;
  making.all_participants_dead = state_ == HeapState::kAllParticipantsDead;
  making.dead_beside = making.all_participants_dead ? 0 : shape_.dead;
  const auto half_done = [&making](HeapOperation operation) {
    making.half_done = static_cast<uint32_t>(operation);
  };
  if (state_ == HeapState::kHalfAllocated || making.all_participants_dead) {
    half_done(HeapOperation::kAllocate);
  }
  if (state_ == HeapState::kHalfFreed) half_done(HeapOperation::kFree);
  if (state_ == HeapState::kHalfShared) half_done(HeapOperation::kShare);
  if (state_ == HeapState::kHalfTransferred) half_done(HeapOperation::kTransfer);
  return making;
}

Naming HeapScene::naming() const {
  Naming naming;
  naming.key = [](uint64_t) { return std::string("the heap"); };
  naming.value = [](uint64_t id) { return absl::StrCat("b", ProcessOf(id), ".", SequenceOf(id)); };
  return naming;
}

std::unique_ptr<Scene> HeapScene::In(std::shared_ptr<Segment> other) const {
  auto scene = std::make_unique<HeapScene>(design_, operation_, HeapState::kEmpty, shape_);
  scene->options_ = options_;
  scene->segment_ = std::move(other);
  scene->seats_ = seats_;
  return scene;
}

std::unique_ptr<Victim> HeapScene::NewVictim(uint32_t operation, uint32_t number, bool,
                                             OperationLog log) const {
  return std::make_unique<HeapVictim>(*this, static_cast<HeapOperation>(operation), number, log);
}

absl::StatusOr<std::unique_ptr<Survivor>> HeapScene::NewSurvivor(CellProcess process,
                                                                 Findings& findings,
                                                                 OperationLog log) const {
  absl::StatusOr<std::unique_ptr<Heap>> heap = AttachAs(process);
  if (!heap.ok()) return heap.status();
  return std::make_unique<HeapSurvivor>(*this, process, *std::move(heap), findings, log);
}

void HeapScene::Seat(const Heap& heap, uint32_t process) const {
  const ParticipantId id = heap.id();
  if (id.slot < SceneSeats::kMost) seats_->seats[id.slot].Sit({id, HeapOwner(process, 0)});
}

absl::StatusOr<std::unique_ptr<Heap>> HeapScene::AttachAs(uint32_t process) const {
  absl::StatusOr<std::unique_ptr<Heap>> heap = design_.Attach(segment_);
  if (heap.ok()) Seat(**heap, process);
  return heap;
}

uint64_t HeapScene::BitsOf(std::span<const ParticipantId> owners) const {
  uint64_t bits = 0;
  for (const ParticipantId owner : owners) {
    if (owner.slot >= SceneSeats::kMost) continue;
    const std::optional<Seated> seated = seats_->seats[owner.slot].Look();
    if (seated.has_value() && seated->participant == owner) bits |= OwnerBit(seated->owner);
  }
  return bits;
}

// ---- Contents -----------------------------------------------------------------------------------

void HeapScene::Write(ValueId id, BlockHandle block, uint64_t bytes) const {
  char* const to = segment_->base() + block.offset;
  std::memcpy(to, &id, sizeof id);
  std::memcpy(to + sizeof id, &block.generation, sizeof block.generation);
  FillValue(id, id, {to + kNameBytes, bytes - kNameBytes});
}

ValueId HeapScene::NameOf(BlockHandle block, uint64_t bytes) const {
  if (bytes < kSmallestBlockBytes) return kNothing;
  const char* const from = segment_->base() + block.offset;
  uint64_t words[2];
  std::memcpy(words, from, sizeof words);
  return words[1] == block.generation ? words[0] : kNothing;
}

bool HeapScene::IsWhole(ValueId id, BlockHandle block, uint64_t bytes) const {
  const char* const from = segment_->base() + block.offset;
  const ValueCheck check = CheckValue(id, {from + kNameBytes, bytes - kNameBytes});
  return NameOf(block, bytes) == id && check.defect == ValueDefect::kNone && check.id == id;
}

void HeapScene::TellBlock(uint32_t victim, const KnownBlock& block) const {
  seats_->blocks[victim].Write(block);
}

std::vector<KnownBlock> HeapScene::BlocksOfVictims() const {
  std::vector<KnownBlock> blocks;
  for (const HeapLetter& letter : seats_->blocks) {
    uint64_t none = 0;
    const std::optional<KnownBlock> block = letter.Read(&none);
    // In the same place there may be one of this run, which has another name.
    if (!block.has_value()) continue;
    const ValueId name = NameOf(block->handle, block->bytes);
    if (name == kNothing || name == block->id) blocks.push_back(*block);
  }
  return blocks;
}

// ---- Who holds blocks ---------------------------------------------------------------------------

// What is not in the history: survivors look at it themselves.
std::shared_ptr<void> HeapScene::Hold(SharedObject& object) const {
  Heap& heap = static_cast<Heap&>(object);
  // Relaxed: one holder is made after the other.
  const uint32_t process = kHolder + seats_->holders.fetch_add(1, std::memory_order_relaxed);
  Seat(heap, process);
  seats_->holder.Sit({heap.id(), HeapOwner(process, 0)});
  auto held = std::make_shared<Held>();
  const auto allocate = [&](uint32_t bytes) {
    const absl::StatusOr<BlockHandle> block = heap.Allocate(bytes, Deadline::None());
    if (!block.ok()) return false;
    const ValueId id = MakeValueId(process, static_cast<uint32_t>(held->blocks.size() + 1));
    Write(id, *block, bytes);
    held->blocks.push_back({*block, id, bytes});
    return true;
  };
  const bool full = state_ == HeapState::kFull || state_ == HeapState::kFullOfTheDead;
  uint32_t count = 1;
  if (state_ == HeapState::kFragmented) count = 2 * kFragments;
  for (const uint32_t bytes : {kLargeBlockBytes, fill_bytes(), kSmallBlockBytes}) {
    while (full && allocate(bytes)) {
    }
  }
  for (uint32_t i = 0; i < count && !full; ++i) {
    if (!allocate(kSmallBlockBytes)) return nullptr;
  }
  for (uint32_t i = 0; i < count && state_ == HeapState::kFragmented; i += 2) {
    if (!heap.Free(held->blocks[i].handle).ok()) return nullptr;
  }
  uint64_t kept = held->blocks.size();
  if (state_ == HeapState::kFragmented) kept /= 2;
  seats_->blocks_of_holder.store(kept, std::memory_order_relaxed);  // before anybody looks
  if (state_ == HeapState::kHeldByDead && design_.traits().has_reserve) {
    absl::StatusOr<HeapReserve> reserve = heap.Reserve(2, kSmallBlockBytes, Deadline::None());
    if (!reserve.ok()) return nullptr;
    held->reserve = *std::move(reserve);
  }
  return held;
}

// A reserve: no visit shows its blocks as somebody's. Where there is no room for it, nothing.
std::shared_ptr<void> HeapScene::HoldUnseen(SharedObject& object) const {
  auto held = std::make_shared<HeapReserve>();
  const bool full = state_ == HeapState::kFull || state_ == HeapState::kFullOfTheDead;
  if (full || !design_.traits().has_reserve) return held;
  absl::StatusOr<HeapReserve> reserve =
      static_cast<Heap&>(object).Reserve(1, kSmallBlockBytes, Deadline::None());
  if (reserve.ok()) *held = *std::move(reserve);
  return held;
}

bool HeapScene::IsTried(uint32_t probe) const {
  if (probe == kAttemptReserve) return design_.traits().has_reserve;
  return probe != kAttemptRecover || design_.traits().has_recovery;
}

bool HeapScene::DeclaredUnblocked(uint32_t probe, Nearness) const {
  const HeapTraits& traits = design_.traits();
  const bool rooms = traits.allocate != Progress::kBlocking && traits.free != Progress::kBlocking;
  if (probe == kAttemptAllocate || probe == kAttemptReserve) return rooms;
  const bool owners = traits.share != Progress::kBlocking;
  return probe == kAttemptOwners ? owners : rooms && owners;
}

}  // namespace kill9::sweep

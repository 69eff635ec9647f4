// Survivors of the sweep of heaps.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "harness/heap_driver/sweep/heap_scene.h"
#include "harness/history/heap_call.h"

namespace kill9::sweep {

HeapSurvivor::HeapSurvivor(const HeapScene& scene, CellProcess process, std::unique_ptr<Heap> heap,
                           Findings& findings, OperationLog log)
    : scene_(scene), process_(process), findings_(findings), log_(log), heap_(std::move(heap)) {
  scene_.survivors().push_back(this);
  tells_owners_ = !absl::IsUnimplemented(heap_->Owners(BlockHandle{}).status());
}

HeapSurvivor::~HeapSurvivor() { std::erase(scene_.survivors(), this); }

Seated HeapSurvivor::Me() const { return {heap_->id(), HeapOwner(process_, 0)}; }

std::optional<Seated> HeapSurvivor::Peer() const {
  if (!tells_owners_) return std::nullopt;
  for (const HeapSurvivor* one : scene_.survivors()) {
    if (one != this) return one->Me();
  }
  return std::nullopt;
}

bool HeapSurvivor::Knows(BlockHandle block) const {
  return std::any_of(held_.begin(), held_.end(),
                     [block](const KnownBlock& one) { return one.handle == block; });
}

// No room: all else that a call may say is no answer.
void HeapSurvivor::Allow(const char* what, const absl::Status& status) {
  findings_.Check(
      status.ok() || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status),
      Verdict::kAuditFailed, what, ": ", status);
}

// ---- Blocks -------------------------------------------------------------------------------------

bool HeapSurvivor::Allocate(uint32_t bytes) {
  const ValueId id = MakeValueId(process_, ++sequence_);
  Operation& allocate = log_.Begin(process_, Function::kAllocate, 0, id, HeapCall(0, bytes));
  const absl::StatusOr<BlockHandle> block = heap_->Allocate(bytes, Deadline::None());
  Allow("allocate", block.status());
  log_.End(allocate, block.ok() ? Outcome::kOk : Outcome::kRefused, block.ok() ? block->offset : 0);
  if (!block.ok()) return false;
  scene_.Write(id, *block, bytes);
  held_.push_back({*block, id, bytes});
  return true;
}

void HeapSurvivor::AllocateReserved() {
  if (!scene_.design().traits().has_reserve) return;
  absl::StatusOr<HeapReserve> reserve = heap_->Reserve(2, kSmallBlockBytes, Deadline::None());
  Allow("reserve", reserve.status());
  if (!reserve.ok()) return;
  const ValueId id = MakeValueId(process_, ++sequence_);
  Operation& allocate =
      log_.Begin(process_, Function::kAllocate, 0, id, HeapCall(0, kSmallBlockBytes));
  const absl::StatusOr<BlockHandle> block = heap_->Allocate(*reserve, kSmallBlockBytes);
  findings_.Check(block.ok(), Verdict::kViolation, "allocate from a reserve: ", block.status());
  log_.End(allocate, Outcome::kOk, block->offset);
  scene_.Write(id, *block, kSmallBlockBytes);
  held_.push_back({*block, id, kSmallBlockBytes});
  const absl::Status released = heap_->Release(*std::move(reserve));
  findings_.Check(released.ok(), Verdict::kAuditFailed, "release: ", released);
}

void HeapSurvivor::Free(size_t index) {
  const KnownBlock block = held_[index];
  held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
  findings_.Check(scene_.IsWhole(block.id, block.handle, block.bytes), Verdict::kViolation,
                  "a block at offset ", block.handle.offset, " has not its own content any more");
  Operation& free = log_.Begin(process_, Function::kFree, 0, block.id, HeapCall(0, 0));
  const absl::Status status = heap_->Free(block.handle);
  findings_.Check(status.ok(), Verdict::kViolation, "free of a block of one's own: ", status);
  log_.End(free, Outcome::kOk, 1);
}

void HeapSurvivor::FreeAll() {
  while (!held_.empty()) Free(held_.size() - 1);
}

void HeapSurvivor::HandOver(bool shares, size_t index, const Seated& other) {
  const KnownBlock block = held_[index];
  Operation& operation = log_.Begin(process_, shares ? Function::kShare : Function::kTransfer, 0,
                                    block.id, HeapCall(0, other.owner));
  const absl::Status status = shares ? heap_->Share(block.handle, other.participant)
                                     : heap_->Transfer(block.handle, other.participant);
  findings_.Check(status.ok(), Verdict::kViolation, "handing a block over: ", status);
  log_.End(operation, Outcome::kOk, 1);
  if (!shares) held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
}

uint64_t HeapSurvivor::AskOwners(const KnownBlock& block) {
  if (!tells_owners_) return 0;
  Operation& owners = log_.Begin(process_, Function::kOwners, 0, block.id, HeapCall(0, 0));
  const absl::StatusOr<std::vector<ParticipantId>> told = heap_->Owners(block.handle);
  findings_.Check(told.ok() || absl::IsNotFound(told.status()), Verdict::kAuditFailed,
                  "owners: ", told.status());
  const uint64_t bits = told.ok() ? scene_.BitsOf(*told) : 0;
  log_.End(owners, Outcome::kOk, bits);
  return bits;
}

// ---- What a judge asks --------------------------------------------------------------------------

void HeapSurvivor::Look() {
  std::vector<KnownBlock> blocks;
  seen_ = tells_owners_ ? 0 : held_.size();
  if (!tells_owners_) return;
  const absl::Status status = heap_->ForEach([&](const HeapBlock& block) {
    if (block.reserved) return true;
    ++seen_;
    blocks.push_back({block.handle, scene_.NameOf(block.handle, block.bytes), block.bytes});
    return true;
  });
  findings_.Check(status.ok(), Verdict::kAuditFailed, "for_each: ", status);
  for (const KnownBlock& block : held_) {
    const auto same = [&block](const KnownBlock& one) { return one.handle == block.handle; };
    findings_.Check(std::count_if(blocks.begin(), blocks.end(), same) == 1, Verdict::kViolation,
                    "for_each does not show a block that is there once");
  }
  uint64_t of_holder = 0;
  for (const KnownBlock& block : scene_.BlocksOfVictims()) {
    const auto same = [&block](const KnownBlock& one) { return one.handle == block.handle; };
    if (std::none_of(blocks.begin(), blocks.end(), same)) AskOwners(block);
  }
  for (const KnownBlock& block : blocks) {
    // Not written yet: of one that died in the middle of its allocation.
    if (block.id == kNothing) continue;
    findings_.Check(scene_.IsWhole(block.id, block.handle, block.bytes), Verdict::kViolation,
                    "the block at offset ", block.handle.offset, " has another one's content");
    of_holder += ProcessOf(block.id) >= kHolder ? 1 : 0;
    if (ProcessOf(block.id) >= kHolder) continue;  // not in the history
    const uint64_t bits = AskOwners(block);
    if ((bits & OwnerBit(Me().owner)) != 0 && !Knows(block.handle)) held_.push_back(block);
  }
  if (!scene_.making().live_holder) return;
  findings_.Check(of_holder == scene_.blocks_of_holder(), Verdict::kViolation, "a participant has ",
                  of_holder, " of its ", scene_.blocks_of_holder(), " blocks, and lives");
  TellThatTheHolderLives();
}

void HeapSurvivor::TellThatTheHolderLives() {
  const std::optional<Seated> holder = scene_.holder();
  if (!holder.has_value()) return;
  const uint32_t process = static_cast<uint32_t>(holder->owner);
  const ValueId none = MakeValueId(process, ~uint32_t{0});  // of a block that is never there
  Operation& lives = log_.Begin(process, Function::kOwners, 0, none, HeapCall(0, 0));
  log_.End(lives, Outcome::kOk, 0);
}

void HeapSurvivor::Work(Nearness) {
  if (Allocate(kSmallBlockBytes)) Free(held_.size() - 1);
  const bool has_first = Allocate(kSmallBlockBytes);
  const std::optional<Seated> peer = Peer();
  if (has_first && peer.has_value()) HandOver(/*shares=*/true, held_.size() - 1, *peer);
  if (Allocate(kLargeBlockBytes)) Free(held_.size() - 1);
  if (Allocate(kSmallBlockBytes) && peer.has_value()) {
    HandOver(/*shares=*/false, held_.size() - 1, *peer);
  }
  AllocateReserved();
  FreeAll();
  Look();
}

void HeapSurvivor::Write(Nearness) {
  if (Allocate(kSmallBlockBytes)) Free(held_.size() - 1);
}

uint32_t HeapSurvivor::FillWith() {
  uint32_t count = 0;
  for (const uint32_t bytes : {scene_.fill_bytes(), kSmallBlockBytes}) {
    while (count < kMostFills && Allocate(bytes)) ++count;
  }
  return count;
}

uint32_t HeapSurvivor::Fill() {
  const uint32_t count = FillWith();
  const std::optional<Seated> peer = Peer();
  while (peer.has_value() && !held_.empty()) HandOver(/*shares=*/false, held_.size() - 1, *peer);
  FreeAll();
  return count;
}

void HeapSurvivor::Empty(uint32_t) {
  Look();
  FreeAll();
  seen_ = 0;
}

// After a recovery: every block is owned by somebody who lives.
void HeapSurvivor::CheckContents(const AuditReport& audit) {
  findings_.Check(audit.entries == seen_, Verdict::kAuditFailed, "the audit finds ", audit.entries,
                  " blocks, the last look found ", seen_);
  const absl::StatusOr<HeapAccount> account = heap_->Account();
  findings_.Check(account.ok(), Verdict::kAuditFailed, "account: ", account.status());
  const uint64_t sum = account->accounted_bytes();
  findings_.Check(sum == account->room_bytes, Verdict::kLeak, "the account adds up to ", sum,
                  " of ", account->room_bytes, " bytes");
  const std::optional<Seated> holder = scene_.holder();
  for (const Holding& holding : account->holdings) {
    bool lives =
        scene_.making().live_holder && holder.has_value() && holder->participant == holding.owner;
    for (const HeapSurvivor* one : scene_.survivors()) {
      lives = lives || one->heap_->id() == holding.owner;
    }
    findings_.Check(lives, Verdict::kLeak, "the participant in slot ", holding.owner.slot,
                    " is dead and owns ", holding.blocks, " blocks, ", holding.reserved_blocks,
                    " more in reserve");
  }
}

// ---- Beside a victim that stands still ----------------------------------------------------------

void HeapSurvivor::Interfere(uint32_t way) {
  if (way == 0) {
    Work(Nearness::kSame);
  } else {
    Write(Nearness::kSame);
  }
}

void HeapSurvivor::Churn() {
  FillWith();
  FreeAll();
}

void HeapSurvivor::Probe(uint32_t probe, Nearness) {
  switch (probe) {
    case kAttemptAllocate:
      return Write(Nearness::kSame);
    case kAttemptReserve:
      AllocateReserved();
      return FreeAll();
    case kAttemptShare: {
      const std::optional<Seated> holder = scene_.holder();
      if (!Allocate(kSmallBlockBytes)) return;
      if (scene_.making().live_holder && holder.has_value()) {
        HandOver(/*shares=*/true, held_.size() - 1, *holder);
      }
      return FreeAll();
    }
    case kAttemptOwners:
      if (!Allocate(kSmallBlockBytes)) return;
      AskOwners(held_.back());
      return FreeAll();
    case kAttemptForEach:
      return Look();
    case kAttemptRecover:
      heap_->Recover().IgnoreError();
      return;
    default: {
      absl::StatusOr<std::unique_ptr<Heap>> other = scene_.design().Attach(scene_.segment());
      findings_.Check(other.ok() || absl::IsResourceExhausted(other.status()),
                      Verdict::kAuditFailed, "attach: ", other.status());
      return;
    }
  }
}

}  // namespace kill9::sweep

#include <atomic>
#include <utility>

#include "variants/heaps/coalescing_heap/coalescing_heap.h"
#include "variants/heaps/shared/waiting.h"

namespace kill9::coalescing_heap {
namespace {

absl::Status NoSuchBlock() { return absl::NotFoundError("no block lives under this handle"); }
absl::Status NotAnOwner() {
  return absl::PermissionDeniedError("the block lives, and is not this participant's");
}

}  // namespace

CoalescingHeap::CoalescingHeap(std::shared_ptr<Segment> segment, Participant participant)
    : Heap(participant.guard()),
      space_(std::move(segment)),
      participant_(std::move(participant)),
      ledger_(space_.ledger(participant_.slot())),
      sleeper_(space_.segment(), space_.sleepers_page()) {
  SetMaxBlockBytes(space_.max_block_bytes());
  // If there is damage, the operations report it.
  const Session session(space_);
  if (session.entered) ledger_.member = Ledger::MemberWord(participant_.generation());
}

CoalescingHeap::~CoalescingHeap() {
  if (!guard().owns()) return;
  {
    Session session(space_);
    if (session.entered) {
      SlotSet mine(space_.owner_words());
      AddSlot(mine, participant_.slot());
      space_.LetGoOfAll(session, mine).IgnoreError();  // what is damaged belongs to nobody
      ledger_.member = 0;
    }
  }
  WakeWhoWaits();
}

// ---- Waiting ------------------------------------------------------------------------------------

absl::Status CoalescingHeap::Until(Deadline deadline, Attempt attempt, bool has_tried) {
  const auto in_session = [&](bool announce) -> absl::StatusOr<bool> {
    Session session(space_);
    if (!session.entered) return Damaged();
    absl::StatusOr<bool> done = attempt(session);
    // With the mutex, so nothing can have come in between: it is the second look (W1, sleepers.h).
    if (announce && done.ok() && !*done) sleeper_.Announce(space_.header().for_room);
    return done;
  };
  const auto recover = [this] {
    const absl::StatusOr<RecoveryReport> report = RecoverAndWake();
    return report.ok() && report->participants != 0;
  };
  return has_tried ? TryAgainForRoom(deadline, sleeper_, in_session, recover)
                   : WaitForRoom(deadline, sleeper_, in_session, recover);
}

absl::StatusOr<RecoveryReport> CoalescingHeap::RecoverAndWake() {
  absl::StatusOr<RecoveryReport> report = RecoverDead(space_);
  if (report.ok() && report->participants != 0) WakeWhoWaits();
  return report;
}

absl::StatusOr<RecoveryReport> CoalescingHeap::DoRecover() {
  if (absl::Status status = space_.participants().CanTellTheDead(); !status.ok()) return status;
  return RecoverAndWake();
}

// ---- Blocks come and go -------------------------------------------------------------------------

absl::StatusOr<BlockHandle> CoalescingHeap::DoAllocate(size_t bytes, Deadline deadline,
                                                       Lifetime lifetime) {
  const Request request{.bytes = bytes, .owner = participant_.slot(), .lifetime = lifetime};
  {
    Session session(space_);
    if (!session.entered) return Damaged();
    const absl::StatusOr<uint64_t> payload = space_.Allocate(session, request);
    if (!payload.ok()) return payload.status();
    if (*payload != 0) return HandleOf(*payload);
  }
  return AllocateLater(request, deadline);
}

absl::StatusOr<BlockHandle> CoalescingHeap::AllocateLater(const Request& request,
                                                          Deadline deadline) {
  BlockHandle handle;
  const auto attempt = [&](Session& session) -> absl::StatusOr<bool> {
    const absl::StatusOr<uint64_t> payload = space_.Allocate(session, request);
    if (!payload.ok()) return payload.status();
    if (*payload == 0) return false;
    handle = HandleOf(*payload);
    return true;
  };
  absl::Status status = Until(deadline, attempt, /*has_tried=*/true);
  if (!status.ok()) return status;
  return handle;
}

absl::StatusOr<BlockHandle> CoalescingHeap::DoAllocateAt(uint64_t offset, size_t bytes) {
  const uint64_t payload = space_.PayloadOf(offset);
  if (payload == 0 || !space_.Fits(payload, bytes)) {
    return absl::InvalidArgumentError("no such block can lie there");
  }
  const Request request{.bytes = bytes, .owner = participant_.slot(), .at = offset};
  Session session(space_);
  if (!session.entered) return Damaged();
  const absl::StatusOr<uint64_t> allocated = space_.Allocate(session, request);
  if (!allocated.ok()) return allocated.status();
  if (*allocated == 0) return absl::AlreadyExistsError("something lies there");
  return HandleOf(*allocated);
}

absl::StatusOr<BlockHeader*> CoalescingHeap::Owned(BlockHandle handle) const {
  BlockHeader* const block = space_.Find(handle);
  if (block == nullptr) return NoSuchBlock();
  if (!space_.Owns(*block, participant_.slot())) return NotAnOwner();
  return block;
}

absl::Status CoalescingHeap::DoFree(BlockHandle handle) {
  {
    Session session(space_);
    if (!session.entered) return Damaged();
    BlockHeader* const block = space_.Find(handle);
    if (block == nullptr) return NoSuchBlock();
    if (!space_.Owns(*block, participant_.slot())) return NotAnOwner();
    const absl::StatusOr<bool> freed = space_.LetGo(session, *block, participant_.slot());
    if (!freed.ok()) return freed.status();
    if (!*freed) return absl::OkStatus();
  }
  // dies before -> its death wakes who sleeps
  WakeWhoWaits();
  return absl::OkStatus();
}

absl::StatusOr<HeapReserve> CoalescingHeap::DoReserve(uint64_t blocks, size_t block_bytes,
                                                      Deadline deadline) {
  const uint64_t each = locked::Heap::BlockBytesFor(space_.header_bytes() + block_bytes);
  if (blocks > space_.room_bytes() / each) {
    return absl::InvalidArgumentError("so many blocks are more than the segment could hold");
  }
  uint32_t index = 0;
  while (index < Ledger::kReserves && ledger_.reserves[index] != 0) ++index;
  if (index == Ledger::kReserves) {
    return absl::ResourceExhaustedError("this participant has as many reserves as it may");
  }
  uint64_t& row = ledger_.reserves[index];
  const Request request{.bytes = block_bytes, .owner = participant_.slot(), .reserve = &row};
  absl::Status status = Until(deadline, [&](Session& session) -> absl::StatusOr<bool> {
    for (uint64_t i = 0; i < blocks; ++i) {
      const absl::StatusOr<uint64_t> payload = space_.Allocate(session, request);
      if (!payload.ok()) return payload.status();
      if (*payload != 0) continue;
      // All or none: who waited with some of them would wait for others who wait with some.
      absl::StatusOr<uint64_t> released = space_.ReleaseReserve(session, row);
      if (!released.ok()) return released.status();
      return false;
    }
    return true;
  });
  if (!status.ok()) return status;
  return HeapReserve(this, index, blocks, block_bytes);
}

absl::StatusOr<BlockHandle> CoalescingHeap::DoAllocateReserved(uint64_t hold, size_t bytes) {
  Session session(space_);
  if (!session.entered) return Damaged();
  uint64_t& row = ledger_.reserves[hold];
  const absl::StatusOr<BlockHeader*> first = space_.FirstOf(row);
  if (!first.ok()) return first.status();
  if (*first == nullptr) return Damaged();  // the handle says that one is left
  const uint64_t payload = row;
  BlockHeader& block = **first;
  session.journal.Set(&row, block.next_reserved);
  session.journal.Set(&block.size_kind, bytes << 2 | BlockHeader::kLive);
  // dies before -> it is the reserve's;  dies after -> the dead one's
  if (!session.journal.Commit()) return Damaged();
  return HandleOf(payload);
}

absl::Status CoalescingHeap::DoRelease(uint64_t hold) {
  {
    Session session(space_);
    if (!session.entered) return Damaged();
    const absl::StatusOr<uint64_t> released =
        space_.ReleaseReserve(session, ledger_.reserves[hold]);
    if (!released.ok()) return released.status();
  }
  WakeWhoWaits();
  return absl::OkStatus();
}

// ---- Owners -------------------------------------------------------------------------------------

absl::Status CoalescingHeap::CheckOther(BlockHeader& block, ParticipantId other) const {
  // Under the mutex: it neither leaves nor is recovered before the block is its own (O6).
  if (other.slot >= space_.segment().header().max_participants ||
      space_.ledger(other.slot).member != Ledger::MemberWord(other.generation) ||
      space_.participants().state(other.slot) != ParticipantState::kInUse) {
    return absl::UnavailableError("the other participant has left or died");
  }
  if (space_.Owns(block, other.slot)) {
    return absl::AlreadyExistsError("the other participant owns the block already");
  }
  return absl::OkStatus();
}

absl::Status CoalescingHeap::DoShare(BlockHandle handle, ParticipantId other) {
  const Session session(space_);
  if (!session.entered) return Damaged();
  const absl::StatusOr<BlockHeader*> block = Owned(handle);
  if (!block.ok()) return block.status();
  if (absl::Status status = CheckOther(**block, other); !status.ok()) return status;
  uint64_t& word = WordOf(**block, other.slot);
  // dies before -> the other does not own it;  dies after -> it does
  // Release: pairs with the acquire of DoData: the bytes were written before.
  std::atomic_ref<uint64_t>(word).store(word | uint64_t{1} << other.slot % 64,
                                        std::memory_order_release);
  return absl::OkStatus();
}

absl::Status CoalescingHeap::DoTransfer(BlockHandle handle, ParticipantId other) {
  Session session(space_);
  if (!session.entered) return Damaged();
  const absl::StatusOr<BlockHeader*> block = Owned(handle);
  if (!block.ok()) return block.status();
  if (absl::Status status = CheckOther(**block, other); !status.ok()) return status;
  uint64_t& mine = WordOf(**block, participant_.slot());
  uint64_t& theirs = WordOf(**block, other.slot);
  const uint64_t their_bit = uint64_t{1} << other.slot % 64;
  if (&mine == &theirs) {
    // dies before -> this one owns it;  dies after -> the other does
    // Release: as in DoShare.
    std::atomic_ref<uint64_t>(mine).store((mine & ~MyBit()) | their_bit, std::memory_order_release);
    return absl::OkStatus();
  }
  session.journal.Set(&theirs, theirs | their_bit);
  session.journal.Set(&mine, mine & ~MyBit());
  // dies before -> this one owns it;  dies after -> the other does
  return session.journal.Commit() ? absl::OkStatus() : Damaged();
}

absl::StatusOr<std::span<char>> CoalescingHeap::DoData(BlockHandle handle) {
  // Where one word has all owners, a change of it is one store: whose bit is in it owns the block,
  // and does until it lets go itself, so nothing that is looked at after it can change (O1). Of a
  // word that is no block's, the generation tells.
  if (const uint64_t payload = space_.PayloadOf(handle.offset);
      payload != 0 && space_.owner_words() == 1) {
    BlockHeader& block = space_.At(payload);
    // Acquire: pairs with the release of DoShare and DoTransfer.
    const uint64_t owners =
        std::atomic_ref<uint64_t>(block.owners()[0]).load(std::memory_order_acquire);
    // Relaxed: after the owners, by the acquire.
    const uint64_t generation =
        std::atomic_ref<uint64_t>(block.generation).load(std::memory_order_relaxed);
    if ((owners & MyBit()) != 0 && generation == handle.generation &&
        block.is(BlockHeader::kLive) && space_.Fits(payload, block.bytes())) {
      return BytesOf(handle, block);
    }
  }
  const Session session(space_);
  if (!session.entered) return Damaged();
  const absl::StatusOr<BlockHeader*> block = Owned(handle);
  if (!block.ok()) return block.status();
  return BytesOf(handle, **block);
}

// ---- Looking ------------------------------------------------------------------------------------

absl::StatusOr<std::vector<ParticipantId>> CoalescingHeap::DoOwners(BlockHandle handle) {
  const Session session(space_);
  if (!session.entered) return Damaged();
  BlockHeader* const block = space_.Find(handle);
  if (block == nullptr) return NoSuchBlock();
  std::vector<ParticipantId> owners;
  space_.AppendOwners(*block, owners);
  return owners;
}

absl::Status CoalescingHeap::DoForEach(absl::FunctionRef<bool(const HeapBlock&)> visit) {
  // A copy of one moment, so that nobody waits for `visit`.
  std::vector<HeapBlock> blocks;
  std::vector<ParticipantId> owners;
  std::vector<size_t> first_owner;
  {
    const Session session(space_);
    if (!session.entered) return Damaged();
    absl::Status walked = space_.ForEachUsed([&](uint64_t payload, BlockHeader& block) {
      first_owner.push_back(owners.size());
      space_.AppendOwners(block, owners);
      blocks.push_back({.handle = HandleOf(payload),
                        .bytes = block.bytes(),
                        .owners = {},
                        .reserved = block.is(BlockHeader::kReserved)});
    });
    if (!walked.ok()) return walked;
  }
  first_owner.push_back(owners.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    blocks[i].owners = {owners.data() + first_owner[i], first_owner[i + 1] - first_owner[i]};
    if (!visit(blocks[i])) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<HeapOccupancy> CoalescingHeap::DoLook() {
  HeapOccupancy occupancy;
  Session session(space_);
  if (!session.entered || !space_.arena().MergeListed(session.journal)) return Damaged();
  occupancy.room_bytes = space_.room_bytes();
  uint64_t largest = 0;
  const bool sound = space_.arena().ForEachBlock([&](uint64_t payload, uint64_t bytes, bool used) {
    if (!used) {
      occupancy.free_bytes += bytes;
      largest = std::max(largest, bytes);
    } else if (space_.At(payload).is(BlockHeader::kReserved)) {
      occupancy.reserved_bytes += space_.At(payload).bytes();
    } else {
      ++occupancy.blocks;
    }
  });
  if (!sound) return Damaged();
  const uint64_t overhead = locked::Heap::kBlockHeaderBytes + space_.header_bytes();
  occupancy.largest_block_bytes = largest > overhead ? largest - overhead : 0;
  return occupancy;
}

}  // namespace kill9::coalescing_heap

#include <algorithm>
#include <utility>

#include "variants/heaps/shared/waiting.h"
#include "variants/heaps/size_class_heap/size_class_heap.h"

namespace kill9::size_class_heap {
namespace {

absl::Status NoSuchBlock() { return absl::NotFoundError("no block lives under this handle"); }

}  // namespace

SizeClassHeap::SizeClassHeap(std::shared_ptr<Segment> segment, Participant participant)
    : Heap(participant.guard()),
      space_(std::move(segment), participant),
      participant_(std::move(participant)),
      sleeper_(*space_.segment(), space_.sleepers_page()),
      cursors_(space_.classes().count()) {
  SetMaxBlockBytes(space_.max_block_bytes());
  // Seq_cst: as all stores to it (U6).
  space_.ledger(space_.index())
      .member.store(Ledger::MemberWord(participant_.generation()), std::memory_order_seq_cst);
}

SizeClassHeap::~SizeClassHeap() {
  if (!guard().owns()) return;
  // From now on nobody gives it anything. Seq_cst: the sweep comes after it (U6).
  space_.ledger(space_.index()).member.store(0, std::memory_order_seq_cst);
  space_.DropAll(space_.Bit());
  WakeWhoWaits();
}

// ---- Waiting ------------------------------------------------------------------------------------

absl::Status SizeClassHeap::Until(Deadline deadline, absl::FunctionRef<bool()> attempt) {
  const auto announce_first = [&](bool announce) -> absl::StatusOr<bool> {
    announced_ = announce;
    if (announce) sleeper_.Announce(space_.header().for_room);
    bool done = attempt();
    // The last one of those who were in each other's way looks again: nobody would wake it (U9).
    while (!done && announce && space_.HaveOthersTold(in_vain_.begun, in_vain_.told)) {
      done = attempt();
    }
    if (!done && announce && in_vain_.in_the_way) sleeper_.LookAgain();
    return done;
  };
  return WaitForRoom(deadline, sleeper_, announce_first, [this] {
    const RecoveryReport report = RecoverAndWake();
    return report.participants + report.blocks != 0;
  });
}

RecoveryReport SizeClassHeap::RecoverAndWake() {
  const RecoveryReport report = space_.RecoverDead();
  if (report.participants + report.blocks != 0) WakeWhoWaits();
  return report;
}

absl::StatusOr<RecoveryReport> SizeClassHeap::DoRecover() {
  if (absl::Status status = space_.participants().CanTellTheDead(); !status.ok()) return status;
  return RecoverAndWake();
}

// ---- Owners -------------------------------------------------------------------------------------

uint64_t SizeClassHeap::OwnersOf(const Place& place, uint64_t generation) const {
  if (place.words == nullptr || generation == 0) return 0;
  // Acquire, all: pairs with Complete and Drop. No generation comes again (U4): if it is the same
  // before and after, the owners are of the block that it names, of a moment in between.
  if (place.words->generation.load(std::memory_order_acquire) != generation) return 0;
  const uint64_t owners = place.words->owners.load(std::memory_order_acquire);
  return place.words->generation.load(std::memory_order_acquire) == generation ? owners : 0;
}

absl::Status SizeClassHeap::CheckOwned(const Place& place, BlockHandle handle) const {
  const uint64_t owners = OwnersOf(place, handle.generation);
  if ((owners & space_.Bit()) != 0) [[likely]]
    return absl::OkStatus();
  if (owners == 0) return NoSuchBlock();
  return absl::PermissionDeniedError("the block lives, and is not this participant's");
}

absl::StatusOr<Place> SizeClassHeap::Owned(BlockHandle handle) const {
  const Place place = space_.Find(handle.offset);
  if (absl::Status status = CheckOwned(place, handle); !status.ok()) return status;
  return place;
}

absl::Status SizeClassHeap::DoFree(BlockHandle handle) {
  const Place place = space_.Find(handle.offset);
  if (place.words == nullptr || !OwnsAlone(*place.words, handle.generation)) [[unlikely]]
    return FreeOneOfSeveral(place, handle);
  space_.EndBlock(*place.words);
  TellThatFree(place.head, place.size_class, place.index, handle.generation);
  // dies before -> its death wakes who sleeps
  WakeWhoWaits();
  return absl::OkStatus();
}

absl::Status SizeClassHeap::FreeOneOfSeveral(Place place, BlockHandle handle) {
  if (absl::Status status = CheckOwned(place, handle); !status.ok()) return status;
  GiveBack(place, handle.generation);
  WakeWhoWaits();
  return absl::OkStatus();
}

absl::Status SizeClassHeap::Give(BlockHandle handle, ParticipantId other, uint64_t keep) {
  const absl::StatusOr<Place> place = Owned(handle);
  if (!place.ok()) return place.status();
  // Who has given it away looks at it once more, and does not own it then (U5).
  const Space::SpanGuard guard(space_, place->head);
  space_.Name(0, other.slot);
  absl::Status status;
  if (!guard.is_span()) {
    status = absl::DataLossError("the segment is damaged: a block that lives is in no span");
  } else if (!space_.CanOwn(other)) {
    status = absl::UnavailableError("the other participant has left or died");
  } else {
    const uint64_t bit = uint64_t{1} << other.slot;
    SharedWord& word = place->words->owners;
    // Relaxed: the CAS decides.
    uint64_t owners = word.load(std::memory_order_relaxed);
    // dies before -> the other does not own it;  dies after -> it does (of Transfer: instead)
    // Seq_cst: before the second look at the other (U6). As a release it pairs with the loads of
    // OwnersOf: the bytes were written before.
    while ((owners & bit) == 0 &&
           !word.compare_exchange_weak(owners, (owners & keep) | bit, std::memory_order_seq_cst,
                                       std::memory_order_relaxed)) {
    }
    if ((owners & bit) != 0) {
      status = absl::AlreadyExistsError("the other participant owns the block already");
    } else if (!space_.CanOwn(other)) {
      // It has left or died since, and may have looked at this block before: it let go of it.
      if (space_.Drop(*place, bit)) {
        space_.Hint(place->head);
        if (place->size_class == Classes::kLarge) space_.TryUnmake(place->head);
        WakeWhoWaits();
      }
    }
  }
  space_.Unname(0);
  return status;
}

absl::Status SizeClassHeap::DoShare(BlockHandle handle, ParticipantId other) {
  return Give(handle, other, ~uint64_t{0});
}

absl::Status SizeClassHeap::DoTransfer(BlockHandle handle, ParticipantId other) {
  return Give(handle, other, ~space_.Bit());
}

absl::StatusOr<std::span<char>> SizeClassHeap::DoData(BlockHandle handle) {
  const absl::StatusOr<Place> place = Owned(handle);
  if (!place.ok()) return place.status();
  // Relaxed: its owner wrote it before the generation.
  const uint64_t bytes = place->words->size_kind.load(std::memory_order_relaxed) >> 1;
  if (bytes > place->slot_bytes) {
    return absl::DataLossError("the segment is damaged: a block is larger than its room");
  }
  return std::span<char>(space_.base() + place->data, bytes);
}

// ---- Looking ------------------------------------------------------------------------------------

// A bit is that of the slot's owner while it stands (U6): whose it was, the slot tells that had one
// generation before the bits were read and after.
void SizeClassHeap::ReadOwners(absl::FunctionRef<uint64_t()> bits,
                               std::vector<ParticipantId>& owners) const {
  const ParticipantTable& table = space_.participants();
  for (uint64_t seen = bits();;) {
    owners.clear();
    for (uint32_t slot = 0; slot < kMostParticipants; ++slot) {
      if ((seen >> slot & 1) != 0) owners.push_back({slot, table.generation(slot)});
    }
    const uint64_t again = bits();
    const bool same = std::all_of(owners.begin(), owners.end(), [&](ParticipantId id) {
      return table.generation(id.slot) == id.generation;
    });
    if (again == seen && same) return;
    seen = again;
  }
}

absl::StatusOr<std::vector<ParticipantId>> SizeClassHeap::DoOwners(BlockHandle handle) {
  const Place place = space_.Find(handle.offset);
  std::vector<ParticipantId> owners;
  ReadOwners([&] { return OwnersOf(place, handle.generation); }, owners);
  if (owners.empty()) return NoSuchBlock();
  return owners;
}

bool SizeClassHeap::ReadBlock(uint32_t head, uint64_t index, HeapBlock* block,
                              std::vector<ParticipantId>& owners) {
  // Nobody unmakes the span while it is named: what is read here are a block's words. (Else they
  // may be somebody's bytes by now, which look like any block.)
  const Space::SpanGuard guard(space_, head);
  if (!guard.is_span()) return false;
  const Space::Span span = space_.SpanOf(head, guard.word());
  if (index >= span.blocks()) return false;  // another span than the caller's
  const Place place = span.At(index);
  // Acquire: pairs with Complete. What is read between two equal generations is the block's.
  const uint64_t generation = place.words->generation.load(std::memory_order_acquire);
  const uint64_t size_kind = place.words->size_kind.load(std::memory_order_acquire);
  const bool reserved = generation == 0 && (size_kind & 1) == BlockWords::kReserved;
  if (!reserved && generation == 0) return false;
  const auto bits = [&] {
    if (!reserved) return OwnersOf(place, generation);
    const uint64_t seen = place.words->owners.load(std::memory_order_acquire);
    // Acquire, both: as above. Else it was taken, completed and given to somebody since: those are
    // no owners of a reserved block.
    const bool still = place.words->generation.load(std::memory_order_acquire) == 0 &&
                       place.words->size_kind.load(std::memory_order_acquire) == size_kind;
    return still ? seen : 0;
  };
  ReadOwners(bits, owners);
  *block = {.handle = {place.data, generation},
            .bytes = size_kind >> 1,
            .owners = owners,
            .reserved = reserved};
  return !owners.empty();
}

absl::Status SizeClassHeap::DoForEach(absl::FunctionRef<bool(const HeapBlock&)> visit) {
  HeapBlock block;
  std::vector<ParticipantId> owners;
  space_.ForEachSpan([&](uint32_t head, UnitWord word) {
    const uint64_t blocks = space_.SpanOf(head, word).blocks();
    for (uint64_t i = 0; i < blocks; ++i) {
      if (ReadBlock(head, i, &block, owners) && !visit(block)) return false;
    }
    return true;
  });
  return absl::OkStatus();
}

absl::StatusOr<HeapOccupancy> SizeClassHeap::DoLook() {
  HeapOccupancy occupancy;
  occupancy.room_bytes = space_.room_bytes();
  const Space::LookGuard looks(space_);  // what is being unmade is not found by others
  space_.UnmakeEmpty();
  uint64_t run = 0;
  const auto count = [&](const Place& place) {
    // Relaxed, all: each of its own moment.
    const uint64_t size_kind = place.words->size_kind.load(std::memory_order_relaxed);
    if (place.words->owners.load(std::memory_order_relaxed) == 0) {
      occupancy.free_bytes += place.slot_bytes;
      occupancy.largest_block_bytes = std::max(occupancy.largest_block_bytes, place.slot_bytes);
    } else if (place.words->generation.load(std::memory_order_relaxed) != 0) {
      ++occupancy.blocks;
    } else if ((size_kind & 1) == BlockWords::kReserved) {
      occupancy.reserved_bytes += size_kind >> 1;
    }
  };
  for (uint32_t number = 0; number < space_.unit_count(); ++number) {
    const UnitWord word = space_.WordOf(number);
    run = word.kind() == UnitKind::kFree ? run + space_.unit_bytes() : 0;
    occupancy.free_bytes += run != 0 ? space_.unit_bytes() : 0;
    if (run != 0) {
      occupancy.largest_block_bytes =
          std::max(occupancy.largest_block_bytes, run - Classes::LargeOverhead());
    }
    if (!word.is_span()) continue;
    // As in ReadBlock.
    const Space::SpanGuard guard(space_, number);
    if (!guard.is_span()) continue;
    const Space::Span span = space_.SpanOf(number, guard.word());
    for (uint64_t i = 0; i < span.blocks(); ++i) count(span.At(i));
  }
  return occupancy;
}

}  // namespace kill9::size_class_heap

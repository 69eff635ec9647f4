#include "variants/heaps/coalescing_heap/space.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"

namespace kill9::coalescing_heap {
namespace {

using locked::Heap;

uint64_t PageBegin(uint64_t body_offset) {
  return RoundUp(body_offset + sizeof(HeapHeader), SleepersPage::kBytes);
}

uint32_t OwnerWords(const SegmentHeader& header) { return (header.max_participants + 63) / 64; }

// Relaxed, both: under the mutex, which orders them; atomic since an owner looks at its own block
// without it (O1).
uint64_t Load(const uint64_t& word) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word)).load(std::memory_order_relaxed);
}
void Store(uint64_t& word, uint64_t value) {
  std::atomic_ref<uint64_t>(word).store(value, std::memory_order_relaxed);
}

}  // namespace

absl::Status Space::Format(Segment& segment, SegmentHeader& header) {
  const uint64_t begin = PageBegin(header.body_offset) + SleepersPage::kBytes;
  if (begin + kSmallestArenaBytes > header.size_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                   " bytes is too small for this heap: at least ",
                                                   begin + kSmallestArenaBytes, " are needed"));
  }
  header.parameters[kArenaBegin] = begin;
  header.parameters[kArenaBytes] = (header.size_bytes - begin) / Heap::kGranule * Heap::kGranule;
  auto* heap = new (segment.base() + header.body_offset) HeapHeader{};
  heap->mutex.Format();
  // Drawn: what a user's bytes happen to say is no generation.
  std::memcpy(&heap->last_generation, header.hash_secret, sizeof heap->last_generation);
  heap->last_generation >>= 2;
  Heap::Format(segment.base(), heap->arena, begin, begin + header.parameters[kArenaBytes]);
  return absl::OkStatus();
}

absl::Status Space::Check(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  const uint64_t begin = PageBegin(header.body_offset) + SleepersPage::kBytes;
  const uint64_t bytes = header.parameters[kArenaBytes];
  if (header.parameters[kArenaBegin] != begin || begin > segment.size() ||
      bytes < kSmallestArenaBytes || bytes % Heap::kGranule != 0 ||
      bytes > segment.size() - begin) {
    return absl::DataLossError(
        "the segment is damaged: its header's parameters contradict its size");
  }
  return absl::OkStatus();
}

Space::Space(std::shared_ptr<Segment> segment)
    : segment_(std::move(segment)),
      base_(segment_->base()),
      header_(reinterpret_cast<HeapHeader*>(segment_->body().data())),
      sleepers_page_(
          reinterpret_cast<SleepersPage*>(base_ + PageBegin(segment_->header().body_offset))),
      participants_(segment_->participants()),
      arena_end_(segment_->header().parameters[kArenaBegin] +
                 segment_->header().parameters[kArenaBytes] - Heap::kBlockHeaderBytes),
      arena_(base_, header_->arena,
             {segment_->header().parameters[kArenaBegin],
              segment_->header().parameters[kArenaBegin] +
                  segment_->header().parameters[kArenaBytes]}),
      owner_words_(OwnerWords(segment_->header())),
      header_bytes_(BlockHeader::Bytes(owner_words_)) {}

uint64_t Space::PayloadOf(uint64_t data_offset) const {
  if (data_offset < header_bytes_ || data_offset > arena_end_) return 0;
  const uint64_t payload = data_offset - header_bytes_;
  return arena_.Contains(payload) ? payload : 0;
}

BlockHeader* Space::Find(BlockHandle handle) const {
  const uint64_t payload = PayloadOf(handle.offset);
  if (payload == 0) return nullptr;
  BlockHeader& block = At(payload);
  if (Load(block.generation) != handle.generation || !block.is(BlockHeader::kLive)) return nullptr;
  return Fits(payload, block.bytes()) ? &block : nullptr;
}

bool Space::IsShared(BlockHeader& block) const {
  uint64_t owners = 0;
  for (uint32_t i = 0; i < owner_words_; ++i) {
    owners += static_cast<uint64_t>(std::popcount(Load(block.owners()[i])));
  }
  return owners > 1;
}

absl::StatusOr<uint64_t> Space::Allocate(Session& session, const Request& request) {
  Journal& journal = session.journal;
  const uint64_t payload_bytes = header_bytes_ + request.bytes;
  const uint64_t payload =
      request.at != 0 ? arena_.AllocateAt(journal, request.at - header_bytes_, payload_bytes)
      : request.lifetime == Lifetime::kLong ? arena_.AllocateLast(journal, payload_bytes)
                                            : arena_.Allocate(journal, payload_bytes);
  if (journal.damaged()) return Damaged();
  if (payload == 0) return 0;
  // In a block that is free, if this is undone: nothing needs to be restored.
  BlockHeader& block = At(payload);
  const bool reserved = request.reserve != nullptr;
  for (uint32_t i = 0; i < owner_words_; ++i) Store(block.owners()[i], 0);
  Store(block.owners()[request.owner / 64], uint64_t{1} << request.owner % 64);
  Store(block.size_kind,
        request.bytes << 2 | (reserved ? BlockHeader::kReserved : BlockHeader::kLive));
  Store(block.next_reserved, reserved ? *request.reserve : 0);
  Store(block.generation, NextGeneration());
  if (reserved) journal.Set(request.reserve, payload);
  // dies before -> there is no block;  dies after -> it is the dead one's, or its reserve's
  if (!journal.Commit()) return Damaged();
  return payload;
}

absl::StatusOr<bool> Space::FreeBlock(Session& session, BlockHeader& block) {
  Journal& journal = session.journal;
  const uint64_t payload = OffsetOf(&block);
  // A list's link takes the generation's place: the arena's Free puts it there (O5).
  if (!arena_.IsListed(payload)) journal.Set(&block.generation, 0);
  arena_.Free(journal, payload);
  // dies before -> it is as it was;  dies after -> it is free, and no handle leads to it (O5)
  if (!journal.Commit()) return Damaged();
  return true;
}

absl::StatusOr<bool> Space::LetGo(Session& session, BlockHeader& block, uint32_t slot) {
  uint64_t others = 0;
  for (uint32_t i = 0; i < owner_words_; ++i) {
    others |= Load(block.owners()[i]) & ~(i == slot / 64 ? uint64_t{1} << slot % 64 : 0);
  }
  if (others == 0) return FreeBlock(session, block);
  uint64_t& word = block.owners()[slot / 64];
  // dies before -> the slot owns it;  dies after -> it does not;  others never stop to
  Store(word, Load(word) & ~(uint64_t{1} << slot % 64));
  return false;
}

absl::StatusOr<BlockHeader*> Space::FirstOf(uint64_t row) const {
  if (row == 0) return nullptr;
  if (!arena_.Contains(row) || !Fits(row, 0) || !At(row).is(BlockHeader::kReserved)) {
    return Damaged();
  }
  return &At(row);
}

absl::StatusOr<uint64_t> Space::ReleaseReserve(Session& session, uint64_t& row) {
  uint64_t count = 0;
  for (; row != 0; ++count) {
    const absl::StatusOr<BlockHeader*> first = FirstOf(row);
    if (!first.ok()) return first.status();
    session.journal.Set(&row, (*first)->next_reserved);
    if (absl::StatusOr<bool> freed = FreeBlock(session, **first); !freed.ok()) {
      return freed.status();
    }
  }
  return count;
}

absl::Status Space::ForEachUsed(
    absl::FunctionRef<void(uint64_t payload, BlockHeader& block)> visit) {
  const bool sound = arena_.ForEachBlock([&](uint64_t payload, uint64_t bytes, bool used) {
    if (!used || bytes < Heap::kBlockHeaderBytes + header_bytes_) return;
    BlockHeader& block = At(payload);
    if (block.is(BlockHeader::kLive) || block.is(BlockHeader::kReserved)) visit(payload, block);
  });
  return sound ? absl::OkStatus() : Damaged();
}

absl::StatusOr<uint64_t> Space::LetGoOfAll(Session& session, const SlotSet& slots) {
  uint64_t freed = 0;
  for (uint32_t slot = 0; slot < owner_words_ * 64 && slot < participants_.size(); ++slot) {
    if ((slots[slot / 64] >> slot % 64 & 1) == 0) continue;
    for (uint64_t& row : ledger(slot).reserves) {
      const absl::StatusOr<uint64_t> released = ReleaseReserve(session, row);
      if (!released.ok()) return released.status();
      freed += *released;
    }
  }
  // To free one merges blocks, which would end the walk: first the others, then these.
  std::vector<uint64_t> orphans;
  absl::Status walked = ForEachUsed([&](uint64_t payload, BlockHeader& block) {
    if (!block.is(BlockHeader::kLive)) return;
    uint64_t left = 0, gone = 0;
    for (uint32_t i = 0; i < owner_words_; ++i) {
      left |= Load(block.owners()[i]) & ~slots[i];
      gone |= Load(block.owners()[i]) & slots[i];
    }
    if (gone == 0) return;
    if (left == 0) return orphans.push_back(payload);
    // dies at any instruction -> the rest is let go of by the next recoverer
    for (uint32_t i = 0; i < owner_words_; ++i) {
      Store(block.owners()[i], Load(block.owners()[i]) & ~slots[i]);
    }
  });
  if (!walked.ok()) return walked;
  for (const uint64_t payload : orphans) {
    if (absl::StatusOr<bool> done = FreeBlock(session, At(payload)); !done.ok()) {
      return done.status();
    }
    ++freed;
  }
  return freed;
}

bool Space::MayChange(uint64_t offset, uint64_t bytes) const {
  if (arena_.MayChange(offset, bytes)) return true;
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    const uint64_t rows = OffsetOf(ledger(slot).reserves);
    if (locked::ByteRange{rows, rows + sizeof(Ledger::reserves)}.Contains(offset, bytes)) {
      return true;
    }
  }
  return false;
}

void Space::AppendOwners(BlockHeader& block, std::vector<ParticipantId>& to) const {
  const uint32_t slots = std::min<uint32_t>(64 * owner_words(), participants_.size());
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (Owns(block, slot)) to.push_back(IdOf(slot));
  }
}

}  // namespace kill9::coalescing_heap

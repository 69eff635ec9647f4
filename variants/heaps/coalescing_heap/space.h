// A process's view of a coalescing_heap's segment, and what is done with its blocks.
#ifndef KILL9_VARIANTS_HEAPS_COALESCING_HEAP_SPACE_H_
#define KILL9_VARIANTS_HEAPS_COALESCING_HEAP_SPACE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/heap.h"
#include "variants/heaps/coalescing_heap/layout.h"
#include "variants/heaps/shared/journal_session.h"
#include "variants/segment.h"

namespace kill9::coalescing_heap {

class Session;

// A set of slots, as the owners of a block are.
using SlotSet = std::vector<uint64_t>;
inline void AddSlot(SlotSet& slots, uint32_t slot) { slots[slot / 64] |= uint64_t{1} << slot % 64; }

// What is wanted of Space::Allocate.
struct Request {
  uint64_t bytes = 0;
  uint32_t owner = 0;
  Lifetime lifetime = Lifetime::kShort;
  uint64_t at = 0;              // not 0: the block's data are to lie at this offset
  uint64_t* reserve = nullptr;  // not null: a block for this row
};

class Space {
 public:
  static absl::Status Format(Segment& segment, SegmentHeader& header);
  // kDataLoss if the header's parameters contradict the segment's size.
  static absl::Status Check(const Segment& segment);
  explicit Space(std::shared_ptr<Segment> segment);

  HeapHeader& header() const { return *header_; }
  const Segment& segment() const { return *segment_; }
  const ParticipantTable& participants() const { return participants_; }
  Ledger& ledger(uint32_t slot) const { return participants_.ledger_as<Ledger>(slot); }
  SleepersPage& sleepers_page() const { return *sleepers_page_; }
  locked::Heap& arena() { return arena_; }
  uint32_t owner_words() const { return owner_words_; }
  uint64_t header_bytes() const { return header_bytes_; }
  uint64_t max_block_bytes() const { return arena_.max_payload_bytes() - header_bytes_; }
  uint64_t room_bytes() const { return arena_.capacity_bytes(); }
  BlockHeader& At(uint64_t payload) const {
    return *reinterpret_cast<BlockHeader*>(base_ + payload);
  }
  char* DataOf(uint64_t payload) const { return base_ + payload + header_bytes_; }
  // Where the header of a block would be whose data lie there; 0: none can lie there.
  uint64_t PayloadOf(uint64_t data_offset) const;
  // The header and so many bytes of data lie in the arena.
  bool Fits(uint64_t payload, uint64_t bytes) const {
    const uint64_t room = arena_end_ - payload - header_bytes_;
    return payload + header_bytes_ <= arena_end_ && bytes <= room;
  }

  // All that follows. REQUIRES: a session is open.

  // The live block of this handle. Null: there is none.
  BlockHeader* Find(BlockHandle handle) const;
  bool Owns(BlockHeader& block, uint32_t slot) const {
    return (block.owners()[slot / 64] >> slot % 64 & 1) != 0;
  }
  bool IsShared(BlockHeader& block) const;
  // The payload of a new block; 0: there is no room. kDataLoss.
  absl::StatusOr<uint64_t> Allocate(Session& session, const Request& request);
  // Drops a slot's ownership of a block that it owns. Whether that freed it.
  absl::StatusOr<bool> LetGo(Session& session, BlockHeader& block, uint32_t slot);
  // Frees all blocks of a reserve; how many.
  absl::StatusOr<uint64_t> ReleaseReserve(Session& session, uint64_t& row);
  // Lets go of all that these slots own, their reserves included. How many blocks that freed.
  absl::StatusOr<uint64_t> LetGoOfAll(Session& session, const SlotSet& slots);
  // The first block of a chain. kDataLoss; null: there is none.
  absl::StatusOr<BlockHeader*> FirstOf(uint64_t row) const;
  // Visits live and reserved blocks in the order of their places. kDataLoss.
  absl::Status ForEachUsed(absl::FunctionRef<void(uint64_t payload, BlockHeader& block)> visit);
  uint64_t NextGeneration() { return ++header_->last_generation | BlockHeader::kGenerationBit; }
  // Who owns the block, by slot.
  void AppendOwners(BlockHeader& block, std::vector<ParticipantId>& to) const;
  ParticipantId IdOf(uint32_t slot) const { return {slot, participants_.generation(slot)}; }

  // Whether a transaction can have changed these bytes.
  bool MayChange(uint64_t offset, uint64_t bytes) const;
  absl::StatusOr<HeapAccount> Account();

 private:
  absl::StatusOr<bool> FreeBlock(Session& session, BlockHeader& block);
  uint64_t OffsetOf(const void* place) const {
    return static_cast<uint64_t>(static_cast<const char*>(place) - base_);
  }

  // The audit's parts.
  struct AuditState;
  void AuditChains(AuditState& state);
  void AuditBlock(AuditState& state, const locked::Heap::BlockView& view);
  void AuditOwners(AuditState& state, BlockHeader& block, uint64_t payload);

  std::shared_ptr<Segment> segment_;
  char* base_;
  HeapHeader* header_;
  SleepersPage* sleepers_page_;
  ParticipantTable participants_;
  uint64_t arena_end_;
  locked::Heap arena_;
  uint32_t owner_words_;
  uint64_t header_bytes_;
};

// The mutex, held for a while; what its last owner left half done is undone first.
class Session : public JournalSession {
 public:
  explicit Session(Space& space)
      : JournalSession(space.segment().base(), space.header().mutex, space.header().journal,
                       space.header().writer, [&space](uint64_t offset, uint64_t bytes) {
                         return space.MayChange(offset, bytes);
                       }) {}
};

// What a Recover() does.
absl::StatusOr<RecoveryReport> RecoverDead(Space& space);

}  // namespace kill9::coalescing_heap

#endif  // KILL9_VARIANTS_HEAPS_COALESCING_HEAP_SPACE_H_

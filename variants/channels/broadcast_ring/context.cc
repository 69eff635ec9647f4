#include "variants/channels/broadcast_ring/context.h"

#include <bit>
#include <utility>

#include "variants/segment/round_up.h"

namespace kill9::broadcast_ring {
namespace {

constexpr size_t kSystemPageBytes = 4096;
constexpr chunks::RingBounds kBounds = {
    .most_granules = kMostGranules, .granule_bytes = kGranuleBytes, .ledger_bytes = sizeof(Ledger)};

// Where everything lies, for so many chunks of that size.
struct Plan {
  Plan(uint64_t body_offset, uint64_t chunks, uint64_t chunk_bytes)
      : granules(chunks * (chunk_bytes / kGranuleBytes)),
        slot_count(std::bit_ceil(granules + 1)),
        slots(RoundUp(RoundUp(body_offset, alignof(RingHeader)) + sizeof(RingHeader), kLineBytes)),
        records(RoundUp(slots + slot_count * sizeof(SharedWord), kLineBytes)),
        chunk_table(RoundUp(records + granules * sizeof(Record), kLineBytes)),
        sleepers(RoundUp(chunk_table + chunks * sizeof(Chunk), kSystemPageBytes)),
        space(sleepers + SleepersPage::kBytes),
        end(space + chunks * chunk_bytes) {}

  uint64_t granules;
  uint64_t slot_count;
  uint64_t slots;
  uint64_t records;
  uint64_t chunk_table;
  uint64_t sleepers;
  uint64_t space;
  uint64_t end;
};

uint64_t HeaderOffset(const SegmentHeader& header) {
  return RoundUp(header.body_offset, alignof(RingHeader));
}

}  // namespace

SegmentLayout LayoutOfSegments() {
  return {
      .design = "broadcast_ring", .layout_version = kLayoutVersion, .ledger_bytes = sizeof(Ledger)};
}

// Zero is right for all else: slots of which nothing was filled, Free chunks, ledgers that hold
// nothing.
absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options) {
  return chunks::CreateRing<Plan>(options, LayoutOfSegments(), kBounds);
}

absl::Status CheckParameters(const Segment& segment) {
  return chunks::CheckRing<Plan>(segment, kBounds);
}

Context::Context(std::shared_ptr<Segment> segment, const Participant& participant)
    : Namer(participant), segment_(std::move(segment)), participants_(segment_->participants()) {
  const SegmentHeader& header = segment_->header();
  const uint64_t* const parameters = header.parameters;
  const Plan plan(header.body_offset, parameters[kChunkCount], parameters[kChunkBytes]);
  char* const base = segment_->base();
  header_ = reinterpret_cast<RingHeader*>(base + HeaderOffset(header));
  slots_ = reinterpret_cast<SharedWord*>(base + plan.slots);
  slot_count_ = plan.slot_count;
  records_ = reinterpret_cast<Record*>(base + plan.records);
  SetSpace(reinterpret_cast<Chunk*>(base + plan.chunk_table), base + plan.space,
           parameters[kChunkCount], parameters[kChunkBytes]);
  sleepers_page_ = reinterpret_cast<SleepersPage*>(base + plan.sleepers);
  codec_ = SlotCodec(slot_count_);
  ledger_ = &participants_.ledger_as<Ledger>(index());
}

bool Context::IsAlive(Ref ref, uint64_t* position) const {
  // Relaxed: written by the chunk's owner, whose word was acquired, or by this participant.
  const uint64_t noted = record(ref).position.load(std::memory_order_relaxed);
  if (noted == 0) return false;
  *position = noted - 1;
  // Seq_cst: before the look at the ledgers (B5); with the CAS of Send and of Evict.
  const Slot slot = codec_.Unpack(slot_of(*position).load(std::memory_order_seq_cst));
  return slot.full && slot.ref == ref && slot.laps == codec_.LapsWith(*position);
}

bool Context::IsPinned(uint32_t chunk) const {
  // Seq_cst: after the look at the slots (B5); with Pin. It acquires what Unpin releases: what was
  // read is past. All ledgers, of slots that are free as well: who has just attached may have
  // pinned already.
  const auto names = [chunk](const SharedWord& word) {
    return chunks::Named(word.load(std::memory_order_seq_cst)) == chunk + 1;
  };
  for (uint32_t i = 0; i < participants_.size(); ++i) {
    const Ledger& ledger = ledger_of(i);
    if (names(ledger.receiving)) return true;
    for (const SharedWord& word : ledger.pinned) {
      if (names(word)) return true;
    }
  }
  return false;
}

void Context::Pin(SharedWord& word, uint32_t chunk) const { NoteInOrder(word, chunk + 1); }

}  // namespace kill9::broadcast_ring

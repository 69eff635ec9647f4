#include "variants/channels/slot_ring/context.h"

#include <utility>

#include "variants/segment/round_up.h"

namespace kill9::slot_ring {
namespace {

constexpr size_t kSystemPageBytes = 4096;
constexpr chunks::RingBounds kBounds = {
    .most_granules = kMostGranules, .granule_bytes = kGranuleBytes, .ledger_bytes = sizeof(Ledger)};

// Where everything lies, for so many chunks of that size.
struct Plan {
  Plan(uint64_t body_offset, uint64_t chunks, uint64_t chunk_bytes)
      : granules(chunks * (chunk_bytes / kGranuleBytes)),
        regions(RoundUp(body_offset, alignof(RingHeader)) + sizeof(RingHeader)),
        slots(
            RoundUp(regions + RoundUp(granules * kSlotsPerGranule, kRegionSlots) / kRegionSlots * 8,
                    kLineBytes)),
        records(RoundUp(slots + granules * kSlotsPerGranule * sizeof(SharedWord), kLineBytes)),
        chunk_table(RoundUp(records + granules * sizeof(Record), kLineBytes)),
        sleepers(RoundUp(chunk_table + chunks * sizeof(Chunk), kSystemPageBytes)),
        space(sleepers + SleepersPage::kBytes),
        end(space + chunks * chunk_bytes) {}

  uint64_t granules;
  uint64_t regions;
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
  return {.design = "slot_ring", .layout_version = kLayoutVersion, .ledger_bytes = sizeof(Ledger)};
}

// Zero is right for all else: Empty(0) slots, Free chunks, ledgers that hold nothing.
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
  regions_ = reinterpret_cast<SharedWord*>(base + plan.regions);
  slots_ = reinterpret_cast<SharedWord*>(base + plan.slots);
  records_ = reinterpret_cast<Record*>(base + plan.records);
  SetSpace(reinterpret_cast<Chunk*>(base + plan.chunk_table), base + plan.space,
           parameters[kChunkCount], parameters[kChunkBytes]);
  sleepers_page_ = reinterpret_cast<SleepersPage*>(base + plan.sleepers);
  codec_ = SlotCodec(granule_count(), participants_.size());
  ledger_ = &participants_.ledger_as<Ledger>(index());
}

}  // namespace kill9::slot_ring

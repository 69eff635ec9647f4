#include "variants/channels/slot_ring/context.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

namespace kill9::slot_ring {
namespace {

constexpr size_t kSystemPageBytes = 4096;

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

absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options) {
  return Segment::Create(
      options, LayoutOfSegments(), [](Segment&, SegmentHeader& header) -> absl::Status {
        const uint64_t chunk_bytes = chunks::ChunkBytesFor(header.size_bytes);
        const uint64_t chunks = chunks::MostChunks(
            header.size_bytes, header.size_bytes - header.body_offset, chunk_bytes,
            [&](uint64_t count) { return Plan(header.body_offset, count, chunk_bytes).end; });
        const Plan plan(header.body_offset, chunks, chunk_bytes);
        if (chunks < 2) {
          return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                         " bytes leaves no room for messages"));
        }
        if (plan.granules > kMostGranules || chunks > chunks::kMostChunks) {
          return absl::InvalidArgumentError(
              absl::StrCat("a segment of ", header.size_bytes, " bytes is too large: at most ",
                           (kMostGranules * kGranuleBytes) >> 30, " GiB"));
        }
        // Zero is right for all else: Empty(0) slots, Free chunks, ledgers that hold nothing.
        header.parameters[kChunkCount] = chunks;
        header.parameters[kChunkBytes] = chunk_bytes;
        header.parameters[kSlotsOffset] = plan.slots;
        header.parameters[kRecordsOffset] = plan.records;
        header.parameters[kChunksOffset] = plan.chunk_table;
        header.parameters[kSleepersOffset] = plan.sleepers;
        header.parameters[kSpaceOffset] = plan.space;
        return absl::OkStatus();
      });
}

absl::Status CheckParameters(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  const uint64_t* const parameters = header.parameters;
  const uint64_t chunks = parameters[kChunkCount];
  const uint64_t chunk_bytes = parameters[kChunkBytes];
  const uint64_t ledgers_end =
      Segment::kHeaderBytes + ParticipantTable::Bytes(header.max_participants, sizeof(Ledger));
  if (chunks >= 2 && chunks <= chunks::kMostChunks && chunks::IsChunkBytes(chunk_bytes) &&
      chunks * (chunk_bytes / kGranuleBytes) <= kMostGranules &&
      header.ledger_bytes == sizeof(Ledger) && header.body_offset >= ledgers_end &&
      header.body_offset <= segment.size()) {
    const Plan plan(header.body_offset, chunks, chunk_bytes);
    if (parameters[kSlotsOffset] == plan.slots && parameters[kRecordsOffset] == plan.records &&
        parameters[kChunksOffset] == plan.chunk_table &&
        parameters[kSleepersOffset] == plan.sleepers && parameters[kSpaceOffset] == plan.space &&
        plan.end <= segment.size()) {
      return absl::OkStatus();
    }
  }
  return absl::DataLossError("the segment is damaged: its header's parameters contradict its size");
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

bool Context::IsAlive(Ref ref) const {
  // Relaxed: written by the chunk's owner, whose word was acquired, or by this participant.
  const uint64_t position = record(ref).position.load(std::memory_order_relaxed);
  if (position == 0) return false;
  // Acquire: pairs with the release of the acknowledgement: what its receiver read is past.
  const Slot slot =
      codec_.Unpack(this->slot((position - 1) % slot_count()).load(std::memory_order_acquire));
  return slot.kind != SlotKind::kEmpty && slot.ref == ref;
}

}  // namespace kill9::slot_ring

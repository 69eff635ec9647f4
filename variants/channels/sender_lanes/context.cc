#include "variants/channels/sender_lanes/context.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

namespace kill9::sender_lanes {
namespace {

constexpr size_t kSystemPageBytes = 4096;

// Where everything lies, for so many lanes of so many slots, and chunks of that size.
struct Plan {
  Plan(uint64_t body_offset, uint64_t lane_count, uint64_t lane_slots, uint64_t chunks,
       uint64_t chunk_bytes)
      : granules(chunks * (chunk_bytes / kGranuleBytes)),
        header(RoundUp(body_offset, alignof(LanesHeader))),
        lanes(header + sizeof(LanesHeader)),
        entries(lanes + lane_count * sizeof(Lane)),
        words(entries + lane_count * lane_slots * sizeof(SharedWord)),
        records(words + lane_count * lane_slots * sizeof(SharedWord)),
        chunk_table(RoundUp(records + granules * sizeof(Record), kLineBytes)),
        sleepers(RoundUp(chunk_table + chunks * sizeof(Chunk), kSystemPageBytes)),
        space(sleepers + SleepersPage::kBytes),
        end(space + chunks * chunk_bytes) {}

  uint64_t granules;
  uint64_t header;
  uint64_t lanes;
  uint64_t entries;
  uint64_t words;
  uint64_t records;
  uint64_t chunk_table;
  uint64_t sleepers;
  uint64_t space;
  uint64_t end;
};

Plan PlanOf(const SegmentHeader& header) {
  return Plan(header.body_offset, header.max_participants, header.parameters[kLaneSlots],
              header.parameters[kChunkCount], header.parameters[kChunkBytes]);
}

uint64_t LaneSlotsFor(const SegmentHeader& header) {
  const uint64_t lanes = header.max_participants;
  const uint64_t bytes = header.size_bytes / kLanesShare / (2 * sizeof(SharedWord)) / lanes;
  const uint64_t most = std::min(kMostSlots, std::bit_floor(kMostSlotsOfAll / lanes));
  return std::clamp(std::bit_floor(bytes), kFewestSlots, most);
}

}  // namespace

SegmentLayout LayoutOfSegments() {
  return {
      .design = "sender_lanes", .layout_version = kLayoutVersion, .ledger_bytes = sizeof(Ledger)};
}

absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options) {
  return Segment::Create(
      options, LayoutOfSegments(), [](Segment&, SegmentHeader& header) -> absl::Status {
        const uint64_t lane_slots = LaneSlotsFor(header);
        const uint64_t chunk_bytes = chunks::ChunkBytesFor(header.size_bytes);
        const uint64_t chunks =
            chunks::MostChunks(header.size_bytes, header.size_bytes - header.body_offset,
                               chunk_bytes, [&](uint64_t count) {
                                 return Plan(header.body_offset, header.max_participants,
                                             lane_slots, count, chunk_bytes)
                                     .end;
                               });
        if (chunks < 2) {
          return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                         " bytes for ", header.max_participants,
                                                         " members leaves no room for messages"));
        }
        // Zero is right for all else: slots that were never used, Free chunks, ledgers that hold
        // nothing.
        header.parameters[kChunkCount] = chunks;
        header.parameters[kChunkBytes] = chunk_bytes;
        header.parameters[kLaneSlots] = lane_slots;
        const Plan plan = PlanOf(header);
        if (plan.granules > kMostGranules || chunks > chunks::kMostChunks) {
          return absl::InvalidArgumentError(
              absl::StrCat("a segment of ", header.size_bytes, " bytes is too large: at most ",
                           (kMostGranules * kGranuleBytes) >> 30, " GiB"));
        }
        header.parameters[kLanesOffset] = plan.lanes;
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
  const uint64_t lane_slots = parameters[kLaneSlots];
  const uint64_t ledgers_end =
      Segment::kHeaderBytes + ParticipantTable::Bytes(header.max_participants, sizeof(Ledger));
  if (chunks >= 2 && chunks <= chunks::kMostChunks && chunks::IsChunkBytes(chunk_bytes) &&
      chunks * (chunk_bytes / kGranuleBytes) <= kMostGranules && std::has_single_bit(lane_slots) &&
      lane_slots >= kFewestSlots && lane_slots <= kMostSlots &&
      lane_slots * header.max_participants <= kMostSlotsOfAll &&
      header.ledger_bytes == sizeof(Ledger) && header.body_offset >= ledgers_end &&
      header.body_offset <= segment.size()) {
    const Plan plan = PlanOf(header);
    if (parameters[kLanesOffset] == plan.lanes && parameters[kRecordsOffset] == plan.records &&
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
  const Plan plan = PlanOf(header);
  char* const base = segment_->base();
  header_ = reinterpret_cast<LanesHeader*>(base + plan.header);
  lanes_ = reinterpret_cast<Lane*>(base + plan.lanes);
  entries_ = reinterpret_cast<SharedWord*>(base + plan.entries);
  words_ = reinterpret_cast<SharedWord*>(base + plan.words);
  records_ = reinterpret_cast<Record*>(base + plan.records);
  SetSpace(reinterpret_cast<Chunk*>(base + plan.chunk_table), base + plan.space,
           header.parameters[kChunkCount], header.parameters[kChunkBytes]);
  sleepers_page_ = reinterpret_cast<SleepersPage*>(base + plan.sleepers);
  lane_count_ = header.max_participants;
  slot_mask_ = header.parameters[kLaneSlots] - 1;
  slot_shift_ = std::countr_zero(header.parameters[kLaneSlots]);
  codec_ = RangeCodec(participants_.size());
  ledger_ = &participants_.ledger_as<Ledger>(index());
}

bool Context::AliveLook::IsAliveAt(uint64_t bits, Ref ref) {
  if (bits == 0 || bits == Record::kDropped) return false;
  const Place place = Place::Unpack(bits);
  if (place.lane >= context_.lane_count()) return false;  // damaged
  const uint64_t slot = context_.SlotOf(place.lane, place.position);
  const uint64_t lap = context_.LapOf(place.position);
  // Not published: its sender died before.
  if (place.position >= context_.TailOf(place.lane) || context_.entry(slot).ref() != ref) {
    return false;
  }
  // The range that it was taken with begins there, or earlier (L2, L3).
  const uint64_t first = context_.FirstSlotOf(place.lane);
  for (uint64_t back = 0; back < kMostExtent && back <= slot - first; ++back) {
    // Acquire: pairs with the acknowledgement: what its receiver read is past.
    const Range range = context_.Load(slot - back, std::memory_order_acquire);
    const int64_t ahead = context_.codec().LapsAhead(range.lap, lap);
    if (ahead < 0) continue;
    // Of another range: nobody has taken it yet, or its own is gone, and the slot is used again
    // (L7).
    if (range.extent <= back) return ahead == 0;
    if (range.kind != RangeKind::kGone) return true;
    if (ahead == 0) RememberGone(place, slot, back, range.extent);
    return false;
  }
  return true;
}

// That the range which begins `back` positions before the place is gone; of who asks for messages
// in a row, the ranges that follow it, too, some at once. All of them were published, so each
// message that has a place there is gone.
void Context::AliveLook::RememberGone(const Place& place, uint64_t slot, uint64_t back,
                                      uint64_t extent) {
  constexpr uint64_t kEnough = 64;  // positions
  const uint64_t lap = context_.LapOf(place.position);
  const uint64_t begin = Place{place.lane, place.position - back}.Pack();
  const bool in_a_row = begin == gone_.end;
  const uint64_t most = in_a_row ? back + std::min(kEnough, context_.SlotsToEnd(slot)) : 0;
  uint64_t count = extent;
  while (count < most) {
    // Acquire: as in IsAliveAt.
    const uint64_t word = context_.word(slot - back + count).load(std::memory_order_acquire);
    const uint32_t following = context_.codec().GoneExtent(word, lap);
    if (following == 0) break;
    count += following;
  }
  gone_.begin = begin;
  gone_.end = Place{place.lane, place.position - back + count}.Pack();
  gone_.lane = place.lane;
}

}  // namespace kill9::sender_lanes

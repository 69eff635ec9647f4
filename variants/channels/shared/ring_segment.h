// The segment of a ring of slots over a space of chunks (chunks.h): how it is made, and how the
// parameters of one that somebody else made are checked.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_RING_SEGMENT_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_RING_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "variants/channels/shared/chunks.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9::chunks {

// The design's parameters in the segment's header: numbers of things, and offsets.
enum RingParameter : uint32_t {
  kChunkCount = 0,
  kChunkBytes = 1,
  kSlotsOffset = 2,
  kRecordsOffset = 3,
  kChunksOffset = 4,
  kSleepersOffset = 5,
  kSpaceOffset = 6,
};

struct RingBounds {
  uint64_t most_granules;
  uint64_t granule_bytes;
  size_t ledger_bytes;
};

// Plan(body_offset, chunks, chunk_bytes) says where everything lies: `slots`, `records`,
// `chunk_table`, `sleepers`, `space`, `end`; and how many `granules` there are. All else begins as
// zeros.
// kInvalidArgument: the segment is too small, or too large.
template <typename Plan>
absl::StatusOr<std::shared_ptr<Segment>> CreateRing(const SegmentOptions& options,
                                                    const SegmentLayout& layout,
                                                    const RingBounds& bounds) {
  return Segment::Create(
      options, layout, [&bounds](Segment&, SegmentHeader& header) -> absl::Status {
        const uint64_t chunk_bytes = ChunkBytesFor(header.size_bytes);
        const uint64_t chunks = MostChunks(
            header.size_bytes, header.size_bytes - header.body_offset, chunk_bytes,
            [&](uint64_t count) { return Plan(header.body_offset, count, chunk_bytes).end; });
        const Plan plan(header.body_offset, chunks, chunk_bytes);
        if (chunks < 2) {
          return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                         " bytes leaves no room for messages"));
        }
        if (plan.granules > bounds.most_granules || chunks > kMostChunks) {
          return absl::InvalidArgumentError(
              absl::StrCat("a segment of ", header.size_bytes, " bytes is too large: at most ",
                           (bounds.most_granules * bounds.granule_bytes) >> 30, " GiB"));
        }
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

// kDataLoss: they are not those of a segment of this size.
template <typename Plan>
absl::Status CheckRing(const Segment& segment, const RingBounds& bounds) {
  const SegmentHeader& header = segment.header();
  const uint64_t* const parameters = header.parameters;
  const uint64_t chunks = parameters[kChunkCount];
  const uint64_t chunk_bytes = parameters[kChunkBytes];
  const uint64_t ledgers_end =
      Segment::kHeaderBytes + ParticipantTable::Bytes(header.max_participants, bounds.ledger_bytes);
  if (chunks >= 2 && chunks <= kMostChunks && IsChunkBytes(chunk_bytes) &&
      chunks * (chunk_bytes / bounds.granule_bytes) <= bounds.most_granules &&
      header.ledger_bytes == bounds.ledger_bytes && header.body_offset >= ledgers_end &&
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

}  // namespace kill9::chunks

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_RING_SEGMENT_H_

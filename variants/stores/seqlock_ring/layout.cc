#include "variants/stores/seqlock_ring/layout.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

namespace kill9::ring {
namespace {

constexpr uint64_t kMinimumChunkBytes = 1 << 10;
constexpr uint64_t kMaximumChunkBytes = 32 << 10;
constexpr uint64_t kChunksWanted = 256;
constexpr uint64_t kMinimumChunks = 4;
constexpr uint64_t kBytesPerEntryGuess = 256;  // where nobody says how many entries to expect
constexpr uint64_t kMinimumEntries = 64;
constexpr int kMinimumLapBits = 8;

enum Parameter { kBucketCount, kChunkCount, kChunkUnitBits };

int IndexBits(uint64_t chunk_count) { return std::bit_width(chunk_count - 1); }

struct Offsets {
  uint64_t buckets, chunks, ring, end;
};

Offsets OffsetsOf(uint64_t bucket_count, uint64_t chunk_count, int chunk_unit_bits) {
  Offsets offsets;
  offsets.buckets = sizeof(RingHeader);
  offsets.chunks = offsets.buckets + bucket_count * sizeof(Bucket);
  offsets.ring = RoundUp(offsets.chunks + chunk_count * sizeof(ChunkState), kUnitBytes);
  offsets.end = offsets.ring + (chunk_count << chunk_unit_bits) * kUnitBytes;
  return offsets;
}

}  // namespace

SegmentLayout Layout() {
  return {.design = "seqlock_ring",
          .layout_version = 3,
          .ledger_bytes = sizeof(Ledger),
          .can_keep_terms = true};
}

absl::Status Format(Segment& segment, SegmentHeader& header, uint64_t expected_entries,
                    uint64_t first_lap) {
  const uint64_t bytes = segment.body().size();
  const uint64_t entries = std::max(
      expected_entries != 0 ? expected_entries : bytes / kBytesPerEntryGuess, kMinimumEntries);
  const uint64_t buckets =
      std::clamp<uint64_t>((entries + kEntriesPerBucket - 1) / kEntriesPerBucket, 1,
                           std::max<uint64_t>(bytes / 2 / sizeof(Bucket), 1));
  const uint64_t before_chunks = sizeof(RingHeader) + buckets * sizeof(Bucket) + kUnitBytes;
  const uint64_t room = bytes > before_chunks ? bytes - before_chunks : 0;
  const uint64_t chunk_bytes =
      std::clamp(std::bit_floor(room / kChunksWanted), kMinimumChunkBytes, kMaximumChunkBytes);
  const uint64_t chunks = room / (chunk_bytes + sizeof(ChunkState));
  const int unit_bits = std::countr_zero(chunk_bytes / kUnitBytes);
  if (chunks < kMinimumChunks) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a segment with a body of ", bytes, " bytes is too small for a ring and an index of ",
        buckets * sizeof(Bucket), " bytes"));
  }
  if (IndexBits(chunks) + unit_bits > kPositionBits - kMinimumLapBits) {
    return absl::InvalidArgumentError("the segment is too large for this design's positions");
  }
  header.parameters[kBucketCount] = buckets;
  header.parameters[kChunkCount] = chunks;
  header.parameters[kChunkUnitBits] = static_cast<uint64_t>(unit_bits);
  // Relaxed: the segment is not visible yet. Zero is right for everything else.
  reinterpret_cast<RingHeader*>(segment.body().data())
      ->cursor.store(first_lap << IndexBits(chunks), std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::StatusOr<Geometry> GeometryOf(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  Geometry geometry;
  geometry.bucket_count = header.parameters[kBucketCount];
  geometry.chunk_count = header.parameters[kChunkCount];
  const uint64_t unit_bits = header.parameters[kChunkUnitBits];
  const uint64_t bytes = segment.body().size();
  if (geometry.bucket_count == 0 || geometry.bucket_count > bytes / sizeof(Bucket) ||
      unit_bits > 32 || geometry.chunk_count < kMinimumChunks ||
      geometry.chunk_count > (bytes / kUnitBytes) >> unit_bits ||
      OffsetsOf(geometry.bucket_count, geometry.chunk_count, static_cast<int>(unit_bits)).end >
          bytes) {
    return absl::DataLossError("the segment is damaged: the ring's parameters contradict its size");
  }
  geometry.chunk_unit_bits = static_cast<int>(unit_bits);
  geometry.chunk_index_bits = IndexBits(geometry.chunk_count);
  geometry.units = geometry.chunk_count << geometry.chunk_unit_bits;
  geometry.unit_mask = (uint64_t{1} << (geometry.chunk_index_bits + geometry.chunk_unit_bits)) - 1;
  geometry.chunk_mask = (uint64_t{1} << geometry.chunk_unit_bits) - 1;
  const Offsets offsets =
      OffsetsOf(geometry.bucket_count, geometry.chunk_count, geometry.chunk_unit_bits);
  char* body = segment.body().data();
  geometry.header = reinterpret_cast<RingHeader*>(body);
  geometry.buckets = reinterpret_cast<Bucket*>(body + offsets.buckets);
  geometry.chunks = reinterpret_cast<ChunkState*>(body + offsets.chunks);
  geometry.ring = body + offsets.ring;
  std::memcpy(&geometry.secret, header.hash_secret + kHashSecretBytes / 2, sizeof geometry.secret);
  return geometry;
}

}  // namespace kill9::ring

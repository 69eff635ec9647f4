#include "variants/stores/locked/space.h"

#include <algorithm>
#include <bit>
#include <new>

#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

namespace kill9::locked {
namespace {

constexpr uint64_t kBytesForEachBucket = 128;
constexpr uint64_t kMinimumArenaBytes = 4096;
// Two cache lines, which processors like to fetch together: entries of 16 and 64 bytes fill them.
constexpr uint64_t kArenaUnit = 128;

}  // namespace

absl::Status Space::Format(Segment& segment, SegmentHeader& header, uint64_t expected_entries,
                           uint32_t shards) {
  if (header.size_bytes > kMaxSegmentBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                   " bytes is too large for this design: at most ",
                                                   kMaxSegmentBytes));
  }
  const uint64_t body = header.body_offset;
  const uint64_t room = header.size_bytes - body;
  const uint64_t wanted = expected_entries != 0 ? expected_entries : room / kBytesForEachBucket;
  const uint64_t buckets = std::bit_ceil(std::max<uint64_t>(wanted / shards, 8));
  const uint64_t shards_begin = body + sizeof(StoreHeader);
  const uint64_t buckets_begin = shards_begin + shards * sizeof(ShardHeader);
  const uint64_t arenas_begin = RoundUp(buckets_begin + shards * buckets * sizeof(Ref), kArenaUnit);
  if (arenas_begin + shards * kMinimumArenaBytes > header.size_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a segment of ", header.size_bytes, " bytes is too small for ", shards, " shard(s) of ",
        buckets, " buckets: at least ", arenas_begin + shards * kMinimumArenaBytes, " are needed"));
  }
  const uint64_t arena_bytes =
      (header.size_bytes - arenas_begin) / shards / kArenaUnit * kArenaUnit;
  header.parameters[kShards] = shards;
  header.parameters[kBucketsPerShard] = buckets;
  header.parameters[kArenasBegin] = arenas_begin;
  header.parameters[kArenaBytes] = arena_bytes;

  char* base = segment.base();
  auto* store = new (base + body) StoreHeader{};
  store->recovery_mutex.Format();
  for (uint32_t i = 0; i < shards; ++i) {
    auto* shard = new (base + shards_begin + i * sizeof(ShardHeader)) ShardHeader{};
    shard->mutex.Format();
    const uint64_t begin = arenas_begin + i * arena_bytes;
    Heap::Format(base, shard->heap, begin, begin + arena_bytes);
  }
  return absl::OkStatus();
}

absl::Status Space::Check(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  const uint64_t shards = header.parameters[kShards];
  const uint64_t buckets = header.parameters[kBucketsPerShard];
  const uint64_t arenas_begin = header.parameters[kArenasBegin];
  const uint64_t arena_bytes = header.parameters[kArenaBytes];
  if (shards == 0 || shards > kMaxShards || !std::has_single_bit(shards) ||
      !std::has_single_bit(buckets) || buckets < 2 || buckets > segment.size() / sizeof(Ref) ||
      segment.size() > kMaxSegmentBytes || arenas_begin > segment.size() ||
      arenas_begin % kArenaUnit != 0 || arena_bytes % kArenaUnit != 0 ||
      arena_bytes < kMinimumArenaBytes || arena_bytes > (segment.size() - arenas_begin) / shards ||
      header.body_offset + sizeof(StoreHeader) +
              shards * (sizeof(ShardHeader) + buckets * sizeof(Ref)) >
          arenas_begin) {
    return absl::DataLossError(
        "the segment is damaged: its header's parameters contradict its size");
  }
  return absl::OkStatus();
}

Space::Space(std::shared_ptr<Segment> segment)
    : segment_(std::move(segment)),
      base_(segment_->base()),
      header_(reinterpret_cast<StoreHeader*>(segment_->body().data())),
      participants_(segment_->participants()) {
  const SegmentHeader& header = segment_->header();
  const uint32_t shards = static_cast<uint32_t>(header.parameters[kShards]);
  const uint64_t buckets = header.parameters[kBucketsPerShard];
  auto* shard_headers = reinterpret_cast<ShardHeader*>(header_ + 1);
  auto* bucket_words = reinterpret_cast<uint64_t*>(shard_headers + shards);
  shard_mask_ = shards - 1;
  arenas_begin_ = header.parameters[kArenasBegin];
  arena_bytes_ = header.parameters[kArenaBytes];
  shards_begin_ = header.body_offset + sizeof(StoreHeader);
  const ByteRange arenas{arenas_begin_, arenas_begin_ + shards * arena_bytes_};
  shards_.reserve(shards);
  for (uint32_t i = 0; i < shards; ++i) {
    const uint64_t begin = arenas_begin_ + i * arena_bytes_;
    shards_.emplace_back(base_, shard_headers[i], bucket_words + i * buckets / 2, buckets, arenas,
                         ByteRange{begin, begin + arena_bytes_});
  }
}

Journal::Undone Space::UndoJournal(uint64_t id, uint32_t index) const {
  if (id != JournalOwner::kRecoverer && id > participants_.size()) return Journal::Undone::kDamaged;
  Journal::Area& area = id == JournalOwner::kRecoverer
                            ? header_->recovery_journal
                            : ledger(static_cast<uint32_t>(id - 1)).journal;
  if (area.count != 0 && area.shard != index + uint64_t{1}) return Journal::Undone::kDamaged;
  return Journal::Undo(
      base_, area, [this](uint64_t offset, uint64_t bytes) { return MayChange(offset, bytes); });
}

bool Space::MayChange(uint64_t offset, uint64_t bytes) const {
  const uint64_t buckets_begin = shards_begin_ + shards_.size() * sizeof(ShardHeader);
  const uint64_t end = arenas_begin_ + shards_.size() * arena_bytes_;
  if (offset >= end || bytes > end - offset) return false;
  if (offset >= buckets_begin) return true;
  if (offset >= shards_begin_) {
    const uint64_t in_shard = (offset - shards_begin_) % sizeof(ShardHeader);
    return in_shard >= offsetof(ShardHeader, heap) && bytes <= sizeof(ShardHeader) - in_shard;
  }
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    const auto rows =
        static_cast<uint64_t>(reinterpret_cast<const char*>(ledger(slot).rows) - base_);
    if (offset >= rows && offset - rows < sizeof(Ledger::rows)) {
      return bytes <= sizeof(Ledger::rows) - (offset - rows);
    }
  }
  return false;
}

Entry* Space::OwnedEntry(uint64_t row) const {
  const Hold hold = Hold::Unpack(row);
  if (hold.kind != Hold::Kind::kOwn || hold.shard >= shards_.size() ||
      !shards_[hold.shard].heap.Contains(hold.payload) ||
      !shards_[hold.shard].CanBeEntry(static_cast<Ref>(hold.payload / kRefUnit))) {
    return nullptr;
  }
  Entry* const entry = EntryAt(hold.payload);
  return shards_[hold.shard].IsInItsBlock(*entry) && entry->key_size <= kMaxKeyBytes ? entry
                                                                                     : nullptr;
}

absl::StatusOr<uint64_t> Space::ReleaseRow(uint64_t& row, JournalOwner hand) {
  const auto damaged = [&row] {
    row = 0;  // it would be damaged for ever
    return Damaged();
  };
  while (true) {
    // Our own row, or a dead one's whose unfinished transactions have been undone: it changes only
    // here.
    const Hold hold = Hold::Unpack(row);
    if (row == 0) return 0;
    if (hold.kind == Hold::Kind::kNone || hold.kind > Hold::Kind::kOwn ||
        hold.shard >= shards_.size() ||
        !shards_[0].CanBeEntry(static_cast<Ref>(hold.payload / kRefUnit)) ||
        hold.payload / kRefUnit > UINT32_MAX) {
      return damaged();
    }
    ShardGuard session = Enter(hold.shard, hand);
    if (!session.entered) return damaged();
    Heap& heap = shards_[hold.shard].heap;
    if (hold.kind == Hold::Kind::kPin) {
      Entry* entry = EntryAt(hold.payload);
      if (entry->pins() == 0) return damaged();
      const uint64_t state = entry->state - Entry::kOnePin;
      const bool last =
          (state & 0xffffffff) == 0;  // the last pin of an entry that is no longer linked (D5)
      const uint32_t arena = ArenaOf(hold.payload);
      session.journal.Set(&entry->state, state);
      session.journal.Set(&row, last && arena != hold.shard
                                    ? Hold{Hold::Kind::kOwn, arena, hold.payload}.Pack()
                                    : 0);
      if (last && arena == hold.shard) heap.Free(session.journal, hold.payload);
      // dies before -> the row still pins;  dies after -> it does not, and the block is free, or
      // the row owns it;  a successor sees row, count and heap agree (D4)
      if (!session.journal.Commit()) return damaged();
      if (!last) return 0;
      if (arena == hold.shard) return 1;
      continue;
    }
    heap.Free(session.journal, hold.payload);
    session.journal.Set(&row, 0);
    // dies before -> the row owns the block;  dies after -> the heap does;  never both, never none
    if (!session.journal.Commit()) return damaged();
    return 1;
  }
}

// Whoever locks next undoes the journal first (D2).
void Space::ResetMutexes() {
  header_->recovery_mutex.Reset(!header_->recovery_mutex.LooksFree());
  for (Shard& shard : shards_) {
    ShardHeader& header = *shard.header;
    header.mutex.Reset(!header.mutex.LooksFree() || header.writer != 0);
  }
}

}  // namespace kill9::locked

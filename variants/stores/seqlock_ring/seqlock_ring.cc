// seqlock_ring: the variant, attaching and detaching, and what it offers beyond the contract.
#include "variants/stores/seqlock_ring/seqlock_ring.h"

#include <sys/mman.h>

#include <algorithm>

namespace kill9 {
namespace ring {

absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options,
                                                       uint64_t first_lap) {
  return Segment::Create(options, Layout(), [&](Segment& segment, SegmentHeader& header) {
    return Format(segment, header, options.expected_entries, first_lap);
  });
}

RingStore::RingStore(std::shared_ptr<Segment> segment, Participant participant,
                     const Geometry& geometry)
    : Store(segment, participant),
      segment_(std::move(segment)),
      participant_(std::move(participant)),
      geometry_(geometry),
      table_(segment_->participants()),
      space_(geometry_, table_, participant_.slot(), participant_.generation()),
      hints_(geometry_.bucket_count * kEntriesPerBucket, geometry_.ring_units() * kSlotsOfHint) {
  random_ += participant_.slot() * 0xd1342543de82ef95;
  // P3: the slot holds nothing. Anything found there is damage, and is ignored.
  space_.EndHold(kPutHold);
}

RingStore::~RingStore() {
  if (!guard().owns()) return;
  FlushCounters();
  for (int hold = 0; hold < kHolds; ++hold) space_.EndHold(hold);
}

absl::StatusOr<std::unique_ptr<RingStore>> RingStore::Attach(std::shared_ptr<Segment> segment) {
  absl::StatusOr<Geometry> geometry = GeometryOf(*segment);
  if (!geometry.ok()) return geometry.status();
  // Buckets are touched at random: reading ahead would make resident what nobody uses. Best effort.
  madvise(segment->base(), segment->size(), MADV_RANDOM);
  const ParticipantTable table = segment->participants();
  // A recoverer's slot shows nothing here: all that is changed are words that carry the victim's
  // generation (RecoverSlot).
  absl::StatusOr<Participant> participant = table.ClaimOrRecover([&](const Participant&) {
    RecoveryReport report;
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      uint32_t generation = 0;
      if (table.MarkIfDead(slot, &generation))
        RecoverSlot(*geometry, table, slot, generation, &report);
    }
    return absl::OkStatus();
  });
  if (!participant.ok()) return participant.status();
  std::atomic<uint64_t>& attached = geometry->header->attached_slots;
  // Relaxed: the CAS decides. Sequentially consistent: an opener that does not scan our slot has
  // raised its claim before, and our first hold finds it (W1).
  uint64_t seen = attached.load(std::memory_order_relaxed);
  while (seen < participant->slot() + 1 &&
         !attached.compare_exchange_weak(seen, participant->slot() + 1, std::memory_order_seq_cst,
                                         std::memory_order_relaxed)) {
  }
  return std::unique_ptr<RingStore>(
      new RingStore(std::move(segment), *std::move(participant), *geometry));
}

size_t RingStore::max_value_bytes() const {
  return geometry_.ring_units() * kUnitBytes - kRecordHeaderBytes - PaddedBytes(kMaxKeyBytes) -
         terms_bytes();
}

void RingStore::Clear() {
  if (!guard().owns()) return;
  // An addition of nothing reads the latest cursor: all that was written by completed operations
  // lies below. Acquire and release: in the order of the openers' CASes.
  const uint64_t cursor = geometry_.header->cursor.fetch_add(0, std::memory_order_acq_rel);
  const uint64_t floor = cursor << geometry_.chunk_unit_bits;
  // Relaxed: the CAS decides.
  uint64_t seen = geometry_.header->floor.load(std::memory_order_relaxed);
  // The commit point. Release: pairs with IsCleared. Relaxed on failure: as above. Dies before ->
  // nothing; dies after -> all is cleared; a successor sees -> one of them.
  while (seen < floor && !geometry_.header->floor.compare_exchange_weak(
                             seen, floor, std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
  TellForgotten();
  space_.DropLease();
}

void RingStore::SetPromotionChance(double chance) {
  promotion_threshold_ =
      static_cast<uint64_t>(std::clamp(chance, 0.0, 1.0) * static_cast<double>(uint64_t{1} << 32));
}

// ---- Counters -----------------------------------------------------------------------------------
// Relaxed throughout: figures for people, which order nothing. Only the slot's participant adds to
// its own.

void RingStore::FlushCounters() {
  Ledger& ledger = space_.ledger();
  const auto add = [](std::atomic<uint64_t>& total, uint64_t& mine) {
    if (mine == 0) return;
    total.store(total.load(std::memory_order_relaxed) + mine, std::memory_order_relaxed);
    mine = 0;
  };
  counters_.laps = space_.laps() - flushed_laps_;
  flushed_laps_ = space_.laps();
  add(ledger.hits, counters_.hits);
  add(ledger.misses, counters_.misses);
  add(ledger.evictions, counters_.evictions);
  add(ledger.laps, counters_.laps);
  add(ledger.promotions, counters_.promotions);
}

Counters RingStore::ReadCounters() {
  Counters sum;
  if (!guard().owns()) return sum;
  FlushCounters();
  for (uint32_t slot = 0; slot < table_.size(); ++slot) {
    const Ledger& ledger = table_.ledger_as<Ledger>(slot);
    sum.hits += ledger.hits.load(std::memory_order_relaxed);
    sum.misses += ledger.misses.load(std::memory_order_relaxed);
    sum.evictions += ledger.evictions.load(std::memory_order_relaxed);
    sum.laps += ledger.laps.load(std::memory_order_relaxed);
    sum.promotions += ledger.promotions.load(std::memory_order_relaxed);
  }
  return sum;
}

// ---- The variant --------------------------------------------------------------------------------

// Of a record: one unit and two; a chunk, of each size that there is (layout.cc), and two of them.
constexpr uint32_t kEntryEdges[] = {64,      128,      1 << 10,  2 << 10, 4 << 10,
                                    8 << 10, 16 << 10, 32 << 10, 64 << 10};

class SeqlockRingVariant final : public Variant {
 public:
  std::string_view name() const override { return "seqlock_ring"; }
  std::string_view summary() const override {
    return "a cache: a ring of self-validating records, the newest overwriting the oldest, with a "
           "lock-free index of one-line buckets";
  }
  std::string_view model() const override { return "cache"; }
  const Traits& traits() const override {
    static const Traits traits = [] {
      Traits own;
      own.lossless = false;
      own.values_checked = true;
      own.can_keep_terms = true;
      own.moves_hot = true;
      own.has_modify = true;
      own.read = Progress::kLockFree;
      own.write = Progress::kLockFree;
      own.pin = Progress::kLockFree;
      own.blocks = Traits::Reach::kNowhere;
      own.edges = {.max_key_bytes = ring::kMaxKeyBytes,
                   .overhead_bytes = ring::kRecordHeaderBytes,
                   .key_unit_bytes = ring::kWord,
                   .entry_bytes = kEntryEdges,
                   .value_bytes = {}};
      own.recovery_trigger =
          "whoever meets a dead participant's hold when it needs the room, an Attach "
          "that finds no free slot, or Recover()";
      own.recovery_cost = "the holds of the victim (at most 32), not the size of the segment";
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return CreateSegment(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, Layout());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, Layout());
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return RingStore::Attach(std::move(segment));
  }
};

}  // namespace ring

const Variant& SeqlockRing() {
  static const ring::SeqlockRingVariant variant;
  return variant;
}

}  // namespace kill9

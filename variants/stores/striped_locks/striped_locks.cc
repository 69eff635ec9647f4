// striped_locks: N robust mutexes, each over its part of the table and an arena of its own.
//
// The same lock domain as global_mutex's (variants/stores/locked/shard.h), many times: a key's hash
// chooses its stripe, and an operation touches that stripe's cache lines only. What is peculiar
// here:
//
// T1  At most one stripe's mutex is held at any time: no death can leave two stripes half changed,
//     and no order of locking is needed.
// T2  A stripe whose arena is full borrows a block from another arena. Between the two stripes'
//     sessions the block is owned by a row of the participant's ledger (L3), on its way in and on
//     its way back:
//       dies after taking the block, before linking it   -> recovery frees it to its arena
//       dies after unlinking it, before freeing it       -> recovery frees it to its arena
//     A borrowed block goes back to its own arena when it is freed.
// T3  ForEach visits stripe after stripe and never holds two mutexes; keys never change their
//     stripe or chain, so each key that is present throughout is seen exactly once.
#include <algorithm>
#include <bit>
#include <thread>

#include "absl/strings/str_cat.h"
#include "variants/stores/locked/locked_variant.h"

namespace kill9 {
namespace {

constexpr uint32_t kStripesForEachCore =
    8;  // two processes meet in one stripe of 16 once in 16 times
constexpr uint64_t kArenaBytes = 4 << 20;  // so that values of 1 MiB fit; smaller segments make do
constexpr uint32_t kMinimumStripes = 4;

uint32_t DefaultStripes(uint64_t size_bytes) {
  const uint64_t by_cores =
      std::bit_ceil(kStripesForEachCore * std::max(1u, std::thread::hardware_concurrency()));
  const uint64_t by_size = std::bit_floor(std::max<uint64_t>(size_bytes / kArenaBytes, 1));
  return static_cast<uint32_t>(std::clamp<uint64_t>(
      by_size, kMinimumStripes, std::min<uint64_t>(by_cores, locked::Space::kMaxShards)));
}

class StripedLocksVariant final : public locked::LockedVariant {
 public:
  StripedLocksVariant() : LockedVariant("striped_locks") {}
  std::string_view summary() const override {
    return "N robust mutexes, each over its part of the table and an arena that others borrow from";
  }
  const Traits& traits() const override {
    static const Traits traits = [] {
      Traits own;
      own.blocks = Traits::Reach::kStripe;
      own.borrows_room = true;
      own.can_keep_terms = true;
      own.has_modify = true;
      own.edges = locked::kSizeEdges;
      own.recovery_trigger =
          "the next locker of a stripe undoes its half-done operation; holds come back by "
          "Recover(), by an attach that finds no slot, or by an allocation that finds no room";
      own.recovery_cost = "one operation's journal, plus what the dead participant held";
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    const uint32_t stripes =
        options.stripes == 0 ? DefaultStripes(options.size_bytes) : options.stripes;
    if (!std::has_single_bit(stripes) || stripes > locked::Space::kMaxShards) {
      return absl::InvalidArgumentError(absl::StrCat("stripes is ", stripes,
                                                     "; a power of two up to ",
                                                     locked::Space::kMaxShards, " is needed"));
    }
    return locked::CreateSegment(options, name(), stripes);
  }
};

}  // namespace

const Variant& StripedLocks();
const Variant& StripedLocks() {
  static const StripedLocksVariant variant;
  return variant;
}

}  // namespace kill9

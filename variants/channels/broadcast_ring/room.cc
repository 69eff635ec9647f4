#include "variants/channels/broadcast_ring/room.h"

#include <algorithm>

namespace kill9::broadcast_ring {

Found Room::Allocate(uint64_t bytes, Ref* ref) {
  for (;;) {
    if (std::optional<Ref> got = space_.Allocate(bytes, /*thoroughly=*/false)) [[likely]] {
      *ref = *got;
      return Found::kThere;
    }
    const Found evicted = EvictAChunk();
    if (evicted != Found::kThere) return evicted;
  }
}

// A chunk that is pinned, or that another sender owns, is passed by, but its messages go: they are
// the oldest.
Found Room::EvictAChunk() {
  if (ReclaimInTurn()) return Found::kThere;
  for (;;) {
    uint64_t word = 0;
    // Of a closed channel nothing is overwritten: who comes to its end is told of no gap.
    uint64_t tail = 0;
    if (ring_.FindTail(&tail) == Found::kEnd) return Found::kNothing;
    Found found = ring_.FindOldest(oldest_, &oldest_, &word);
    if (found != Found::kThere) return found == Found::kEnd ? Found::kNothing : found;
    const uint32_t chunk = context_.ChunkOf(context_.codec().Unpack(word).ref);
    const uint64_t last = LastIn(chunk, oldest_);
    while (found == Found::kThere && oldest_ <= last) {
      if (ring_.Evict(oldest_, word)) ++oldest_;
      found = ring_.FindOldest(oldest_, &oldest_, &word);
    }
    ring_.HintOldest(oldest_);
    if (found == Found::kDamaged) return found;
    if (space_.Reclaim(chunk)) return Found::kThere;
  }
}

bool Room::ReclaimInTurn() {
  constexpr int kAtOnce = 4;
  for (int i = 0; i < kAtOnce; ++i) {
    const uint32_t number = turn_;
    turn_ = turn_ + 1 == context_.chunk_count() ? 0 : turn_ + 1;
    // Relaxed: only a look; Reclaim decides.
    const chunks::ChunkWord word{context_.chunk(number).word.load(std::memory_order_relaxed)};
    if (word.kind() != chunks::ChunkKind::kRetired) continue;
    if (!context_.IsAlive(context_.FirstOf(number)) && space_.Reclaim(number)) return true;
  }
  return false;
}

// Only a guess, for others may use the chunk for something else meanwhile: it decides how many
// messages are evicted before the next look whether the chunk is free.
uint64_t Room::LastIn(uint32_t number, uint64_t position) const {
  const Chunk& chunk = context_.chunk(number);
  // Acquire: pairs with the release with which its owner, or the recovery, retired it (C1 in
  // shared/chunks.h).
  const chunks::ChunkWord word{chunk.word.load(std::memory_order_acquire)};
  if (word.kind() != chunks::ChunkKind::kRetired) return position;
  // Relaxed, here and below: a guess.
  const uint64_t end =
      std::min<uint64_t>(chunk.end.load(std::memory_order_relaxed), context_.chunk_granules());
  const uint64_t most = context_.granule_count() * kGranuleBytes;
  uint64_t last = position;
  for (uint64_t at = 0; at < end;) {
    const Ref ref = context_.FirstOf(number) + static_cast<Ref>(at);
    uint64_t its = 0;
    if (context_.IsAlive(ref, &its)) last = std::max(last, its);
    at += Context::GranulesFor(std::min(context_.bytes_of(ref), most));
  }
  return last;
}

}  // namespace kill9::broadcast_ring

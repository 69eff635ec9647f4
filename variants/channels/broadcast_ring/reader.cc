#include "variants/channels/broadcast_ring/reader.h"

#include <algorithm>
#include <utility>

namespace kill9::broadcast_ring {

// All participants together pin at most half of the room, but for one message each.
Reader::Reader(const Context& context, Ring& ring)
    : context_(context),
      ring_(ring),
      share_(std::max<uint64_t>(1, context.chunk_count() / 2 / context.participants().size())) {}

uint32_t Reader::FindPin(uint32_t chunk) const {
  uint32_t free = kPinnedChunks;
  for (uint32_t i = 0; i < kPinnedChunks; ++i) {
    if (pins_[i].messages == 0) {
      free = std::min(free, i);
    } else if (pins_[i].chunk == chunk) {
      return i;
    }
  }
  return free;
}

bool Reader::Affords(Pin& pin) {
  // Relaxed: the chunk is pinned.
  const uint64_t span = context_.chunk(pin.chunk).span.load(std::memory_order_relaxed);
  pin.chunks = std::clamp<uint64_t>(span, 1, context_.chunk_count());
  if (pinned_chunks_ != 0 && pinned_chunks_ + pin.chunks > share_) return false;
  pinned_chunks_ += pin.chunks;
  return true;
}

void Reader::DropPin(uint32_t number) {
  Pin& pin = pins_[number];
  if (--pin.messages != 0) return;
  pinned_chunks_ -= pin.chunks;
  // Releases what was read (IsPinned).
  chunks::Clear(context_.ledger().pinned[number]);
}

void Reader::Drop(const Held& held) { DropPin(FindPin(context_.ChunkOf(held.ref))); }

// Dies after it has named the chunk -> the chunk is kept for it until it is recovered.
Found Reader::PinAt(uint64_t position, bool brief, Held* held, bool* no_hold) {
  for (;;) {
    uint64_t word = 0;
    const Found found = ring_.Look(position, &word);
    if (found != Found::kThere) return found;
    held->position = position;
    held->ref = context_.codec().Unpack(word).ref;
    const uint32_t chunk = context_.ChunkOf(held->ref);
    const uint32_t number = brief ? kPinnedChunks : FindPin(chunk);
    if (!brief && number == kPinnedChunks) {
      *no_hold = true;
      return found;
    }
    const bool is_named = !brief && pins_[number].messages != 0;
    SharedWord& name = brief ? context_.ledger().receiving : context_.ledger().pinned[number];
    if (!is_named) context_.Pin(name, chunk);
    // Evicted meanwhile, and perhaps overwritten: the name protects nothing (B5).
    if (!ring_.IsStill(position, word)) {
      if (!is_named) chunks::Clear(name);
      continue;
    }
    if (!brief) {
      pins_[number].chunk = chunk;
      if (!is_named && !Affords(pins_[number])) {
        chunks::Clear(name);
        *no_hold = true;
        return found;
      }
      ++pins_[number].messages;
    }
    // Relaxed: Look acquired it, and it stays as it is (B4).
    held->size = context_.record(held->ref).size.load(std::memory_order_relaxed);
    if (context_.Fits(held->ref, held->size)) return found;
    brief ? DropBrief() : DropPin(number);
    return Found::kDamaged;
  }
}

TakeResult Reader::Next(bool brief, Held* held) {
  bool no_hold = false;
  // What it returned is older than all that it has not seen.
  while (!returned_.empty()) {
    const uint64_t position = *returned_.begin();
    const Found found = PinAt(position, brief, held, &no_hold);
    if (no_hold) return TakeResult::kNoHold;
    if (found == Found::kThere) {
      returned_.erase(returned_.begin());
      held->redelivered = true;
      held->missed = std::exchange(missed_, 0);
      return TakeResult::kTaken;
    }
    if (found != Found::kGone) return TakeResult::kDamaged;
    returned_.erase(returned_.begin());
    ++missed_;
  }
  for (;;) {
    const Found found = PinAt(cursor_, brief, held, &no_hold);
    if (no_hold) return TakeResult::kNoHold;
    if (found == Found::kThere) break;
    if (found == Found::kNothing) return TakeResult::kNone;
    if (found == Found::kEnd) return TakeResult::kEnd;
    if (found == Found::kDamaged) return TakeResult::kDamaged;
    uint64_t oldest = 0, word = 0;
    if (ring_.FindOldest(cursor_, &oldest, &word) == Found::kDamaged) return TakeResult::kDamaged;
    missed_ += oldest - cursor_;  // B2
    cursor_ = oldest;
  }
  ++cursor_;
  held->redelivered = false;
  held->missed = std::exchange(missed_, 0);
  return TakeResult::kTaken;
}

uint64_t Reader::CountWaiting() const {
  uint64_t word = 0, oldest = 0;
  uint64_t count = 0;
  for (const uint64_t position : returned_) {
    count += ring_.Look(position, &word) == Found::kThere ? 1 : 0;
  }
  if (ring_.FindOldest(cursor_, &oldest, &word) != Found::kThere) return count;
  uint64_t tail = 0;
  if (ring_.FindTail(&tail) == Found::kDamaged) return count;
  return count + (tail - oldest);
}

}  // namespace kill9::broadcast_ring

#include "variants/channels/broadcast_ring/ring.h"

#include <algorithm>

namespace kill9::broadcast_ring {

// Relaxed: as in Raise.
Ring::Ring(const Context& context)
    : context_(context), tail_(context.header().tail_hint.load(std::memory_order_relaxed)) {}

void Ring::Raise(SharedWord& hint, uint64_t position) {
  // Relaxed, all: a hint, believed only as far as the words bear it out (B8).
  uint64_t seen = hint.load(std::memory_order_relaxed);
  while (seen < position && !hint.compare_exchange_weak(seen, position, std::memory_order_relaxed,
                                                        std::memory_order_relaxed)) {
  }
}

Found Ring::Look(uint64_t position, uint64_t* word) const {
  // Acquire: pairs with the CAS of Send, for the record, and with that of Evict.
  *word = context_.slot_of(position).load(std::memory_order_acquire);
  const Slot slot = codec().Unpack(*word);
  const uint64_t laps = codec().LapsWith(position);
  if (slot.laps > laps) return Found::kGone;
  if (slot.laps == laps) {
    if (!slot.full) return Found::kGone;
    return slot.ref < context_.granule_count() ? Found::kThere : Found::kDamaged;
  }
  // B1, B3: the position a lap before is filled, and its message gone.
  if (slot.laps + 1 != laps || slot.full) return Found::kDamaged;
  return slot.closed ? Found::kEnd : Found::kNothing;
}

Found Ring::FindOldest(uint64_t from, uint64_t* position, uint64_t* word) const {
  uint64_t at = from;
  for (chunks::Patience patience = NewPatience();;) {
    // Relaxed: as in Raise.
    if (at == from || at % kHintEvery == 0) {
      at = std::max(at, context_.header().oldest_hint.load(std::memory_order_relaxed));
    }
    const Found found = Look(at, word);
    *position = at;
    if (found != Found::kGone) return found;
    const Slot slot = codec().Unpack(*word);
    // What was filled last in this slot is less than a lap before the tail; and no message is there
    // that is a lap before the tail, or more (B3).
    const uint64_t last = codec().LastFilled(codec().NumberOf(at), slot.laps);
    const uint64_t lap_before =
        last + 1 < context_.slot_count() ? 0 : last + 1 - context_.slot_count();
    at = std::max(at + 1, lap_before);
    if (patience.IsOver()) return Found::kDamaged;
  }
}

void Ring::AdvanceTail() {
  ++tail_;
  if (tail_ % kHintEvery != 0) return;
  // Relaxed: as in Raise.
  tail_ = std::max(tail_, context_.header().tail_hint.load(std::memory_order_relaxed));
}

Found Ring::FindTail(uint64_t* position) {
  for (chunks::Patience patience = NewPatience();;) {
    uint64_t word = 0;
    const Found found = Look(tail_, &word);
    if (found != Found::kThere && found != Found::kGone) {
      *position = tail_;
      return found;
    }
    AdvanceTail();
    if (patience.IsOver()) return Found::kDamaged;
  }
}

Found Ring::Send(Ref ref, uint64_t* position) {
  for (chunks::Patience patience = NewPatience();;) {
    SharedWord& shared = context_.slot_of(tail_);
    uint64_t word = 0;
    const Found found = Look(tail_, &word);
    if (found == Found::kNothing) {
      // Relaxed: published by the CAS.
      context_.record(ref).position.store(tail_ + 1, std::memory_order_relaxed);
      const Slot filled{true, false, ref, codec().LapsWith(tail_)};
      // dies before -> never sent;  dies after -> sent;  a successor sees -> the message, or Gone
      // Seq_cst: with the look for sleepers (sleepers.h). It releases the bytes to who reads them
      // (Look). Relaxed on failure: the word is loaded anew.
      if (shared.compare_exchange_strong(word, codec().Pack(filled), std::memory_order_seq_cst,
                                         std::memory_order_relaxed)) {
        *position = tail_;
        if (tail_ % kHintEvery == 0) Raise(context_.header().tail_hint, tail_);
        AdvanceTail();
        return Found::kThere;
      }
      continue;
    }
    if (found == Found::kEnd || found == Found::kDamaged) return found;
    AdvanceTail();
    if (patience.IsOver()) return Found::kDamaged;
  }
}

bool Ring::Evict(uint64_t position, uint64_t word) {
  Slot slot = codec().Unpack(word);
  slot.full = false;
  slot.ref = 0;
  // dies before -> it is there;  dies after -> it is gone, and its room free unless pinned
  // Seq_cst: before the look at the ledgers; with IsStill (B5). Relaxed on failure: looked at anew.
  return context_.slot_of(position).compare_exchange_strong(
      word, codec().Pack(slot), std::memory_order_seq_cst, std::memory_order_relaxed);
}

Found Ring::Close() {
  for (;;) {
    uint64_t position = 0;
    const Found found = FindTail(&position);
    if (found != Found::kNothing) return found;
    SharedWord& shared = context_.slot_of(position);
    uint64_t word = 0;
    if (Look(position, &word) != Found::kNothing) continue;
    Slot slot = codec().Unpack(word);
    slot.closed = true;
    // dies before -> open;  dies after -> closed;  a successor sees -> the end of the stream
    // Seq_cst: with the look for sleepers (sleepers.h). Relaxed on failure: looked at anew.
    if (shared.compare_exchange_strong(word, codec().Pack(slot), std::memory_order_seq_cst,
                                       std::memory_order_relaxed)) {
      return Found::kEnd;
    }
  }
}

}  // namespace kill9::broadcast_ring

#include "variants/channels/slot_ring/ring.h"

namespace kill9::slot_ring {

// Relaxed, both: as in Raise.
Ring::Ring(const Context& context)
    : context_(context),
      tail_(At(context.header().tail_hint.load(std::memory_order_relaxed))),
      head_(At(context.header().head_hint.load(std::memory_order_relaxed))),
      seen_of_region_(context.region_count(), 0) {}

Ring::Cursor Ring::At(uint64_t position) const {
  return {position, codec().MaskLap(position / context_.slot_count()),
          position % context_.slot_count()};
}

TakeResult Ring::Take(SharedWord& name, Held* held) {
  for (;;) {
    const TakeResult result =
        TakeNext([&](uint64_t number) { context_.Note(name, number + 1); }, held);
    if (result == TakeResult::kTaken || result == TakeResult::kDamaged) return result;
    if (!HasReturns()) {
      chunks::Clear(name);
      return result;
    }
    const TakeResult returned = TakeReturned(name, held);
    if (returned != TakeResult::kNone) return returned;
  }
}

// kNone: nothing that came back before the call waits.
TakeResult Ring::TakeReturned(SharedWord& name, Held* held) {
  for (;;) {
    // Acquire, both: pairs with the release of CountReturn.
    const uint64_t returns = context_.header().returns.load(std::memory_order_acquire);
    uint64_t word = 0;
    if (!FindOldestReturned(held, &word)) {
      seen_ = returns;
      return TakeResult::kNone;
    }
    // None came back during the search: at this moment it is the oldest (R5).
    if (context_.header().returns.load(std::memory_order_acquire) != returns) continue;
    context_.Note(name, held->number + 1);
    if (!Claim(context_.slot(held->number), word, held)) continue;
    return Describe(held) ? TakeResult::kTaken : TakeResult::kDamaged;
  }
}

// Whether the slot has a message that came back; and which. A word that changes is looked at again:
// a sender may have skipped it, and it waits all the same.
bool Ring::IsReturned(uint64_t number, uint64_t* word, uint64_t* position) const {
  const SharedWord& shared = context_.slot(number);
  for (;;) {
    // Acquire, all: the record is the message's if the word is the same after it was read (R3).
    *word = shared.load(std::memory_order_acquire);
    const Slot slot = codec().Unpack(*word);
    if (slot.kind != SlotKind::kFull || !slot.redelivered()) return false;
    if (slot.ref >= context_.granule_count()) return false;  // damaged: left alone
    *position = context_.record(slot.ref).position.load(std::memory_order_acquire) - 1;
    if (shared.load(std::memory_order_acquire) == *word) return true;
  }
}

// Looks through the regions in which something came back that this participant has not seen gone.
bool Ring::FindOldestReturned(Held* oldest, uint64_t* oldest_word) {
  bool found = false;
  for (uint64_t region = 0; region < context_.region_count(); ++region) {
    // Acquire: pairs with the release of CountReturn.
    const uint64_t count = context_.region(region).load(std::memory_order_acquire);
    if (count == seen_of_region_[region]) continue;
    bool found_here = false;
    const uint64_t end = std::min((region + 1) * kRegionSlots, context_.slot_count());
    for (uint64_t number = region * kRegionSlots; number < end; ++number) {
      uint64_t word = 0, position = 0;
      if (!IsReturned(number, &word, &position)) continue;
      found_here = true;
      if (found && position >= oldest->position) continue;
      found = true;
      oldest->number = number;
      oldest->position = position;
      *oldest_word = word;
    }
    if (!found_here) seen_of_region_[region] = count;
  }
  return found;
}

// Release, both: pairs with the acquires of TakeNext and FindOldestReturned: the slot comes before.
void Ring::CountReturn(const Context& context, uint64_t slot_number) {
  context.region(Context::RegionOf(slot_number)).fetch_add(1, std::memory_order_release);
  // Seq_cst: with the look for sleepers (sleepers.h).
  context.header().returns.fetch_add(1, std::memory_order_seq_cst);
}

// Dies before the CAS -> recovery gives it back;  after, before it is counted -> recovery counts
// it, since the ledger still names the slot.
bool Ring::GiveBack(const Held& held) {
  SharedWord& shared = context_.slot(held.number);
  Slot slot = held.slot;
  for (;;) {
    uint64_t word = codec().Pack(slot);
    // Release: pairs with Claim; what this one has read is past. Acquire on failure: as in Send.
    if (shared.compare_exchange_strong(word, codec().Pack(codec().GivenBack(slot)),
                                       std::memory_order_acq_rel, std::memory_order_acquire)) {
      CountReturn(context_, held.number);
      return true;
    }
    const Slot now = codec().Unpack(word);
    if (now.kind != SlotKind::kTaken || now.owner != slot.owner || now.ref != slot.ref) {
      return false;
    }
    slot = now;
  }
}

SendResult Ring::Close() {
  for (chunks::Patience patience = NewPatience();;) {
    SharedWord& shared = context_.slot(tail_.number);
    uint64_t word = shared.load(std::memory_order_acquire);  // acquire: as in Send
    Slot slot = codec().Unpack(word);
    const int64_t ahead = LapsAhead(slot, tail_);
    if (ahead > 0 || (ahead == 0 && slot.kind != SlotKind::kEmpty)) {
      Advance(tail_, context_.header().tail_hint);
      if (patience.IsOver()) return SendResult::kDamaged;
      continue;
    }
    if (slot.closed) return SendResult::kClosed;
    slot.closed = true;
    // dies before -> open;  dies after -> closed;  a successor sees -> the end of the stream
    // Seq_cst: with the look for sleepers (sleepers.h). Relaxed on failure: the word is loaded
    // anew.
    if (shared.compare_exchange_strong(word, codec().Pack(slot), std::memory_order_seq_cst,
                                       std::memory_order_relaxed)) {
      return SendResult::kClosed;
    }
  }
}

bool Ring::IsClosed() {
  for (chunks::Patience patience = NewPatience();;) {
    // Acquire: as in Send.
    const Slot slot = codec().Unpack(context_.slot(tail_.number).load(std::memory_order_acquire));
    const int64_t ahead = LapsAhead(slot, tail_);
    if (ahead < 0 || (ahead == 0 && slot.kind == SlotKind::kEmpty)) return slot.closed;
    Advance(tail_, context_.header().tail_hint);
    if (patience.IsOver()) return false;  // damaged, as the next operation tells
  }
}

}  // namespace kill9::slot_ring

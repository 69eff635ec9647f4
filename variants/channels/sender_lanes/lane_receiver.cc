#include "variants/channels/sender_lanes/lane_receiver.h"

#include <algorithm>

#include "variants/segment/processor.h"

namespace kill9::sender_lanes {

void CloseAllLanes(const Context& context) {
  for (uint32_t lane = 0; lane < context.lane_count(); ++lane) {
    // Seq_cst: with the look for sleepers (sleepers.h). Publish finds it.
    context.lane(lane).tail.fetch_or(1, std::memory_order_seq_cst);
  }
}

LaneReceiver::LaneReceiver(const Context& context)
    : context_(context), views_(context.lane_count()) {
  for (uint32_t lane = 0; lane < context_.lane_count(); ++lane) {
    // Acquire: pairs with Claim's raise: the words before it are of its lap.
    views_[lane].head = views_[lane].hint =
        context_.lane(lane).head_hint.load(std::memory_order_acquire);
  }
}

TakeResult LaneReceiver::Take(SharedWord& name, uint64_t most, Held* held) {
  for (;;) {
    const uint32_t lanes = context_.lanes_used();
    bool was_beaten = false;
    for (uint32_t step = 0; step < lanes && !HasReturns(); ++step) {
      if (next_lane_ >= lanes) next_lane_ = 0;
      const Attempt attempt = TryLane(next_lane_++, name, most, held);
      if (attempt == Attempt::kTaken) return TakeResult::kTaken;
      if (attempt == Attempt::kDamaged) return TakeResult::kDamaged;
      was_beaten |= attempt == Attempt::kBeaten;
    }
    if (HasReturns()) {
      const TakeResult returned = TakeReturned(name, held);
      if (returned != TakeResult::kNone) return returned;
      continue;
    }
    // Each lane was empty when it was looked at. If since then nothing was sent and nothing has
    // come back, all were at once.
    if (was_beaten || context_.lanes_used() != lanes || !AreTailsAsSeen(lanes) || HasReturns()) {
      continue;
    }
    chunks::Clear(name);
    // Acquire: pairs with the closer's store.
    if (context_.header().closed.load(std::memory_order_acquire) == 0) return TakeResult::kNone;
    if (has_closed_lanes_) return TakeResult::kClosed;
    CloseAllLanes(context_);
    has_closed_lanes_ = true;
  }
}

// The second look: it makes one moment of the many.
bool LaneReceiver::AreTailsAsSeen(uint32_t lanes) const {
  for (uint32_t lane = 0; lane < lanes; ++lane) {
    if (context_.TailOf(lane) != views_[lane].tail) return false;
  }
  return true;
}

// Moves on to the head; whether there is a message at it.
inline bool LaneReceiver::FindHead(uint32_t lane, uint64_t* word, Attempt* attempt) {
  View& view = views_[lane];
  // The hint is less than a lap behind the head, and what is void between is at most a lap.
  for (uint64_t passed = 0; passed <= 4 * context_.lane_slots(); ++passed) {
    if (view.head >= view.tail) {
      view.tail = context_.TailOf(lane);
      if (view.head >= view.tail) {
        *attempt = Attempt::kNothing;
        return false;
      }
    }
    // Acquire: pairs with Claim, for the hint; and with Acknowledge.
    *word = context_.word(context_.SlotOf(lane, view.head)).load(std::memory_order_acquire);
    const Range range = context_.codec().Unpack(*word);
    const int64_t ahead = context_.codec().LapsAhead(range.lap, context_.LapOf(view.head));
    if (ahead < 0) return true;
    if (ahead > 0) {
      // Acquire: pairs with the raise before Claim (L8).
      view.hint = context_.lane(lane).head_hint.load(std::memory_order_acquire);
      if (view.hint > view.head) {
        view.head = view.hint;
        continue;
      }
    }
    view.head += range.extent;
  }
  *attempt = Attempt::kDamaged;
  return false;
}

// How many messages from the head on nobody has taken, in a row of slots.
uint32_t LaneReceiver::CountFresh(uint32_t lane, uint64_t most) {
  View& view = views_[lane];
  const uint64_t slot = context_.SlotOf(lane, view.head);
  const uint64_t limit = std::min({most, uint64_t{kMostExtent}, context_.SlotsToEnd(slot)});
  if (view.tail - view.head < limit) view.tail = context_.TailOf(lane);
  const uint64_t count = std::min(limit, view.tail - view.head);
  const uint64_t lap = context_.LapOf(view.head);
  uint64_t fresh = 1;
  // Relaxed: void positions were made so before the tail passed them, which was acquired; and if
  // the head's word is as it was, none of them was taken.
  while (fresh < count &&
         context_.codec().LapsAhead(context_.Load(slot + fresh, std::memory_order_relaxed).lap,
                                    lap) < 0) {
    ++fresh;
  }
  return static_cast<uint32_t>(fresh);
}

// What will be read next: the entry, and at the same time the message, which most likely lies
// behind the one before. Where it does not, the entry tells.
inline void LaneReceiver::FetchAhead(const View& view, uint64_t slot) const {
  PrefetchToRead(&context_.shared_entry(slot));
  if (view.next < context_.granule_count()) {
    PrefetchToRead(context_.bytes(static_cast<Ref>(view.next)));
  }
}

LaneReceiver::Attempt LaneReceiver::TryLane(uint32_t lane, SharedWord& name, uint64_t most,
                                            Held* held) {
  View& view = views_[lane];
  uint64_t word = 0;
  Attempt attempt = Attempt::kNothing;
  if (!FindHead(lane, &word, &attempt)) return attempt;
  // After the look at the head: if nothing has come back by now, the message was the oldest of its
  // lane then (L5).
  if (HasReturns()) [[unlikely]]
    return Attempt::kBeaten;
  const uint64_t slot = context_.SlotOf(lane, view.head);
  FetchAhead(view, slot);
  const uint32_t extent = most == 1 ? 1 : CountFresh(lane, most);
  // The whole range, which may come back as single messages. And now and then, for who looks from
  // the hint on.
  const bool must_raise = view.head + extent - view.hint > context_.lane_slots();
  if (must_raise || view.head - view.hint >= context_.lane_slots() / 4) {
    view.hint = view.head;
    SharedWord& hint = context_.lane(lane).head_hint;
    // Release: before Claim (L8). Relaxed: it only grows.
    uint64_t seen = hint.load(std::memory_order_relaxed);
    while (seen < view.head &&
           !hint.compare_exchange_weak(seen, view.head, std::memory_order_release,
                                       std::memory_order_relaxed)) {
    }
  }
  held->slot = slot;
  held->position = view.head;
  if (!Claim(name, word, RangeCodec::Taken(context_.index(), extent, context_.LapOf(view.head)),
             held)) {
    return Attempt::kBeaten;
  }
  view.head += extent;
  const Entry last = context_.entry(slot + extent - 1);
  view.next = last.ref() + Context::GranulesFor(last.bytes());
  return Attempt::kTaken;
}

inline bool LaneReceiver::Claim(SharedWord& name, uint64_t word, const Range& taken, Held* held) {
  context_.Note(name, RangeName{held->slot, taken.extent}.Pack());
  held->range = taken;
  // dies before -> they wait on;  dies after -> recovery gives them back
  // Acquire: pairs with ReturnOne. Release: the ledger and the hint come before. Relaxed on
  // failure: looked at anew.
  return context_.word(held->slot)
      .compare_exchange_strong(word, context_.codec().Pack(taken), std::memory_order_acq_rel,
                               std::memory_order_relaxed);
}

// kNone: nothing that came back before the call waits.
TakeResult LaneReceiver::TakeReturned(SharedWord& name, Held* held) {
  for (;;) {
    // Acquire, both: pairs with the release of CountReturn.
    const uint64_t returns = context_.header().returns.load(std::memory_order_acquire);
    uint64_t word = 0;
    if (!FindOldestReturned(held, &word)) {
      seen_ = returns;
      return TakeResult::kNone;
    }
    // None came back during the search: at this moment it is the oldest of its lane (L5).
    if (context_.header().returns.load(std::memory_order_acquire) != returns) continue;
    const Range taken = RangeCodec::TakenAgain(context_.codec().Unpack(word), context_.index());
    if (Claim(name, word, taken, held)) return TakeResult::kTaken;
  }
}

// Whether the slot has a message that came back; and which. A word that changes is looked at again:
// the sender may have skipped it, and it waits all the same.
bool LaneReceiver::IsReturned(uint64_t slot, uint64_t* word, uint64_t* position) const {
  const SharedWord& shared = context_.word(slot);
  for (;;) {
    // Acquire, all: the entry and the record are the message's if the word is the same after they
    // were read (L1).
    *word = shared.load(std::memory_order_acquire);
    if (context_.codec().Unpack(*word).kind != RangeKind::kReturned) return false;
    const Ref ref = context_.entry(slot).ref();
    if (ref >= context_.granule_count()) return false;  // damaged: left alone
    *position = Place::Unpack(context_.record(ref).place.load(std::memory_order_acquire)).position;
    if (shared.load(std::memory_order_acquire) == *word) return true;
  }
}

// Looks through the lanes in which something came back that this participant has not seen gone; of
// the first that has some, the oldest.
bool LaneReceiver::FindOldestReturned(Held* oldest, uint64_t* oldest_word) {
  for (uint32_t lane = 0; lane < context_.lane_count(); ++lane) {
    // Acquire: pairs with the release of CountReturn.
    const uint64_t count = context_.lane(lane).returns.load(std::memory_order_acquire);
    if (count == views_[lane].seen) continue;
    bool found = false;
    const uint64_t end = context_.FirstSlotOf(lane) + context_.lane_slots();
    for (uint64_t slot = context_.FirstSlotOf(lane); slot < end; ++slot) {
      uint64_t word = 0, position = 0;
      if (!IsReturned(slot, &word, &position)) continue;
      if (found && position >= oldest->position) continue;
      found = true;
      oldest->slot = slot;
      oldest->position = position;
      *oldest_word = word;
    }
    if (found) return true;
    views_[lane].seen = count;
  }
  return false;
}

bool LaneReceiver::Acknowledge(const Held& held) {
  const RangeCodec& codec = context_.codec();
  Range range = held.range;
  for (;;) {
    uint64_t word = codec.Pack(range);
    // dies before -> they come again;  dies after -> they never do;  a successor sees -> free slots
    // Seq_cst: with the look for sleepers (sleepers.h). It releases the messages: what this one has
    // read of them is past for whoever finds them gone. Acquire on failure: pairs with the skip.
    if (context_.word(held.slot).compare_exchange_strong(
            word, codec.Pack(codec.Acknowledged(range)), std::memory_order_seq_cst,
            std::memory_order_acquire)) {
      return true;
    }
    const Range now = codec.Unpack(word);
    if (!now.TakenBy(range.owner) || now.extent != range.extent) return false;
    range = now;
  }
}

bool LaneReceiver::GiveBack(const Held& held) {
  const auto always = [] { return true; };
  bool sound = Split(context_, held.slot, context_.index(), always);
  for (uint32_t i = 0; sound && i < held.range.extent; ++i) {
    sound = ReturnOne(context_, held.slot + i, context_.index(), always);
  }
  CountReturn(context_, context_.LaneOf(held.slot));
  return sound;
}

}  // namespace kill9::sender_lanes

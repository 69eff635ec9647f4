// The slots, as one participant uses them (R1, R2, R4-R9 in layout.h).
//
// PROGRESS: lock-free. A failed CAS means that another participant's succeeded, and changed what
// this one looks at; nothing waits.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_RING_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_RING_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "variants/channels/shared/patience.h"
#include "variants/channels/slot_ring/context.h"
#include "variants/segment/processor.h"

namespace kill9::slot_ring {

// A message that this participant has taken.
struct Held {
  uint64_t number = 0;  // of the slot
  Slot slot;            // its word
  uint64_t position = 0;
  uint64_t size = 0;
};

enum class SendResult : uint8_t { kSent, kClosed, kDamaged };
enum class TakeResult : uint8_t { kTaken, kNone, kClosed, kDamaged };

class Ring {
 public:
  explicit Ring(const Context& context);

  // Sends the message that begins at `ref`, as the last one. kSent: *position is its.
  SendResult Send(Ref ref, uint64_t* position);
  // Takes the oldest message that waits, naming it in `name`, a word of the own ledger that is 0.
  // Where it has taken none, `name` is 0 again.
  TakeResult Take(SharedWord& name, Held* held);
  // For batches, which name a row of slots: takes the next message at the head, if there is one and
  // nothing older; `covers(slot)` names the slot before it is taken.
  template <typename Covers>
  TakeResult TakeNext(Covers covers, Held* held);
  // False: the slot says that it is not this participant's, which only damage explains.
  bool Acknowledge(const Held& held);
  bool GiveBack(const Held& held);
  // Marks the tail. kClosed: it was, or is now.
  SendResult Close();
  // Whether the tail is marked.
  bool IsClosed();
  // Whether something has come back that this participant has not looked for: TakeNext takes
  // nothing then, Take does.
  bool HasReturns() const {
    // Acquire: pairs with the release of CountReturn.
    return context_.header().returns.load(std::memory_order_acquire) != seen_;
  }

  // Raises the counts for something that has come back in a slot (R5).
  static void CountReturn(const Context& context, uint64_t slot_number);

 private:
  // A place in the order: position = lap * N + number, kept apart to save the division.
  struct Cursor {
    uint64_t position = 0;
    uint64_t lap = 0;
    uint64_t number = 0;
  };

  Cursor At(uint64_t position) const;
  // To the next position, or to the hint if that is further.
  void Advance(Cursor& cursor, const SharedWord& hint) const;
  // Of a walk to the tail, or to the head, which is before it. (The tail's hint lags by the
  // positions at which somebody died, or is stopped: by less than two laps.)
  chunks::Patience NewPatience() const {
    const SharedWord& hint = context_.header().tail_hint;
    return chunks::Patience(hint, hint, context_.slot_count());
  }
  static void Raise(SharedWord& hint, uint64_t position);
  int64_t LapsAhead(const Slot& slot, const Cursor& cursor) const {
    return codec().LapsAhead(slot.lap, cursor.lap);
  }
  const SlotCodec& codec() const { return context_.codec(); }
  // Moves the head's cursor to the head, and says what is there. `word` is kFull: a message.
  TakeResult FindHead(uint64_t* word);
  TakeResult TakeReturned(SharedWord& name, Held* held);
  bool FindOldestReturned(Held* oldest, uint64_t* word);
  bool IsReturned(uint64_t number, uint64_t* word, uint64_t* position) const;
  bool Claim(SharedWord& slot, uint64_t word, Held* held);
  // Fills in what the record says. False: it cannot be.
  bool Describe(Held* held) const;

  const Context context_;
  Cursor tail_;
  Cursor head_;
  uint64_t seen_ = 0;                     // returns that have been looked for (R5)
  std::vector<uint64_t> seen_of_region_;  // the same of each region
};

inline void Ring::Raise(SharedWord& hint, uint64_t position) {
  // Relaxed, all: a hint, believed only as far as the words bear it out (R9).
  uint64_t seen = hint.load(std::memory_order_relaxed);
  while (seen < position && !hint.compare_exchange_weak(seen, position, std::memory_order_relaxed,
                                                        std::memory_order_relaxed)) {
  }
}

inline void Ring::Advance(Cursor& cursor, const SharedWord& hint) const {
  ++cursor.position;
  if (++cursor.number == context_.slot_count()) {
    cursor.number = 0;
    cursor.lap = codec().MaskLap(cursor.lap + 1);
  }
  if (cursor.position % kHintEvery != 0) return;
  // Relaxed: as in Raise.
  const uint64_t hinted = hint.load(std::memory_order_relaxed);
  if (hinted > cursor.position) cursor = At(hinted);
}

inline SendResult Ring::Send(Ref ref, uint64_t* position) {
  for (chunks::Patience patience = NewPatience();;) {
    SharedWord& shared = context_.slot(tail_.number);
    // Acquire: pairs with the releases of whoever changed the word, so that what a later look finds
    // is not older.
    uint64_t word = shared.load(std::memory_order_acquire);
    const Slot slot = codec().Unpack(word);
    const int64_t ahead = LapsAhead(slot, tail_);
    if (slot.closed && (ahead < 0 || (ahead == 0 && slot.kind == SlotKind::kEmpty))) {
      return SendResult::kClosed;
    }
    if (ahead == 0 && slot.kind == SlotKind::kEmpty) {
      // Relaxed: published by the CAS.
      context_.record(ref).position.store(tail_.position + 1, std::memory_order_relaxed);
      // dies before -> never sent;  dies after -> sent;  a successor sees -> the message, or Empty
      // Seq_cst: with the look for sleepers (sleepers.h). It releases the bytes to who takes them
      // (Claim). Relaxed on failure: the word is loaded anew.
      if (shared.compare_exchange_strong(word, codec().Pack(codec().Filled(slot, ref)),
                                         std::memory_order_seq_cst, std::memory_order_relaxed)) {
        *position = tail_.position;
        Advance(tail_, context_.header().tail_hint);
        if (*position % kHintEvery == 0) Raise(context_.header().tail_hint, *position);
        return SendResult::kSent;
      }
      continue;
    }
    if (ahead < 0) {
      // R2, R6: what is in the way was taken before.
      if (ahead != -1 || (slot.kind == SlotKind::kFull && !slot.redelivered())) {
        return SendResult::kDamaged;
      }
      // dies before -> nothing;  dies after -> a void position;  a successor sees -> it is done
      // Release: for the acquire above. Relaxed on failure: the word is loaded anew.
      if (!shared.compare_exchange_strong(word, codec().Pack(codec().Skipped(slot)),
                                          std::memory_order_acq_rel, std::memory_order_relaxed)) {
        continue;
      }
    }
    Advance(tail_, context_.header().tail_hint);
    if (patience.IsOver()) return SendResult::kDamaged;
  }
}

inline TakeResult Ring::FindHead(uint64_t* word) {
  for (chunks::Patience patience = NewPatience();;) {
    // Acquire: as in Send; and pairs with its CAS, for the record.
    *word = context_.slot(head_.number).load(std::memory_order_acquire);
    const Slot slot = codec().Unpack(*word);
    const int64_t ahead = LapsAhead(slot, head_);
    if (ahead < 0 || (ahead == 0 && slot.kind == SlotKind::kEmpty)) {
      return slot.closed ? TakeResult::kClosed : TakeResult::kNone;
    }
    if (ahead == 0 && slot.kind == SlotKind::kFull && !slot.redelivered()) {
      return TakeResult::kTaken;
    }
    Advance(head_, context_.header().head_hint);
    if (head_.position % kHintEvery == 0) Raise(context_.header().head_hint, head_.position);
    if (patience.IsOver()) return TakeResult::kDamaged;
  }
}

// REQUIRES: the ledger names the slot.
inline bool Ring::Claim(SharedWord& shared, uint64_t word, Held* held) {
  held->slot = codec().TakenBy(codec().Unpack(word), context_.index());
  // dies before -> it waits on;  dies after -> recovery gives it back
  // Acquire: pairs with the CAS of Send, for the message's bytes, and with those of GiveBack and
  // recovery. Release: what is in the ledger comes before. Relaxed on failure: looked at anew.
  return shared.compare_exchange_strong(word, codec().Pack(held->slot), std::memory_order_acq_rel,
                                        std::memory_order_relaxed);
}

inline bool Ring::Describe(Held* held) const {
  if (held->slot.ref >= context_.granule_count()) return false;
  const Record& record = context_.record(held->slot.ref);
  // Relaxed: Claim acquired it, and it is this participant's.
  held->position = record.position.load(std::memory_order_relaxed) - 1;
  held->size = record.size.load(std::memory_order_relaxed);
  return context_.Fits(held->slot.ref, held->size);
}

template <typename Covers>
TakeResult Ring::TakeNext(Covers covers, Held* held) {
  for (;;) {
    uint64_t word = 0;
    const TakeResult found = FindHead(&word);
    // After the look at the slot: if nothing has come back by now, the message was the oldest then,
    // or there was none (R5).
    if (HasReturns()) [[unlikely]]
      return TakeResult::kNone;
    if (found != TakeResult::kTaken) return found;
    held->number = head_.number;
    covers(head_.number);
    // What is read next, while the word is claimed.
    const Ref ref = codec().Unpack(word).ref;
    PrefetchToRead(&context_.record(ref));
    PrefetchToRead(context_.bytes(ref));
    if (Claim(context_.slot(head_.number), word, held)) {
      Advance(head_, context_.header().head_hint);
      if (head_.position % kHintEvery == 0) Raise(context_.header().head_hint, head_.position);
      return Describe(held) ? TakeResult::kTaken : TakeResult::kDamaged;
    }
  }
}

inline bool Ring::Acknowledge(const Held& held) {
  SharedWord& shared = context_.slot(held.number);
  Slot slot = held.slot;
  for (;;) {
    uint64_t word = codec().Pack(slot);
    // dies before -> it comes again;  dies after -> it never does;  a successor sees -> an empty
    // slot Seq_cst: with the look for sleepers (sleepers.h). It releases the message: what this one
    // has read of it is past for whoever finds it gone (IsAlive). Acquire on failure: as in Send.
    if (shared.compare_exchange_strong(word, codec().Pack(codec().Emptied(slot)),
                                       std::memory_order_seq_cst, std::memory_order_acquire)) {
      return true;
    }
    // Skipped meanwhile, or closed.
    const Slot now = codec().Unpack(word);
    if (now.kind != SlotKind::kTaken || now.owner != slot.owner || now.ref != slot.ref) {
      return false;
    }
    slot = now;
  }
}

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_RING_H_

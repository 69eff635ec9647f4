#include "variants/channels/slot_ring/recovery.h"

#include <algorithm>

#include "variants/channels/slot_ring/ring.h"

namespace kill9::slot_ring {
namespace {

// One dead participant, as one recoverer sees it. Each change is a CAS from a word that was read
// while the victim was still Dead, hence the victim's; then its name is cleared. Whoever comes
// later finds the change done, or the name cleared.
class Victim {
 public:
  Victim(const Context& context, uint32_t index, uint32_t generation, RecoveryReport& report)
      : context_(context),
        ledger_(context.ledger_of(index)),
        index_(index),
        generation_(generation),
        report_(report) {}

  void Recover();

 private:
  // What the word names, if it is the victim's; else 0 (cleared, or the slot has a new owner).
  uint64_t Read(const SharedWord& word) const {
    // Acquire: pairs with Note (made visible by the death's own order, MarkIfDead).
    const uint64_t value = word.load(std::memory_order_acquire);
    return Context::GenerationIn(value) == generation_ ? value : 0;
  }
  bool StillDead() const {
    return context_.participants().state(index_) == ParticipantState::kDead &&
           context_.participants().generation(index_) == generation_;
  }
  // The generation in the word makes the CAS fail if the slot has a new owner. Release: what was
  // done for the word comes before.
  static void ClearIf(SharedWord& word, uint64_t value) {
    if (value == 0) return;
    word.compare_exchange_strong(value, 0, std::memory_order_release, std::memory_order_relaxed);
  }

  void GiveBack(uint64_t number);
  void ReturnTaken(SharedWord& name);
  void ReturnBatch();
  void RetireChunks();

  const Context& context_;
  Ledger& ledger_;
  const uint32_t index_;
  const uint32_t generation_;
  RecoveryReport& report_;
};

void Victim::Recover() {
  ReturnBatch();
  ReturnTaken(ledger_.receiving);
  for (SharedWord& name : ledger_.taken) ReturnTaken(name);
  RetireChunks();
  ClearIf(ledger_.role, Read(ledger_.role));
  if (context_.participants().MarkRecovered(index_, generation_)) ++report_.participants;
}

// Gives back the message in the slot, if the victim has taken it.
void Victim::GiveBack(uint64_t number) {
  if (number >= context_.slot_count()) return;
  SharedWord& shared = context_.slot(number);
  for (;;) {
    // Acquire: pairs with the CAS of who changed it.
    uint64_t word = shared.load(std::memory_order_acquire);
    const Slot slot = context_.codec().Unpack(word);
    if (slot.kind != SlotKind::kTaken || slot.owner != index_) return;
    // After the look: the word is of this victim, and not of the next owner of its place.
    if (!StillDead()) return;
    // dies before -> it is Taken by the dead;  dies after -> it waits, and is counted by the next
    // Release: pairs with Claim. Its failure: another recoverer was first, or it was skipped.
    if (shared.compare_exchange_strong(word,
                                       context_.codec().Pack(context_.codec().GivenBack(slot)),
                                       std::memory_order_acq_rel, std::memory_order_relaxed)) {
      ++report_.rolled_back;
      return;
    }
  }
}

// Counted in any case: the victim may have died after it had given the message back, or another
// recoverer (R5).
void Victim::ReturnTaken(SharedWord& name) {
  const uint64_t value = Read(name);
  if (value == 0) return;
  const uint64_t number = Context::Named(value) - 1;
  GiveBack(number);
  if (number < context_.slot_count()) Ring::CountReturn(context_, number);
  ClearIf(name, value);
}

void Victim::ReturnBatch() {
  const uint64_t first = Read(ledger_.batch_first);
  const uint64_t count = Read(ledger_.batch_count);
  if (first != 0 && count != 0) {
    const uint64_t slots = context_.slot_count();
    uint64_t number = std::min<uint64_t>(Context::Named(first) - 1, slots - 1);
    uint64_t left = std::min<uint64_t>(Context::Named(count), slots);
    for (; left > 0; --left) {
      GiveBack(number);
      const uint64_t next = number + 1 == slots ? 0 : number + 1;
      // Counted once for each region, as in ReturnTaken.
      if (left == 1 || Context::RegionOf(next) != Context::RegionOf(number)) {
        Ring::CountReturn(context_, number);
      }
      number = next;
    }
  }
  ClearIf(ledger_.batch_count, count);
  ClearIf(ledger_.batch_first, first);
}

// Bodies stay what they are: they go with their heads. Dies at any instruction -> the rest is Owned
// by the dead.
void Victim::RetireChunks() {
  for (uint32_t number = 0; number < context_.chunk_count(); ++number) {
    SharedWord& shared = context_.chunk(number).word;
    // Acquire: pairs with the CAS of ClaimRow or TakeOver, which may be of another's since.
    ChunkWord word{shared.load(std::memory_order_acquire)};
    if (!word.OwnedBy(index_) || !StillDead()) continue;
    // Release: pairs with TakeOver. Its failure: another recoverer was first.
    if (shared.compare_exchange_strong(word.bits, word.Next(ChunkKind::kRetired).bits,
                                       std::memory_order_release, std::memory_order_relaxed)) {
      ++report_.blocks;
    }
  }
}

}  // namespace

RecoveryReport RecoverAll(const Context& context) {
  RecoveryReport report;
  for (uint32_t i = 0; i < context.participants().size(); ++i) {
    uint32_t generation = 0;
    if (i == context.index() || !context.participants().MarkIfDead(i, &generation)) continue;
    Victim(context, i, generation, report).Recover();
  }
  return report;
}

}  // namespace kill9::slot_ring

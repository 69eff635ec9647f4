#include "variants/channels/slot_ring/recovery.h"

#include <algorithm>

#include "variants/channels/slot_ring/ring.h"

namespace kill9::slot_ring {
namespace {

class Victim {
 public:
  Victim(const Context& context, uint32_t index, uint32_t generation, RecoveryReport& report)
      : context_(context),
        dead_(context.participants(), index, generation),
        ledger_(context.ledger_of(index)),
        report_(report) {}

  void Recover();

 private:
  void GiveBack(uint64_t number);
  void ReturnTaken(SharedWord& name);
  void ReturnBatch();

  const Context& context_;
  const chunks::DeadParticipant dead_;
  Ledger& ledger_;
  RecoveryReport& report_;
};

void Victim::Recover() {
  ReturnBatch();
  ReturnTaken(ledger_.receiving);
  for (SharedWord& name : ledger_.taken) ReturnTaken(name);
  report_.blocks += chunks::RetireChunksOf(context_, dead_);
  dead_.ClearIf(ledger_.role, dead_.Read(ledger_.role));
  if (dead_.MarkRecovered()) ++report_.participants;
}

// Gives back the message in the slot, if the victim has taken it.
void Victim::GiveBack(uint64_t number) {
  if (number >= context_.slot_count()) return;
  SharedWord& shared = context_.slot(number);
  for (;;) {
    // Acquire: pairs with the CAS of who changed it.
    uint64_t word = shared.load(std::memory_order_acquire);
    const Slot slot = context_.codec().Unpack(word);
    if (slot.kind != SlotKind::kTaken || slot.owner != dead_.index()) return;
    // After the look: the word is of this victim, and not of the next owner of its place.
    if (!dead_.StillDead()) return;
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
  const uint64_t value = dead_.Read(name);
  if (value == 0) return;
  const uint64_t number = chunks::Named(value) - 1;
  GiveBack(number);
  if (number < context_.slot_count()) Ring::CountReturn(context_, number);
  dead_.ClearIf(name, value);
}

void Victim::ReturnBatch() {
  const uint64_t first = dead_.Read(ledger_.batch_first);
  const uint64_t count = dead_.Read(ledger_.batch_count);
  if (first != 0 && count != 0) {
    const uint64_t slots = context_.slot_count();
    uint64_t number = std::min<uint64_t>(chunks::Named(first) - 1, slots - 1);
    uint64_t left = std::min<uint64_t>(chunks::Named(count), slots);
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
  dead_.ClearIf(ledger_.batch_count, count);
  dead_.ClearIf(ledger_.batch_first, first);
}

}  // namespace

RecoveryReport RecoverDead(const Context& context, chunks::WhichSlots which) {
  RecoveryReport report;
  for (uint32_t i = 0; i < context.participants().size(); ++i) {
    uint32_t generation = 0;
    if (i == context.index() || !which(i)) continue;
    if (!context.participants().MarkIfDead(i, &generation)) continue;
    Victim(context, i, generation, report).Recover();
  }
  return report;
}

}  // namespace kill9::slot_ring

// slot_ring: the end of the stream.
#include "variants/channels/slot_ring/recovery.h"
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9::slot_ring {

// Nothing waits, and nothing will be sent. What is taken at this moment is named in a ledger; if
// nothing has come back during the look, then all that the look does not find has been
// acknowledged. What this member itself has taken does not count: it knows of it, and would wait
// for itself.
std::optional<absl::Status> SlotRing::AtTheEnd() {
  waits_for_end_ = true;
  if (IsAnythingTaken() || ring_.HasReturns()) return std::nullopt;
  return absl::OutOfRangeError("the channel is closed, and empty");
}

bool SlotRing::IsAnythingTaken() const {
  // Acquire, all: pairs with Note.
  const auto named = [](const SharedWord& word) {
    return uint64_t{chunks::Named(word.load(std::memory_order_acquire))};
  };
  for (uint32_t i = 0; i < context_.participants().size(); ++i) {
    if (i == context_.index()) continue;
    if (context_.participants().state(i) == ParticipantState::kFree) continue;
    const Ledger& ledger = context_.ledger_of(i);
    if (HasTaken(i, named(ledger.receiving) - 1)) return true;
    for (const SharedWord& name : ledger.taken) {
      if (HasTaken(i, named(name) - 1)) return true;
    }
    const uint64_t count = std::min(named(ledger.batch_count), context_.slot_count());
    const uint64_t first = named(ledger.batch_first);
    for (uint64_t at = 0; first != 0 && at < count; ++at) {
      if (HasTaken(i, (first - 1 + at) % context_.slot_count())) return true;
    }
  }
  return false;
}

bool SlotRing::HasTaken(uint32_t participant, uint64_t number) const {
  if (number >= context_.slot_count()) return false;
  // Acquire: pairs with the acknowledgement, or the return. That is counted after it, and named
  // until then: what is named and full is back, or still there, whether it is counted or not.
  const Slot slot = context_.codec().Unpack(context_.slot(number).load(std::memory_order_acquire));
  if (slot.kind == SlotKind::kFull) return true;
  return slot.kind == SlotKind::kTaken && slot.owner == participant;
}

RecoveryReport SlotRing::RecoverDeadOf(chunks::WhichSlots which) {
  return RecoverDead(context_, which);
}

}  // namespace kill9::slot_ring

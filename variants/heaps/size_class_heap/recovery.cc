// Recovery of a size_class_heap. Where a victim can have died, and what is done:
//
//   owning blocks                        -> its bit is taken off each; what has no other is free
//   between its bit and a generation     -> the same: no handle of the block was ever told
//   between a generation and its bit     -> the same: no handle is valid, the bit still stands
//   in Share, Transfer, in a recovery    -> its targets' bits are dropped too, where the target is
//                                           not there any more (U6)
//   making a span                        -> its units are Claimed by it: they are freed
//   closing a span                       -> it is opened again
//   between freeing and hinting          -> all spans are hinted (U7)
//   between that and telling of room     -> room is told of (U8)
//   between a change and its wake-up     -> its death wakes all who sleep (sleepers.h)
//   in Claim or Release of its slot      -> the slot is Free, or InUse with an empty ledger
//   in recovery                          -> as above; what it did not do, the next one does
//
// Several may recover one victim at once. Each names it (U6), and it is recovered when the last of
// them has ended, so that no late one takes a bit of the slot's next owner.
#include <utility>
#include <vector>

#include "variants/heaps/size_class_heap/space.h"

namespace kill9::size_class_heap {
namespace {

// Clears a word of the dead. The generation in it makes the CAS fail if it is the next owner's.
void ClearIf(SharedWord& word, uint32_t generation) {
  // Acquire: pairs with what the victim stored (made visible by the death's own order, MarkIfDead).
  uint64_t value = word.load(std::memory_order_acquire);
  if (value == 0 || GenerationIn(value) != generation) return;
  // Seq_cst: of `member`: the sweep comes after it (U6); of the others: after the sweep.
  word.compare_exchange_strong(value, 0, std::memory_order_seq_cst, std::memory_order_relaxed);
}

}  // namespace

void Space::RecoverUnits(uint32_t slot, uint32_t generation) {
  for (uint32_t number = 0; number < unit_count_; ++number) {
    const UnitWord word = WordOf(number);
    const bool claimed = word.Is(UnitKind::kClaimed, slot);
    // What was read while the victim was dead is the victim's, and no such word comes again (U1).
    if ((!claimed && !word.Is(UnitKind::kClosing, slot)) || !StillDead(slot, generation)) continue;
    if (claimed) {
      FreeClaimed(number, word);
    } else {
      Reopen(number, word);
    }
  }
}

// REQUIRES: the slot is named by this one's first target, and was seen dead after that.
uint64_t Space::RecoverBlocks(uint32_t slot, uint32_t generation) {
  Ledger& dead = ledger(slot);
  // From now on nobody gives it anything (U6).
  ClearIf(dead.member, generation);
  uint64_t freed = slot < segment_->header().max_participants ? DropAll(uint64_t{1} << slot) : 0;
  for (SharedWord& target : dead.targets) {
    // Acquire: pairs with Name.
    const uint64_t word = target.load(std::memory_order_acquire);
    if (Named(word) == 0 || GenerationIn(word) != generation) continue;
    const uint32_t other = Named(word) - 1;
    if (other >= segment_->header().max_participants) continue;
    Name(1, other);
    // Still named by the victim: so it is not another's yet, and by this one: nor will it be.
    // Seq_cst: after Name.
    if (target.load(std::memory_order_seq_cst) == word && StillDead(slot, generation) &&
        !CanOwn({other, participants_.generation(other)})) {
      freed += DropAll(uint64_t{1} << other);
    }
    Unname(1);
  }
  return freed;
}

bool Space::RecoverOnce(RecoveryReport& report) {
  std::vector<std::pair<uint32_t, uint32_t>> dead;
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    uint32_t generation = 0;
    if (!participants_.MarkIfDead(slot, &generation)) continue;
    Name(0, slot);
    if (StillDead(slot, generation)) {
      RecoverUnits(slot, generation);
      report.blocks += RecoverBlocks(slot, generation);
      Ledger& ledger_of_dead = ledger(slot);
      ClearIf(ledger_of_dead.span, generation);
      for (SharedWord& target : ledger_of_dead.targets) ClearIf(target, generation);
      dead.emplace_back(slot, generation);
    }
    Unname(0);
  }
  if (dead.empty()) return true;
  ForEachSpan([this](uint32_t head, UnitWord) {
    Hint(head);
    return true;
  });
  TellOfRoom();
  bool all_returned = true;
  for (const auto& [slot, generation] : dead) {
    // Else one who names it does this, when it has ended; or the next recovery.
    if (IsTarget(slot)) {
      all_returned = false;
    } else {
      report.participants += participants_.MarkRecovered(slot, generation) ? 1 : 0;
    }
  }
  return all_returned;
}

RecoveryReport Space::RecoverDead(bool* all_returned) {
  // Who names a dead one may have died of late, too, or be about to end.
  constexpr int kPasses = 3;
  RecoveryReport report;
  bool all = false;
  for (int pass = 0; pass < kPasses && !all; ++pass) all = RecoverOnce(report);
  if (all_returned != nullptr) *all_returned = all;
  return report;
}

}  // namespace kill9::size_class_heap

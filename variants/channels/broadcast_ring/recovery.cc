// Recovery of broadcast_ring: what a survivor does for a dead participant.
//
// Nothing is ever completed for the dead: a message was sent by its owner's CAS of the slot's word,
// or never (strict linearizability). What a dead subscriber had not read is nobody's: its place in
// the order went with it. Recovery takes back its pins, and retires the chunks that it owned. Any
// number may do it at once, and each may die anywhere.
//
// PROGRESS: lock-free. COST: proportional to the number of chunks, plus one system call for each
// living participant.
#include "variants/channels/broadcast_ring/member.h"

namespace kill9::broadcast_ring {
namespace {

// A name protects only its owner's reading, which is over. Dies before it is cleared -> the next
// recoverer clears it.
void Unpin(const chunks::DeadParticipant& dead, SharedWord& word, RecoveryReport& report) {
  const uint64_t value = dead.Read(word);
  if (value == 0) return;
  dead.ClearIf(word, value);
  ++report.blocks;
}

void Recover(const Context& context, uint32_t index, uint32_t generation, RecoveryReport& report) {
  const chunks::DeadParticipant dead(context.participants(), index, generation);
  Ledger& ledger = context.ledger_of(index);
  Unpin(dead, ledger.receiving, report);
  for (SharedWord& word : ledger.pinned) Unpin(dead, word, report);
  report.blocks += chunks::RetireChunksOf(context, dead);
  dead.ClearIf(ledger.role, dead.Read(ledger.role));
  if (dead.MarkRecovered()) ++report.participants;
}

}  // namespace

RecoveryReport RecoverDead(const Context& context, chunks::WhichSlots which) {
  RecoveryReport report;
  for (uint32_t i = 0; i < context.participants().size(); ++i) {
    uint32_t generation = 0;
    if (i == context.index() || !which(i)) continue;
    if (!context.participants().MarkIfDead(i, &generation)) continue;
    Recover(context, i, generation, report);
  }
  return report;
}

}  // namespace kill9::broadcast_ring

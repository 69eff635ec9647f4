#include "variants/channels/sender_lanes/recovery.h"

#include "variants/channels/sender_lanes/hold.h"

namespace kill9::sender_lanes {
namespace {

// One dead participant, as one recoverer sees it (shared/chunks.h). Its lane needs nothing: what it
// had not published is not there, and its successor goes on at the tail.
class Victim {
 public:
  Victim(const Context& context, uint32_t index, uint32_t generation, RecoveryReport& report)
      : context_(context),
        dead_(context.participants(), index, generation),
        ledger_(context.ledger_of(index)),
        report_(report) {}

  void Recover() {
    ReturnTaken(ledger_.receiving);
    for (SharedWord& name : ledger_.taken) ReturnTaken(name);
    for (SharedWord& name : ledger_.batch) ReturnTaken(name);
    report_.blocks += chunks::RetireChunksOf(context_, dead_);
    dead_.ClearIf(ledger_.role, dead_.Read(ledger_.role));
    if (dead_.MarkRecovered()) ++report_.participants;
  }

 private:
  void ReturnTaken(SharedWord& name);

  const Context& context_;
  const chunks::DeadParticipant dead_;
  Ledger& ledger_;
  RecoveryReport& report_;
};

// Each slot that the name covers, since the victim, or another recoverer, may have died when some
// of them were returned. Counted in any case: they may not have been (L5).
void Victim::ReturnTaken(SharedWord& name) {
  const uint64_t value = dead_.Read(name);
  if (value == 0) return;
  const RangeName range = RangeName::Unpack(chunks::Named(value));
  if (range.slot < context_.slot_count() && range.extent <= context_.SlotsToEnd(range.slot)) {
    const auto still_dead = [this] { return dead_.StillDead(); };
    Split(context_, range.slot, dead_.index(), still_dead);
    for (uint32_t i = 0; i < range.extent; ++i) {
      if (ReturnOne(context_, range.slot + i, dead_.index(), still_dead)) ++report_.rolled_back;
    }
    CountReturn(context_, context_.LaneOf(range.slot));
  }
  dead_.ClearIf(name, value);
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

}  // namespace kill9::sender_lanes

// The audit of slot_ring: R1-R9 as code, over a quiet segment. What its chunks hold
// is of shared/chunk_audit.h.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "variants/channels/shared/chunk_audit.h"
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9::slot_ring {
namespace {

using chunks::Share;

class Auditor {
 public:
  explicit Auditor(const Context& context) : context_(context) {}

  AuditReport Run() {
    ReadLedgers();
    ReadSlots();
    CheckOrder();
    chunks::ChunkAudit<Context>(context_, in_slot_, present_, report_).Run();
    return std::move(report_);
  }

 private:
  void Violation(std::string_view invariant, std::string_view what, uint64_t where) {
    report_.AddViolation(invariant, what, where);
  }

  // All loads of the audit are relaxed or acquire as convenient: the segment is quiet.
  static uint64_t Load(const SharedWord& word) { return word.load(std::memory_order_acquire); }

  void ReadLedgers() {
    const ParticipantTable& table = context_.participants();
    for (uint32_t i = 0; i < table.size(); ++i) {
      const bool free = table.state(i) == ParticipantState::kFree;
      if (!free) {
        ++report_.participants;
        present_.insert(i);
      }
      const Ledger& ledger = context_.ledger_of(i);
      const auto name = [&](uint64_t word, uint64_t number) {
        if (word == 0) return;
        if (free) Violation("P3", "the ledger of a free participant slot is not empty", i);
        if (number < context_.slot_count()) named_.insert({i, number});
      };
      for (const SharedWord& word : ledger.taken) name(Load(word), chunks::Named(Load(word)) - 1);
      name(Load(ledger.receiving), chunks::Named(Load(ledger.receiving)) - 1);
      name(Load(ledger.role), ~uint64_t{0});
      const uint64_t first = Load(ledger.batch_first);
      const uint64_t count = Load(ledger.batch_count);
      name(first, ~uint64_t{0});
      name(count, ~uint64_t{0});
      if (first == 0 || count == 0) continue;
      const uint64_t row = std::min<uint64_t>(chunks::Named(count), context_.slot_count());
      for (uint64_t at = 0; at < row; ++at) {
        named_.insert({i, (chunks::Named(first) - 1 + at) % context_.slot_count()});
      }
    }
  }

  void ReadSlots() {
    for (uint64_t number = 0; number < context_.slot_count(); ++number) {
      const Slot slot = context_.codec().Unpack(Load(context_.slot(number)));
      slots_.push_back(slot);
      if (slot.kind == SlotKind::kEmpty) continue;
      if (static_cast<uint32_t>(slot.kind) > 2 || slot.ref >= context_.granule_count()) {
        Violation("R3", "a slot's word names no message", number);
        continue;
      }
      const bool waits = slot.kind == SlotKind::kFull;
      const bool named = present_.contains(slot.owner) && named_.contains({slot.owner, number});
      const Share share = waits ? Share::kLive : named ? Share::kHeld : Share::kLeaked;
      if (!in_slot_.insert({slot.ref, share}).second) {
        ++report_.doubly_owned;
        Violation("R3", "two slots have one message", number);
      }
      const uint64_t position = Load(context_.record(slot.ref).position) - 1;
      if (position % context_.slot_count() != number) {
        Violation("R3", "a message is in another's slot", number);
      }
      ++report_.entries;
      if (waits) {
        if (slot.redelivered() && Load(context_.region(Context::RegionOf(number))) == 0) {
          Violation("R5", "what came back was not counted", number);
        }
      } else if (!named) {
        Violation("R4", "a message is taken by a participant that does not name it", number);
      }
    }
  }

  // The laps are those around a hint's: positions of the slots follow from it.
  void CheckOrder() {
    const uint64_t slots = context_.slot_count();
    const uint64_t hint = Load(context_.header().tail_hint);
    const auto lap_of = [&](uint64_t position) {
      return context_.codec().MaskLap(position / slots);
    };
    // The first position at or after the hint that is not done.
    uint64_t tail = hint;
    while (tail - hint <= slots && IsDone(slots_[tail % slots], lap_of(tail))) ++tail;
    // R1: the N positions before it are done, and none after it.
    for (uint64_t ago = 1; ago <= std::min(slots, tail); ++ago) {
      if (!IsDone(slots_[(tail - ago) % slots], lap_of(tail - ago))) {
        Violation("R1", "a position before the tail is not done", tail - ago);
        break;
      }
    }
    for (uint64_t ahead = 0; ahead < slots; ++ahead) {
      if (IsDone(slots_[(tail + ahead) % slots], lap_of(tail + ahead))) {
        Violation("R1", "a position beyond the tail is done", tail + ahead);
        break;
      }
    }
    // R2 and R9: nothing that was never taken is before the head's hint, or before what was.
    const uint64_t head_hint = Load(context_.header().head_hint);
    if (head_hint > tail) Violation("R9", "the head's hint is beyond the tail", head_hint);
    bool waits = false;
    for (uint64_t ago = std::min(slots, tail); ago > 0; --ago) {
      const uint64_t position = tail - ago;
      const Slot& slot = slots_[position % slots];
      const bool fresh = slot.kind == SlotKind::kFull && !slot.redelivered();
      if (fresh && position < head_hint) Violation("R9", "a message is before the head", position);
      // One that is held since an earlier lap was skipped at this position.
      if (waits && slot.kind == SlotKind::kTaken && !slot.redelivered() && IsAt(slot, position)) {
        Violation("R2", "a message was taken before an older one", position);
      }
      waits |= fresh;
    }
    for (uint64_t number = 0; number < slots; ++number) {
      if (slots_[number].closed && number != tail % slots) {
        Violation("R8", "a slot other than the tail's is closed", number);
      }
    }
  }

  bool IsAt(const Slot& slot, uint64_t position) const {
    return slot.ref < context_.granule_count() &&
           Load(context_.record(slot.ref).position) == position + 1;
  }
  bool IsDone(const Slot& slot, uint64_t lap) const {
    const int64_t ahead = context_.codec().LapsAhead(slot.lap, lap);
    return ahead > 0 || (ahead == 0 && slot.kind != SlotKind::kEmpty);
  }

  const Context& context_;
  AuditReport report_;
  std::vector<Slot> slots_;
  absl::flat_hash_set<uint32_t> present_;                     // participants
  absl::flat_hash_set<std::pair<uint32_t, uint64_t>> named_;  // participant, slot
  absl::flat_hash_map<Ref, Share> in_slot_;
};

}  // namespace

AuditReport AuditSegment(const Context& context) { return Auditor(context).Run(); }

}  // namespace kill9::slot_ring

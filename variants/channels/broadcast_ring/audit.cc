// The audit of broadcast_ring: B1-B8 as code, over a quiet segment. What its chunks hold is of
// shared/chunk_audit.h.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "variants/channels/broadcast_ring/member.h"
#include "variants/channels/shared/chunk_audit.h"

namespace kill9::broadcast_ring {
namespace {

using chunks::Share;

class Auditor {
 public:
  explicit Auditor(const Context& context) : context_(context) {}

  AuditReport Run() {
    ReadLedgers();
    ReadSlots();
    CheckOrder();
    for (const uint32_t chunk : pinned_) HoldAllIn(chunk);
    chunks::ChunkAudit<Context>(context_, places_, present_, report_).Run();
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
      const auto pins = [&](const SharedWord& word) {
        const uint64_t value = Load(word);
        if (value == 0) return;
        if (free) Violation("P3", "the ledger of a free participant slot is not empty", i);
        if (chunks::Named(value) - 1 < context_.chunk_count()) {
          pinned_.insert(chunks::Named(value) - 1);
        } else {
          Violation("B5", "a ledger names no chunk", i);
        }
      };
      pins(ledger.receiving);
      for (const SharedWord& word : ledger.pinned) pins(word);
      if (free && Load(ledger.role) != 0) {
        Violation("P3", "the ledger of a free participant slot is not empty", i);
      }
    }
  }

  void ReadSlots() {
    for (uint64_t number = 0; number < context_.slot_count(); ++number) {
      const Slot slot = context_.codec().Unpack(Load(context_.slot(number)));
      slots_.push_back(slot);
      if (slot.laps != 0) {
        tail_ = std::max(tail_, context_.codec().LastFilled(number, slot.laps) + 1);
      }
      if (!slot.full) continue;
      if (slot.laps == 0 || slot.ref >= context_.granule_count()) {
        Violation("B4", "a slot's word names no message", number);
        continue;
      }
      if (!places_.insert({slot.ref, Share::kLive}).second) {
        ++report_.doubly_owned;
        Violation("B4", "two slots have one message", number);
      }
      const uint64_t position = context_.codec().LastFilled(number, slot.laps);
      if (Load(context_.record(slot.ref).position) != position + 1) {
        Violation("B4", "a message is in another's slot", number);
      }
      ++report_.entries;
    }
  }

  void CheckOrder() {
    const uint64_t slots = context_.slot_count();
    const auto slot_of = [&](uint64_t position) {
      return slots_[context_.codec().NumberOf(position)];
    };
    // B1: the N positions before the tail are the last that their slots were filled with.
    uint64_t oldest = tail_;
    bool gone = false;
    for (uint64_t ago = 1; ago <= std::min(slots, tail_); ++ago) {
      const uint64_t position = tail_ - ago;
      const Slot slot = slot_of(position);
      if (slot.laps != context_.codec().LapsWith(position)) {
        Violation("B1", "a position before the tail is not filled", position);
        return;
      }
      if (slot.full && gone)
        Violation("B2", "a message is there before one that is gone", position);
      gone |= !slot.full;
      if (slot.full) oldest = position;
    }
    if (slot_of(tail_).full) Violation("B3", "the message of the tail's slot is there", tail_);
    for (uint64_t number = 0; number < slots; ++number) {
      if (slots_[number].closed && number != context_.codec().NumberOf(tail_)) {
        Violation("B7", "a slot other than the tail's is closed", number);
      }
    }
    const uint64_t tail_hint = Load(context_.header().tail_hint);
    const uint64_t oldest_hint = Load(context_.header().oldest_hint);
    if (tail_hint > tail_) Violation("B8", "the tail's hint is beyond it", tail_hint);
    if (oldest_hint > oldest) Violation("B8", "the hint is beyond the oldest message", oldest_hint);
  }

  // A pin keeps a whole chunk: all in it is held, what is there for others as well.
  void HoldAllIn(uint32_t number) {
    const Chunk& chunk = context_.chunk(number);
    const chunks::ChunkWord word{Load(chunk.word)};
    if (word.kind() != chunks::ChunkKind::kOwned && word.kind() != chunks::ChunkKind::kRetired) {
      return;
    }
    const uint64_t end = std::min<uint64_t>(Load(chunk.end), context_.chunk_granules());
    for (uint64_t at = 0; at < end;) {
      const Ref ref = context_.FirstOf(number) + static_cast<Ref>(at);
      if (!context_.IsDraft(ref)) places_.insert_or_assign(ref, Share::kHeld);
      at += Context::GranulesFor(std::min(context_.bytes_of(ref), uint64_t{1} << 40));
    }
  }

  const Context& context_;
  AuditReport report_;
  std::vector<Slot> slots_;
  uint64_t tail_ = 0;
  absl::flat_hash_set<uint32_t> present_;  // participants
  absl::flat_hash_set<uint32_t> pinned_;   // chunks
  absl::flat_hash_map<Ref, Share> places_;
};

}  // namespace

AuditReport AuditSegment(const Context& context) { return Auditor(context).Run(); }

}  // namespace kill9::broadcast_ring

// The audit of sender_lanes: L1-L9 as code, over a quiet segment. What its chunks hold is of
// shared/chunk_audit.h.
#include <algorithm>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "variants/channels/sender_lanes/sender_lanes.h"
#include "variants/channels/shared/chunk_audit.h"

namespace kill9::sender_lanes {
namespace {

using chunks::Share;

class Auditor {
 public:
  explicit Auditor(const Context& context) : context_(context) {}

  AuditReport Run() {
    ReadLedgers();
    for (uint32_t lane = 0; lane < context_.lane_count(); ++lane) {
      ReadTaken(lane);
      ReadFresh(lane);
      CheckOrder(lane);
    }
    chunks::ChunkAudit<Context>(context_, in_lane_, present_, report_).Run();
    return std::move(report_);
  }

 private:
  void Violation(std::string_view invariant, std::string_view what, uint64_t where) {
    report_.AddViolation(invariant, what, where);
  }
  // Relaxed, all loads: the segment is quiet.
  static uint64_t Load(const SharedWord& word) { return word.load(std::memory_order_relaxed); }
  Range RangeIn(uint64_t slot) const { return context_.Load(slot, std::memory_order_relaxed); }

  void ReadLedgers() {
    const ParticipantTable& table = context_.participants();
    for (uint32_t i = 0; i < table.size(); ++i) {
      const bool free = table.state(i) == ParticipantState::kFree;
      if (!free) {
        ++report_.participants;
        present_.insert(i);
      }
      const Ledger& ledger = context_.ledger_of(i);
      const auto check = [&](uint64_t word) {
        if (free && word != 0) {
          Violation("P3", "the ledger of a free participant slot is not empty", i);
        }
        return word != 0;
      };
      const auto name = [&](const SharedWord& word) {
        if (!check(Load(word))) return;
        const RangeName range = RangeName::Unpack(chunks::Named(Load(word)));
        for (uint64_t at = 0; at < range.extent; ++at) named_.insert({i, range.slot + at});
      };
      check(Load(ledger.role));
      name(ledger.receiving);
      for (const SharedWord& word : ledger.taken) name(word);
      for (const SharedWord& word : ledger.batch) name(word);
    }
  }

  // Whether the message in the slot is that of the very place, and not of an earlier lap.
  bool IsAt(uint64_t slot, const Place& place) const {
    const Ref ref = context_.entry(slot).ref();
    return ref < context_.granule_count() && Load(context_.record(ref).place) == place.Pack();
  }

  void AddMessage(uint64_t slot, Share share) {
    const Ref ref = context_.entry(slot).ref();
    if (ref >= context_.granule_count()) {
      Violation("L1", "an entry names no message", slot);
      return;
    }
    if (!in_lane_.insert({ref, share}).second) {
      ++report_.doubly_owned;
      Violation("L1", "two slots have one message", slot);
    }
    const Place place = Place::Unpack(Load(context_.record(ref).place));
    if (place.lane != context_.LaneOf(slot) ||
        context_.SlotOf(place.lane, place.position) != slot) {
      Violation("L1", "a message is in another's slot", slot);
    }
    if (context_.bytes_of(ref) != context_.entry(slot).bytes()) {
      Violation("L1", "a message's entry and its record say two sizes", slot);
    }
    occupied_.insert(slot);
    ++report_.entries;
  }

  void ReadTaken(uint32_t lane) {
    const uint64_t first = context_.FirstSlotOf(lane);
    for (uint64_t slot = first; slot < first + context_.lane_slots(); ++slot) {
      const Range range = RangeIn(slot);
      if (range.kind == RangeKind::kGone) continue;
      if (range.kind == RangeKind::kReturned) {
        if (Load(context_.lane(lane).returns) == 0) {
          Violation("L5", "what came back was not counted", slot);
        }
        if (range.extent != 1 || !range.redelivered()) {
          Violation("L3", "what came back is not one message, or not marked", slot);
        }
        AddMessage(slot, Share::kLive);
        continue;
      }
      if (range.kind != RangeKind::kTaken || range.extent > context_.SlotsToEnd(slot)) {
        Violation("L3", "a slot's word says what cannot be", slot);
        continue;
      }
      for (uint64_t at = slot; at < slot + range.extent; ++at) {
        const bool named = present_.contains(range.owner) && named_.contains({range.owner, at});
        if (!named) {
          Violation("L4", "a message is taken by a participant that does not name it", at);
        }
        if (at != slot && RangeIn(at).kind != RangeKind::kGone) {
          Violation("L3", "the word within a taken range is of another", at);
        }
        AddMessage(at, named ? Share::kHeld : Share::kLeaked);
      }
    }
  }

  // Nobody has taken them: their records name the very position.
  void ReadFresh(uint32_t lane) {
    context_.Walk(lane, [&](uint64_t position, bool is_fresh) {
      if (!is_fresh) return;
      const uint64_t slot = context_.SlotOf(lane, position);
      AddMessage(slot, Share::kLive);
      if (!IsAt(slot, {lane, position})) {
        Violation("L1", "a message is at another's position", position);
      }
    });
  }

  void CheckOrder(uint32_t lane) {
    const Lane& shared = context_.lane(lane);
    const uint64_t tail = context_.TailOf(lane);
    if (Load(shared.head_hint) > tail) Violation("L8", "a head's hint is beyond the tail", lane);
    // L2: none is taken behind one that nobody has taken.
    bool after_fresh = false;
    context_.Walk(lane, [&](uint64_t position, bool is_fresh) {
      const uint64_t slot = context_.SlotOf(lane, position);
      if (after_fresh && !is_fresh && occupied_.contains(slot) && IsAt(slot, {lane, position})) {
        Violation("L2", "a message was taken before an older one of its lane", position);
      }
      after_fresh |= is_fresh;
    });
    // L6: what is free holds nothing.
    const uint64_t begin = Load(shared.free_range) >> 9;
    const uint64_t end = begin + (Load(shared.free_range) & kMostFreeRange);
    for (uint64_t at = std::max(begin, tail); begin <= tail && at < end; ++at) {
      if (occupied_.contains(context_.SlotOf(lane, at))) {
        Violation("L6", "a position that is said to be free holds a message", at);
      }
    }
    const bool closed = (Load(shared.tail) & 1) != 0;
    if (closed && Load(context_.header().closed) == 0) {
      Violation("L9", "a lane is closed and the channel is not", lane);
    }
  }

  const Context& context_;
  AuditReport report_;
  absl::flat_hash_set<uint32_t> present_;                     // participants
  absl::flat_hash_set<std::pair<uint32_t, uint64_t>> named_;  // participant, slot
  absl::flat_hash_map<Ref, Share> in_lane_;
  absl::flat_hash_set<uint64_t> occupied_;  // slots
};

}  // namespace

AuditReport AuditSegment(const Context& context) { return Auditor(context).Run(); }

}  // namespace kill9::sender_lanes

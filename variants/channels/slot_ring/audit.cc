// The audit of slot_ring: R1-R9 as code, over a quiet segment, and the account of every chunk.
//
// Nothing is counted while the channel works, so nothing can have drifted: all is derived here. Of
// the account a block is a message, or what a chunk has beside its messages:
//
//   live    a message that waits in a slot,
//   held    one that a member has taken, or has not sent yet,
//   free    what is gone, or was never there: whoever owns the chunk, or takes it over, will use
//   it, leaked  none of these.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9::slot_ring {
namespace {

class Auditor {
 public:
  explicit Auditor(const Context& context) : context_(context) {}

  AuditReport Run() {
    ReadLedgers();
    ReadSlots();
    CheckOrder();
    report_.capacity.bytes = context_.slot_count() * kGranuleBytes;
    for (uint32_t number = 0; number < context_.chunk_count();) number += WalkChunk(number);
    CheckAccount();
    return std::move(report_);
  }

 private:
  enum class Share : uint8_t { kFree, kLive, kHeld, kLeaked };

  void Violation(std::string_view invariant, std::string_view what, uint64_t where) {
    constexpr size_t kEnough = 100;
    if (report_.violations.size() < kEnough) {
      report_.violations.push_back(
          absl::StrCat(std::string(invariant), ": ", std::string(what), " (", where, ")"));
    }
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
      for (const SharedWord& word : ledger.taken) name(Load(word), Context::Named(Load(word)) - 1);
      name(Load(ledger.receiving), Context::Named(Load(ledger.receiving)) - 1);
      name(Load(ledger.role), ~uint64_t{0});
      const uint64_t first = Load(ledger.batch_first);
      const uint64_t count = Load(ledger.batch_count);
      name(first, ~uint64_t{0});
      name(count, ~uint64_t{0});
      if (first == 0 || count == 0) continue;
      const uint64_t row = std::min<uint64_t>(Context::Named(count), context_.slot_count());
      for (uint64_t at = 0; at < row; ++at) {
        named_.insert({i, (Context::Named(first) - 1 + at) % context_.slot_count()});
      }
    }
  }

  void ReadSlots() {
    for (uint64_t number = 0; number < context_.slot_count(); ++number) {
      const Slot slot = context_.codec().Unpack(Load(context_.slot(number)));
      slots_.push_back(slot);
      if (slot.kind == SlotKind::kEmpty) continue;
      if (static_cast<uint32_t>(slot.kind) > 2 || slot.ref >= context_.slot_count()) {
        Violation("R3", "a slot's word names no message", number);
        continue;
      }
      if (!in_slot_.insert({slot.ref, slot.kind}).second) {
        ++report_.doubly_owned;
        Violation("R3", "two slots have one message", number);
      }
      const uint64_t position = Load(context_.record(slot.ref).position) - 1;
      if (position % context_.slot_count() != number) {
        Violation("R3", "a message is in another's slot", number);
      }
      ++report_.entries;
      if (slot.kind == SlotKind::kFull) {
        if (slot.redelivered() && Load(context_.region(Context::RegionOf(number))) == 0) {
          Violation("R5", "what came back was not counted", number);
        }
      } else if (!present_.contains(slot.owner) || !named_.contains({slot.owner, number})) {
        Violation("R4", "a message is taken by a participant that does not name it", number);
        lost_.insert(slot.ref);
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
      const bool own_lap = slot.lap == lap_of(position);
      if (waits && own_lap && slot.kind == SlotKind::kTaken && !slot.redelivered()) {
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

  bool IsDone(const Slot& slot, uint64_t lap) const {
    const int64_t ahead = context_.codec().LapsAhead(slot.lap, lap);
    return ahead > 0 || (ahead == 0 && slot.kind != SlotKind::kEmpty);
  }

  void Account(Share share, uint64_t granules) {
    if (granules == 0) return;
    AuditReport::Account* accounts[] = {&report_.free, &report_.live, &report_.held,
                                        &report_.leaked};
    AuditReport::Account& account = *accounts[static_cast<size_t>(share)];
    ++account.blocks;
    account.bytes += granules * kGranuleBytes;
    ++report_.capacity.blocks;
  }

  // The messages of a chunk or span, and what is beside them. `drafts`: what those are that were
  // not sent yet; `rest`: what is gone.
  void WalkMessages(uint32_t number, uint64_t granules, Share drafts, Share rest) {
    uint64_t end = Load(context_.chunk(number).end);
    if (end > granules) {
      Violation("R7", "a chunk's messages end beyond it", number);
      end = granules;
    }
    uint64_t at = 0;
    while (at < end) {
      const Ref ref = context_.FirstOf(number) + static_cast<Ref>(at);
      const uint64_t size =
          Context::GranulesFor(std::min(Load(context_.record(ref).size), uint64_t{1} << 40));
      if (size > granules - at) {
        Violation("R7", "a message ends beyond its chunk", ref);
        break;
      }
      const auto found = in_slot_.find(ref);
      if (found == in_slot_.end()) {
        Account(Load(context_.record(ref).position) == 0 ? drafts : rest, size);
      } else {
        Account(lost_.contains(ref)                ? Share::kLeaked
                : found->second == SlotKind::kFull ? Share::kLive
                                                   : Share::kHeld,
                size);
        ++visited_;
      }
      at += size;
    }
    Account(rest, granules - at);
  }

  // Returns the number of chunks that belong together.
  uint32_t WalkChunk(uint32_t number) {
    const Chunk& chunk = context_.chunk(number);
    const ChunkWord word{Load(chunk.word)};
    const uint64_t span =
        std::clamp<uint64_t>(Load(chunk.span), 1, context_.chunk_count() - number);
    switch (word.kind()) {
      case ChunkKind::kFree:
        if (Load(chunk.end) != 0 || Load(chunk.span) != 0) {
          Violation("R7", "a free chunk has messages", number);
        }
        Account(Share::kFree, context_.chunk_granules());
        return 1;
      case ChunkKind::kBody:  // met only where no head reaches it
        Violation("R7", "a chunk is the body of no span", number);
        Account(Share::kLeaked, context_.chunk_granules());
        return 1;
      case ChunkKind::kOwned:
      case ChunkKind::kRetired:
        break;
    }
    const bool owned = word.kind() == ChunkKind::kOwned;
    const bool lost = owned && !present_.contains(word.argument());
    if (lost) Violation("R7", "a chunk is owned by nobody who is there", number);
    // A span that is half built, or half freed: its bodies end early.
    uint32_t reached = 1;
    while (reached < span &&
           ChunkWord{Load(context_.chunk(number + reached).word)}.IsBodyOf(number)) {
      ++reached;
    }
    WalkMessages(number, uint64_t{reached} * context_.chunk_granules(),
                 owned ? Share::kHeld : Share::kFree, lost ? Share::kLeaked : Share::kFree);
    return reached;
  }

  void CheckAccount() {
    if (visited_ != in_slot_.size()) {
      Violation("R3", "a slot has a message that no chunk has", in_slot_.size() - visited_);
    }
    const uint64_t bytes =
        report_.free.bytes + report_.live.bytes + report_.held.bytes + report_.leaked.bytes;
    if (bytes != report_.capacity.bytes) {
      Violation("R7", "the chunks do not add up to the space", bytes);
    }
  }

  const Context& context_;
  AuditReport report_;
  std::vector<Slot> slots_;
  absl::flat_hash_set<uint32_t> present_;                     // participants
  absl::flat_hash_set<std::pair<uint32_t, uint64_t>> named_;  // participant, slot
  absl::flat_hash_map<Ref, SlotKind> in_slot_;
  absl::flat_hash_set<Ref> lost_;  // taken by nobody who could give it back
  uint64_t visited_ = 0;           // of in_slot_
};

}  // namespace

AuditReport AuditSegment(const Context& context) { return Auditor(context).Run(); }

}  // namespace kill9::slot_ring

// The audit of a size_class_heap: U1, U2 and U4 as code, and the account of every byte. Nothing is
// counted while the heap works, so nothing can have drifted: all is derived here.
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "variants/heaps/size_class_heap/space.h"

namespace kill9::size_class_heap {
namespace {

class Audit {
 public:
  explicit Audit(const Space& space) : space_(space), holdings_(kMostParticipants) {}

  HeapAccount Run() {
    AuditReport& report = account_.report;
    account_.room_bytes = space_.room_bytes();
    const ParticipantTable& table = space_.participants();
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      report.participants += IsThere(slot) ? 1 : 0;
    }
    for (uint32_t number = 0; number < space_.unit_count();) number += AddUnit(number);
    report.capacity = {
        report.free.blocks + report.live.blocks + report.held.blocks + report.leaked.blocks,
        report.free.bytes + report.live.bytes + report.held.bytes + report.leaked.bytes +
            span_bytes_};
    // What a span has beside its blocks is of no use to anybody else: with the first block.
    report.free.bytes += span_bytes_;
    account_.header_bytes += span_bytes_;
    if (report.capacity.bytes != account_.room_bytes) {
      Violate("U1", "the units do not add up to the room", report.capacity.bytes);
    }
    for (uint32_t slot = 0; slot < kMostParticipants; ++slot) {
      Holding& holding = holdings_[slot];
      if (holding.blocks + holding.reserved_blocks == 0) continue;
      holding.owner = {slot, slot < table.size() ? table.generation(slot) : 0};
      account_.holdings.push_back(holding);
    }
    return std::move(account_);
  }

 private:
  // Relaxed: the heap is quiet.
  static uint64_t Load(const SharedWord& word) { return word.load(std::memory_order_relaxed); }
  bool IsThere(uint32_t slot) const {
    if (slot >= space_.participants().size()) return false;
    const ParticipantState state = space_.participants().state(slot);
    return state == ParticipantState::kInUse || state == ParticipantState::kDead;
  }
  void Violate(std::string_view invariant, std::string_view what, uint64_t where) {
    account_.report.AddViolation(invariant, what, where);
  }
  static void Add(AuditReport::Account& account, uint64_t bytes) {
    ++account.blocks;
    account.bytes += bytes;
  }

  // Returns how many units belong together.
  uint32_t AddUnit(uint32_t number) {
    const UnitWord word = space_.WordOf(number);
    const uint64_t bytes = space_.unit_bytes();
    switch (word.kind()) {
      case UnitKind::kFree:
        if (Load(space_.unit(number).units) != 0) Violate("U1", "a free unit has a span", number);
        Add(account_.report.free, bytes);
        account_.free_bytes += bytes;
        return 1;
      case UnitKind::kClaimed:
        // Of one that died there; nobody else's.
        Add(IsThere(word.argument()) ? account_.report.held : account_.report.leaked, bytes);
        account_.header_bytes += bytes;
        return 1;
      case UnitKind::kSpan:
      case UnitKind::kClosing:
        if (word.size_class() < space_.classes().count() || word.size_class() == Classes::kLarge) {
          return AddSpan(number, word);
        }
        break;
      case UnitKind::kBody:  // met only where no head reaches it
        if (IsThere(space_.WordOf(word.argument() % space_.unit_count()).argument()) &&
            space_.WordOf(word.argument() % space_.unit_count()).kind() == UnitKind::kClaimed) {
          Add(account_.report.held, bytes);
          account_.header_bytes += bytes;
          return 1;
        }
        break;
    }
    Violate("U1", "a unit belongs to nothing", number);
    Add(account_.report.leaked, bytes);
    return 1;
  }

  uint32_t AddSpan(uint32_t head, UnitWord word) {
    const uint64_t units = space_.UnitsOf(head);
    for (uint64_t i = 1; i < units; ++i) {
      if (!space_.WordOf(head + static_cast<uint32_t>(i)).Is(UnitKind::kBody, head)) {
        Violate("U1", "a span's unit is not its body", head + i);
        ++account_.report.doubly_owned;
      }
    }
    const Space::Span span = space_.SpanOf(head, word);
    if (units == 0 || span.blocks() == 0) {
      Violate("U1", "a span has no block", head);
      Add(account_.report.leaked, space_.unit_bytes());
      return 1;
    }
    uint64_t rest = units * space_.unit_bytes();
    for (uint64_t i = 0; i < span.blocks(); ++i) {
      const Place place = span.At(i);
      AddBlock(place);
      rest -= place.slot_bytes + sizeof(BlockWords);
    }
    span_bytes_ += rest;
    return static_cast<uint32_t>(units);
  }

  void AddBlock(const Place& place) {
    const uint64_t owners = Load(place.words->owners);
    const uint64_t generation = Load(place.words->generation);
    const uint64_t size_kind = Load(place.words->size_kind);
    const uint64_t whole = place.slot_bytes + sizeof(BlockWords);
    AuditReport& report = account_.report;
    if (owners == 0) {
      if (generation != 0) Violate("U4", "a free block has a handle", place.data);
      Add(report.free, whole);
      account_.free_bytes += whole;
      return;
    }
    const bool live = generation != 0;
    const bool reserved = !live && (size_kind & 1) == BlockWords::kReserved;
    const uint64_t bytes = live || reserved ? size_kind >> 1 : 0;
    if (bytes > place.slot_bytes) {
      Violate("U4", "a block has more bytes than room", place.data);
      Add(report.leaked, whole);
      return;
    }
    Add(live ? report.live : report.held, whole);
    (live ? account_.live_bytes : account_.reserved_bytes) += bytes;
    account_.header_bytes += sizeof(BlockWords);
    account_.rounding_bytes += place.slot_bytes - bytes;
    report.entries += live ? 1 : 0;
    if (live && !generations_.insert(generation).second) {
      Violate("U4", "a generation was given twice", place.data);
    }
    for (uint32_t slot = 0; slot < kMostParticipants; ++slot) {
      if ((owners >> slot & 1) == 0) continue;
      if (!CanHold(slot)) Violate("U2", "a block is owned by nobody who is there", place.data);
      AddHold(holdings_[slot], live, bytes, (owners & (owners - 1)) != 0);
    }
  }
  bool CanHold(uint32_t slot) const {
    const ParticipantTable& table = space_.participants();
    if (slot >= table.size()) return false;
    // What a recovery that ended early has not come to.
    if (table.state(slot) == ParticipantState::kDead) return true;
    return table.state(slot) == ParticipantState::kInUse &&
           Load(space_.ledger(slot).member) == Ledger::MemberWord(table.generation(slot));
  }
  void AddHold(Holding& holding, bool live, uint64_t bytes, bool shared) {
    if (!live) {
      ++holding.reserved_blocks;
      holding.reserved_bytes += bytes;
      return;
    }
    ++holding.blocks;
    holding.bytes += bytes;
    holding.shared_blocks += shared ? 1 : 0;
    ++account_.holds;
  }

  const Space& space_;
  HeapAccount account_;
  std::vector<Holding> holdings_;  // by slot
  absl::flat_hash_set<uint64_t> generations_;
  uint64_t span_bytes_ = 0;  // of spans, beside their blocks
};

}  // namespace

HeapAccount Space::Account() const { return Audit(*this).Run(); }

}  // namespace kill9::size_class_heap

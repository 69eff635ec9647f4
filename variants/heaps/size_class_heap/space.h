// A process's view of a size_class_heap's segment, and what is done with its spans and blocks on
// behalf of any participant, living or dead.
#ifndef KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_SPACE_H_
#define KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_SPACE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/heap.h"
#include "variants/heaps/size_class_heap/classes.h"
#include "variants/heaps/size_class_heap/layout.h"
#include "variants/segment.h"

namespace kill9::size_class_heap {

// Where a block is. `head`: the unit at which its span begins.
struct Place {
  uint32_t head = 0;
  uint32_t size_class = 0;
  uint64_t index = 0;
  BlockWords* words = nullptr;  // null: there is no such block
  uint64_t slot_bytes = 0;      // the most that it can have
  uint64_t data = 0;            // offset of its first byte
};

class Space {
 public:
  static absl::Status Format(Segment& segment, SegmentHeader& header);
  // kDataLoss if the header's parameters contradict the segment's size.
  static absl::Status Check(const Segment& segment);
  // `participant`: who acts.
  Space(std::shared_ptr<Segment> segment, const Participant& participant);

  HeapHeader& header() const { return *header_; }
  const std::shared_ptr<Segment>& segment() const { return segment_; }
  const ParticipantTable& participants() const { return participants_; }
  Ledger& ledger(uint32_t slot) const { return participants_.ledger_as<Ledger>(slot); }
  Ledger& own_ledger() const { return *own_ledger_; }
  SleepersPage& sleepers_page() const { return *sleepers_page_; }
  const Classes& classes() const { return classes_; }
  uint32_t unit_count() const { return unit_count_; }
  uint64_t unit_bytes() const { return uint64_t{1} << unit_shift_; }
  uint64_t room_bytes() const { return room_bytes_; }
  uint64_t max_block_bytes() const { return room_bytes() - Classes::LargeOverhead(); }
  uint32_t index() const { return index_; }
  uint64_t Bit() const { return bit_; }
  Unit& unit(uint32_t number) const { return units_[number]; }
  UnitWord WordOf(uint32_t number) const {
    // Seq_cst: with the store of a ledger's `span` before it (U5).
    return {units_[number].word.load(std::memory_order_seq_cst)};
  }
  // Of a head: as `units` says, but no more than there are.
  uint64_t UnitsOf(uint32_t head) const {
    // Acquire: pairs with the store of MakeSpan.
    const uint64_t units = units_[head].units.load(std::memory_order_acquire) & kUnitsMask;
    return units <= unit_count_ - head ? units : unit_count_ - head;
  }
  char* base() const { return base_; }

  struct Span {
    uint32_t head = 0;
    uint32_t size_class = 0;
    Classes::Shape shape;
    BlockWords* words = nullptr;  // of the first block
    uint64_t data = 0;            // offset of its first byte

    uint64_t blocks() const { return shape.blocks; }
    Place At(uint64_t index) const {
      return {head,          size_class,       index,
              words + index, shape.slot_bytes, data + index * shape.slot_bytes};
    }
  };
  // REQUIRES: the span is named, or the caller has a block in it; else the units may be another's.
  Span SpanOf(uint32_t head, UnitWord word) const { return SpanOf(head, word, UnitsOf(head)); }
  Span SpanOf(uint32_t head, UnitWord word, uint64_t units) const {
    const Classes::Shape shape = classes_.ShapeOf(word.size_class(), units);
    const uint64_t begin = room_begin_ + (uint64_t{head} << unit_shift_);
    return {head, word.size_class(), shape, reinterpret_cast<BlockWords*>(base_ + begin),
            begin + shape.data_begin};
  }
  // The block whose data begin there, whoever owns it.
  [[gnu::always_inline]] Place Find(uint64_t data_offset) const {
    const uint64_t at = data_offset - room_begin_;  // huge if it lies before the room
    if (at >= room_bytes()) return {};
    auto head = static_cast<uint32_t>(at >> unit_shift_);
    UnitWord word = WordOf(head);
    if (word.kind() == UnitKind::kBody) {
      head = word.argument();
      if (head >= unit_count_) return {};
      word = WordOf(head);
    }
    if (!word.is_span()) return {};
    const uint64_t units = UnitsOf(head);
    // They are of one span only if its word has not changed in between (U1).
    if (WordOf(head) != word) [[unlikely]]
      return FindAgain(data_offset);
    const Classes::Shape* const usual = classes_.UsualShape(word.size_class(), units);
    if (usual == nullptr) return FindIn(SpanOf(head, word, units), data_offset);
    // The same, without a copy of the shape.
    const uint64_t begin = room_begin_ + (uint64_t{head} << unit_shift_);
    if (data_offset < begin + usual->data_begin) return {};
    const uint64_t index = usual->IndexAt(data_offset - begin - usual->data_begin);
    if (index >= usual->blocks) return {};
    return {head,
            word.size_class(),
            index,
            reinterpret_cast<BlockWords*>(base_ + begin) + index,
            usual->slot_bytes,
            data_offset};
  }

  // Names a span, so that nobody unmakes it, for as long as it lives (U5).
  class SpanGuard {
   public:
    // `word`: what the head's was. The span may be none any more: is_span().
    SpanGuard(const Space& space, uint32_t head, UnitWord word) : named_(space.own_ledger().span) {
      // Seq_cst: with the load of WordOf, and with the loads of IsNamed (U5).
      named_.store(space.tag_ | (head + uint64_t{1}), std::memory_order_seq_cst);
      is_span_ = space.WordOf(head) == word;
    }
    // Of a block's owner, who is about to be none, and of who drops all that somebody owns. Whoever
    // closes the span meanwhile may have looked for names already, and would open it again if a
    // block were owned: it is opened here, and nobody is waited for.
    SpanGuard(Space& space, uint32_t head) : named_(space.own_ledger().span) {
      // Seq_cst: as above.
      named_.store(space.tag_ | (head + uint64_t{1}), std::memory_order_seq_cst);
      UnitWord word = space.WordOf(head);
      for (; word.kind() == UnitKind::kClosing; word = space.WordOf(head)) space.Reopen(head, word);
      is_span_ = word.kind() == UnitKind::kSpan;
      word_ = word;
    }
    // Release: what was done in the span comes before.
    ~SpanGuard() { named_.store(0, std::memory_order_release); }
    SpanGuard(const SpanGuard&) = delete;
    SpanGuard& operator=(const SpanGuard&) = delete;
    bool is_span() const { return is_span_; }
    // Of a guard that was given none: the head's.
    UnitWord word() const { return word_; }

   private:
    SharedWord& named_;
    bool is_span_;
    UnitWord word_ = {};
  };
  // For as long as it lives, this one may have taken what it gives back without a wake-up (U9).
  class LookGuard {
   public:
    explicit LookGuard(const Space& space) : looks_(space.own_ledger().looks) {
      // Relaxed: only this one writes it.
      const uint64_t word = looks_.load(std::memory_order_relaxed);
      if (word >> 32 == space.tag_ >> 32 && word % 2 != 0) return;  // within another
      end_ = space.tag_ | static_cast<uint32_t>((word | 1) + 1);
      // Seq_cst: before what is taken; with OthersLooks.
      looks_.store(space.tag_ | (word | 1) % (uint64_t{1} << 32), std::memory_order_seq_cst);
    }
    ~LookGuard() {
      // Release: pairs with OthersLooks; what was given back was told of before.
      if (end_ != 0) looks_.store(end_, std::memory_order_release);
    }
    LookGuard(const LookGuard&) = delete;
    LookGuard& operator=(const LookGuard&) = delete;

   private:
    SharedWord& looks_;
    uint64_t end_ = 0;
  };
  struct Looks {
    bool any = false;  // somebody looks
    uint64_t sum = 0;  // another, if somebody has looked since
  };
  Looks OthersLooks() const;
  // Names a slot, so that nobody takes it (U6). `number`: below Ledger::kTargets.
  void Name(uint32_t number, uint32_t slot) const {
    // Seq_cst: with the loads of IsTarget and of CanOwn (U6).
    own_ledger().targets[number].store(tag_ | (slot + uint64_t{1}), std::memory_order_seq_cst);
  }
  void Unname(uint32_t number) const {
    // Seq_cst: of two recoverers that end at once, one sees that the other has ended.
    own_ledger().targets[number].store(0, std::memory_order_seq_cst);
  }
  // Whether any participant names the slot; one that is dead and not recovered, too.
  bool IsTarget(uint32_t slot) const;
  // Whether the slot's owner is this one, and can be given blocks.
  bool CanOwn(ParticipantId id) const;

  // Takes these slots' bits off a block, and frees it if they were the last (U4). Whether it did.
  // REQUIRES: each slot is the caller's, or named (U6); the span is named, or the block is the
  // caller's.
  bool Drop(const Place& place, uint64_t slots);
  // The same of the caller's own bit, by a living participant that owns the block.
  bool LetGo(const Place& place) {
    BlockWords& words = *place.words;
    // Acquire: pairs with Drop of who was an owner, too: its use of the bytes comes before.
    if (words.owners.load(std::memory_order_acquire) != Bit()) [[unlikely]]
      return Drop(place, Bit());
    EndBlock(words);
    return true;
  }
  // The same, by its only owner.
  static void EndBlock(BlockWords& words) {
    // Nobody else writes to the words of a block while its only owner lives (U3, U6).
    // dies before -> the handle is valid, and the bit stands;  dies after -> the handle is not
    // Release: pairs with the loads of who looks twice at it (SizeClassHeap::OwnersOf).
    words.generation.store(0, std::memory_order_release);
    // dies before -> it is the dead one's;  dies after -> it is free
    // Release: pairs with the CAS of who allocates it: all use of it comes before. Who must not
    // miss it reads the hint first (U7).
    words.owners.store(0, std::memory_order_release);
  }
  // The same for all blocks; how many that freed.
  uint64_t DropAll(uint64_t slots);
  // After a block of it became free. `generation`: that no other call has, nor will have.
  void Hint(uint32_t head, uint64_t generation) {
    // Seq_cst: the block is free before it, `no_room` and `for_room` are looked at after it (U7).
    units_[head].hint.exchange(generation << 1 | 1, std::memory_order_seq_cst);
    TellOfRoom();
  }
  // The same, without a generation at hand.
  void Hint(uint32_t head) { Hint(head, TakeGenerations(1)); }
  // After something became free: who was refused must search again (U8).
  void TellOfRoom() const {
    // Seq_cst: after what became free, and with BeginSearch.
    uint64_t seen = header_->no_room.load(std::memory_order_seq_cst);
    // dies before -> its recovery tells of it. Its failure, relaxed: another told of it.
    if (seen % 2 != 0) [[unlikely]] {
      told_ += header_->no_room.compare_exchange_strong(seen, seen + 1, std::memory_order_seq_cst,
                                                        std::memory_order_relaxed);
    }
  }
  // How often this one has told of it, and no other did before it.
  uint64_t told() const { return told_; }
  // Before a search of all the heap. If it finds nothing, it is in vain as long as StillInVain.
  // Even: others free so much that nothing is known of it.
  uint64_t BeginSearch() const;
  bool StillInVain(uint64_t begun) const {
    // Seq_cst: after the announcement of who waits; with TellOfRoom.
    return begun % 2 != 0 && header_->no_room.load(std::memory_order_seq_cst) == begun;
  }
  // Whether others have told of room since a search began (U9). `told`: as it was then.
  bool HaveOthersTold(uint64_t begun, uint64_t told) const {
    // Seq_cst: after what this one has given back; with TellOfRoom.
    const uint64_t now = header_->no_room.load(std::memory_order_seq_cst);
    return begun % 2 == 0 || (now - begun + 1) / 2 > told_ - told;
  }

  // Makes a span. Its head is Claimed by the caller and has no blocks yet; Nullopt: no such row of
  // units is free.
  std::optional<uint32_t> ClaimRow(uint32_t units);
  // Makes the claimed row a span. `owner_of_first`: the owners of its first block.
  void MakeSpan(uint32_t head, uint32_t units, uint32_t size_class, uint64_t owner_of_first);
  // Makes the span's units free if none of its blocks is owned, and nobody names it. Whether it
  // did.
  bool TryUnmake(uint32_t head);
  // Of all spans; whether there were any.
  bool UnmakeEmpty();
  // Of a span that is closing.
  void Reopen(uint32_t head, UnitWord closing);

  // Calls `visit` for each head of a span, as long as it returns true.
  void ForEachSpan(absl::FunctionRef<bool(uint32_t head, UnitWord word)> visit) const;
  // The first of so many generations that nobody else gives.
  uint64_t TakeGenerations(uint64_t count) const;

  // `all_returned`: false if a slot stays dead, since somebody names it (U6), who may be about to
  // recover it.
  RecoveryReport RecoverDead(bool* all_returned = nullptr);
  HeapAccount Account() const;

 private:
  static Place FindIn(const Span& span, uint64_t data_offset);
  Place FindAgain(uint64_t data_offset) const;
  bool IsNamed(uint32_t head) const;
  // Makes a claimed unit, and the bodies that belong to it, free. `word`: what its word was.
  void FreeClaimed(uint32_t head, UnitWord word);
  // One pass over the dead. False: a slot stays dead.
  bool RecoverOnce(RecoveryReport& report);
  void RecoverUnits(uint32_t slot, uint32_t generation);
  uint64_t RecoverBlocks(uint32_t slot, uint32_t generation);
  bool ChangeWord(uint32_t number, UnitWord from, UnitWord to) {
    // Seq_cst: who closes a span looks for names after it (U5). As a release it pairs with the
    // loads of WordOf: what a span has been made of comes before. Its failure, relaxed: nothing is
    // read by it.
    return units_[number].word.compare_exchange_strong(
        from.bits, to.bits, std::memory_order_seq_cst, std::memory_order_relaxed);
  }
  bool HasOwnedBlock(uint32_t head, UnitWord word) const;
  // DropAll in one span, if it is one.
  void DropInSpan(uint32_t head, uint64_t slots, uint64_t* freed);
  bool StillDead(uint32_t slot, uint32_t generation) const {
    return participants_.state(slot) == ParticipantState::kDead &&
           participants_.generation(slot) == generation;
  }

  std::shared_ptr<Segment> segment_;
  char* base_;
  HeapHeader* header_;
  Unit* units_;
  SleepersPage* sleepers_page_;
  ParticipantTable participants_;
  mutable uint64_t told_ = 0;
  uint32_t unit_shift_;  // a unit has 1 << unit_shift_ bytes
  uint32_t unit_count_;
  uint64_t room_bytes_;
  uint64_t room_begin_;
  Classes classes_;
  uint32_t index_;
  uint64_t bit_;
  Ledger* own_ledger_;
  uint64_t tag_;  // the participant's generation, in the high half
};

constexpr uint32_t GenerationIn(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
constexpr uint32_t Named(uint64_t word) { return static_cast<uint32_t>(word); }

}  // namespace kill9::size_class_heap

#endif  // KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_SPACE_H_

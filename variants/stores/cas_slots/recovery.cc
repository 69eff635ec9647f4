#include "variants/stores/cas_slots/recovery.h"

#include <algorithm>
#include <span>

namespace kill9::cas_slots {
namespace {

// One dead participant, as one recoverer sees it. Every word of its ledger goes through the same
// steps: read it; do what it asks for, each change a CAS from a state that was read while the word
// still stood; then clear the word. Whoever comes later finds the change done, or the word cleared.
class Victim {
 public:
  Victim(const Context& context, uint32_t index, uint32_t generation, RecoveryReport& report)
      : context_(context),
        own_(context.ledger()),
        ledger_(context.ledger_of(index)),
        index_(index),
        generation_(generation),
        report_(report) {}

  void Recover();

 private:
  // What the word names, if it is the victim's; else 0 (cleared, or the slot has a new owner).
  uint64_t Read(const SharedWord& word) const {
    // Seq_cst: the load of Dekker's algorithm where a hold was published before it. Acquire: pairs
    // with Note (made visible by the death's own order, MarkIfDead).
    uint64_t value = word.load(std::memory_order_seq_cst);
    return Context::GenerationIn(value) == generation_ ? value : 0;
  }
  bool StillDead() const {
    return context_.participants().state(index_) == ParticipantState::kDead &&
           context_.participants().generation(index_) == generation_;
  }
  // The generation in the word makes the CAS fail if the slot has a new owner.
  static void ClearIf(SharedWord& word, uint64_t value) {
    if (value == 0) return;
    // Release: what was done for the word comes before. [spare release: another recoverer that
    // finds other words as they were changes nothing by it: its updates expect what is there now]
    word.compare_exchange_strong(value, 0, std::memory_order_release, std::memory_order_relaxed);
  }
  void Forget(SharedWord& word) { ClearIf(word, Read(word)); }

  void ReturnPages();
  void ReturnPage(uint32_t number, uint64_t name);
  void StopDraining(Ref ref, const SharedWord& word, uint64_t name);
  bool ReturnNamed(SharedWord& word, Ref ref, uint64_t value, uint64_t target);
  bool ReturnBlock(SharedWord& word, uint64_t target);
  void ReturnPin(size_t number);
  BlockHeader* Genuine(Ref ref);
  bool Reachable(uint64_t slot, Ref ref);

  const Context& context_;
  Ledger& own_;
  Ledger& ledger_;
  const uint32_t index_;
  const uint32_t generation_;
  RecoveryReport& report_;
};

void Victim::Recover() {
  ReturnPages();
  // Read before the words that it gives a meaning to, and cleared after them: who finds it cleared
  // finds them cleared as well.
  const uint64_t target = Read(ledger_.target);
  bool undone = ReturnBlock(ledger_.scratch, 0);  // never of the target: it may be anybody's
  for (SharedWord* word : {&ledger_.new_entry, &ledger_.new_node}) {
    undone |= ReturnBlock(*word, target);
  }
  bool completed = false;
  for (SharedWord* word : {&ledger_.entry_hold, &ledger_.node_hold}) {
    if (target != 0) {
      completed |= ReturnBlock(*word, target);
    } else {
      Forget(*word);  // a mere reader's
    }
  }
  for (SharedWord& word : ledger_.drafts) undone |= ReturnBlock(word, 0);
  ClearIf(ledger_.target, target);
  report_.rolled_back += undone && !completed ? 1 : 0;
  report_.rolled_forward += completed ? 1 : 0;
  // Read before the cache's words and cleared after them, as the target is.
  const uint64_t cache_end = Read(ledger_.cache_end);
  for (SharedWord& word :
       std::span(ledger_.cache, std::min<size_t>(Context::Named(cache_end), kCached))) {
    if (uint64_t name = Read(word); name != 0) {
      StopDraining(Context::Named(name), word, name);
      context_.Hint(Context::Named(name));  // I4
      ClearIf(word, name);
    }
  }
  ClearIf(ledger_.cache_end, cache_end);
  for (size_t i = 0; i < kPins; ++i) ReturnPin(i);
  Forget(ledger_.recovery_hold);
  Forget(ledger_.recovery_node);
  if (context_.participants().MarkRecovered(index_, generation_)) ++report_.participants;
}

void Victim::ReturnPages() {
  const uint64_t start_name = Read(ledger_.page_start);
  const uint64_t count_name = Read(ledger_.page_count);
  if (start_name != 0 && count_name != 0) {
    const uint32_t start = Context::Named(start_name) - 1;
    const uint32_t count = Context::Named(count_name);
    const bool damaged = start >= context_.page_count() || count > context_.page_count() - start;
    // A span that was just built: its block may be Owned(victim).
    if (!damaged) ReturnNamed(ledger_.page_start, Context::FirstOf(start), start_name, 0);
    for (uint32_t i = damaged ? 0 : count; i-- > 0;) ReturnPage(start + i, start_name);
    ClearIf(ledger_.page_start, start_name);
  }
  ClearIf(ledger_.page_count, count_name);
}

// A head comes after its bodies, so that they can be told by it.
void Victim::ReturnPage(uint32_t number, uint64_t name) {
  SharedWord& shared = context_.page(number).word;
  for (;;) {
    // Acquire: pairs with the releases of page words.
    PageWord word = context_.Checked(number, PageWord{shared.load(std::memory_order_acquire)});
    PageWord next;
    if (word.OwnedBy(index_)) {
      next = word.Next(PageKind::kFree);
    } else if (word.DrainingBy(index_) || word.kind() == PageKind::kSpanDraining) {
      next = word.NextNotDraining();  // a span that another drains merely stays one
    } else if (word.kind() == PageKind::kSpanBody &&
               PageWord{context_.page(word.argument()).word.load(std::memory_order_acquire)}
                   .OwnedBy(index_)) {
      // The head is the victim's now, hence since before its death; so this body, read before, is
      // its too.
      next = word.Next(PageKind::kFree);
    } else {
      return;
    }
    // The word was read while the victim was not yet recovered, so Owned and Draining are this
    // victim's.
    if (Read(ledger_.page_start) != name || !StillDead()) return;
    // Release: pairs with the acquire of ClaimPages. Its failure: another recoverer was first.
    if (shared.compare_exchange_strong(word.bits, next.bits, std::memory_order_release,
                                       std::memory_order_relaxed)) {
      return;
    }
  }
}

// Of a span that the victim's cache names (I6). If another participant drains it, it merely stays a
// span.
void Victim::StopDraining(Ref ref, const SharedWord& word, uint64_t name) {
  if (!context_.IsPlace(ref)) return;
  const uint32_t number = Context::PageOf(ref);
  SharedWord& shared = context_.page(number).word;
  // Acquire: as in ReturnPage.
  PageWord page = context_.Checked(number, PageWord{shared.load(std::memory_order_acquire)});
  if (page.kind() != PageKind::kSpanDraining || Read(word) != name || !StillDead()) return;
  // Release: as in ReturnPage. If it fails, it drains for somebody else.
  shared.compare_exchange_strong(page.bits, page.NextNotDraining().bits, std::memory_order_release,
                                 std::memory_order_relaxed);
}

bool Victim::ReturnBlock(SharedWord& word, uint64_t target) {
  const uint64_t value = Read(word);
  if (value == 0) return false;
  bool freed = ReturnNamed(word, Context::Named(value), value, target);
  ClearIf(word, value);
  return freed;
}

// Frees the block if the victim owned it, or if it is Live but no longer reachable (I3). ENSURES:
// if it is Free, it is hinted. Returns whether this call freed it. Dies at any instruction → `word`
// still stands, and the next recoverer finds the block as it is now.
bool Victim::ReturnNamed(SharedWord& word, Ref ref, uint64_t value, uint64_t target) {
  context_.Publish(own_.recovery_hold, ref);
  bool freed = false;
  if (Read(word) == value && StillDead()) {
    while (BlockHeader* block = Genuine(ref)) {
      // Acquire: pairs with the releases of block states.
      BlockState state{block->state.load(std::memory_order_acquire)};
      if (state.kind() == BlockKind::kFree) {
        context_.Hint(ref);
        break;
      }
      bool removable = state.kind() == BlockKind::kLive && target != 0 &&
                       !Reachable(Context::Named(target) - 1, ref);
      if (!state.OwnedBy(index_) && !removable) break;
      // The state was read while the word still stood: it is of the incarnation that the victim
      // named (I1).
      if (Read(word) != value || !StillDead()) break;
      BlockState next = state.Next(BlockKind::kFree);
      // Release: pairs with the acquire of Take. Its failure: another recoverer, or the process
      // that removed the block, was first; look again.
      if (block->state.compare_exchange_strong(state.bits, next.bits, std::memory_order_release,
                                               std::memory_order_relaxed)) {
        freed = true;
        ++report_.blocks;
      }
    }
  }
  Context::Clear(own_.recovery_hold);
  return freed;
}

// Clearing the word is all that it takes: what was removed while it was pinned is Free already, and
// waits only for its holds to go. Such a block counts as come back with the last of the victim's
// pins.
void Victim::ReturnPin(size_t number) {
  SharedWord& word = ledger_.pins[number];
  uint64_t value = Read(word);
  if (value == 0) return;
  bool last = true;
  for (size_t i = number + 1; i < kPins; ++i) last &= Read(ledger_.pins[i]) != value;
  context_.Publish(own_.recovery_hold, Context::Named(value));
  bool removed = false;
  if (Read(word) == value && StillDead()) {
    BlockHeader* block = Genuine(Context::Named(value));
    // Acquire: as in ReturnNamed.
    removed = block != nullptr &&
              BlockState{block->state.load(std::memory_order_acquire)}.kind() == BlockKind::kFree;
  }
  // Relaxed on failure: another recoverer was first, and counts it. Release: as in ClearIf.
  bool cleared =
      word.compare_exchange_strong(value, 0, std::memory_order_release, std::memory_order_relaxed);
  if (cleared && removed && last) ++report_.blocks;
  Context::Clear(own_.recovery_hold);
}

// The block's header, if a block begins there; null if the victim died before it had made sure of
// that.
BlockHeader* Victim::Genuine(Ref ref) {
  if (!context_.IsPlace(ref)) return nullptr;
  SharedWord& shared = context_.page(Context::PageOf(ref)).word;
  for (;;) {
    // Seq_cst: pairs with DrainPages: it sees this participant's hold, or this load sees Draining.
    PageWord word =
        context_.Checked(Context::PageOf(ref), PageWord{shared.load(std::memory_order_seq_cst)});
    if (Context::NumberOf(ref, word) < 0) return nullptr;
    if (!word.is_draining()) return context_.block(ref);
    // Whoever drains it may have scanned before the hold was there: stop it. Release: its writes,
    // if any, come before what follows. If it fails, the next look says why.
    shared.compare_exchange_strong(word.bits, word.NextNotDraining().bits,
                                   std::memory_order_acq_rel, std::memory_order_relaxed);
  }
}

// Also true where a damaged segment does not let it be told.
bool Victim::Reachable(uint64_t slot, Ref ref) {
  if (slot >= context_.slot_count()) return true;
  bool found = false;
  for (;;) {
    // Seq_cst, both: the second pairs with Publish (I5).
    SlotWord word{context_.slot(slot).load(std::memory_order_seq_cst)};
    found = word.Names(ref);
    if (found || word.kind() != SlotKind::kNode) break;
    context_.Publish(own_.recovery_node, word.ref());
    if (SlotWord{context_.slot(slot).load(std::memory_order_seq_cst)} != word) continue;
    BlockHeader* node = context_.IsPlace(word.ref()) ? context_.block(word.ref()) : nullptr;
    found = node == nullptr || !context_.IsWholeNode(node);
    if (found) break;
    const StruckItems struck(node, word);
    for (uint32_t i = 0; !found && i < node->items; ++i) {
      found = !struck.Has(i) && ItemRef(node->item()[i]) == ref;
    }
    break;
  }
  Context::Clear(own_.recovery_node);
  return found;
}

}  // namespace

RecoveryReport RecoverAll(const Context& context) {
  RecoveryReport report;
  for (uint32_t i = 0; i < context.participants().size(); ++i) {
    uint32_t generation = 0;
    if (i == context.index() || !context.participants().MarkIfDead(i, &generation)) continue;
    Victim(context, i, generation, report).Recover();
  }
  return report;
}

}  // namespace kill9::cas_slots

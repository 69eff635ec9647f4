// The pages of the heap: claiming, formatting, draining, and spans (I6).
#include <algorithm>
#include <array>
#include <bit>

#include "variants/stores/cas_slots/heap.h"
#include "variants/stores/cas_slots/recovery.h"

namespace kill9::cas_slots {
namespace {

constexpr uint32_t kDrainWindow = 32;

bool Contains(const std::vector<Ref>& sorted, Ref first, Ref last) {
  auto found = std::lower_bound(sorted.begin(), sorted.end(), first);
  return found != sorted.end() && *found <= last;
}

}  // namespace

// Dies at any instruction → the pages that are Owned(victim) are in the range: recovery frees them.
bool Heap::ClaimPages(uint32_t start, uint32_t count) {
  context_.Note(ledger_.page_count, count);
  context_.Note(ledger_.page_start, start + 1);
  for (uint32_t i = 0; i < count; ++i) {
    SharedWord& shared = context_.page(start + i).word;
    PageWord word{shared.load(std::memory_order_relaxed)};  // relaxed: the CAS decides
    // Acquire: pairs with the release with which the page became Free: nobody reads in it any more
    // (I6).
    if (word.kind() == PageKind::kFree &&
        shared.compare_exchange_strong(word.bits,
                                       word.Next(PageKind::kOwned, context_.index()).bits,
                                       std::memory_order_acquire, std::memory_order_relaxed)) {
      continue;
    }
    while (i-- > 0) {
      SharedWord& mine = context_.page(start + i).word;
      // Relaxed load: Owned pages change by their owner only. Release store: pairs with the CAS
      // above.
      PageWord owned{mine.load(std::memory_order_relaxed)};
      mine.store(owned.Next(PageKind::kFree).bits, std::memory_order_release);
    }
    Context::Clear(ledger_.page_start);
    Context::Clear(ledger_.page_count);
    return false;
  }
  return true;
}

bool Heap::Format(uint32_t number, uint32_t size_class) {
  if (unused_.empty()) MakeRoom();
  if (!ClaimPages(number, 1)) return false;
  Page& page = context_.page(number);
  PageWord owned{page.word.load(std::memory_order_relaxed)};  // relaxed: it is this participant's
  PageWord word = owned.Next(PageKind::kSmall, size_class);
  // Relaxed: pairs as RaiseFloor says.
  const BlockState state =
      BlockState::First(context_.floor(number).load(std::memory_order_relaxed), BlockKind::kFree);
  uint64_t hints = AllHints(size_class);
  List& list = lists_[size_class];
  const size_t had = list.clean.size();
  for (uint32_t i = BlocksInPage(size_class); i-- > 0;) {
    Ref ref = Context::RefOf(number, size_class, i);
    // Relaxed, and so for the hints: the page word's release below publishes them.
    context_.block(ref)->state.store(state.bits, std::memory_order_relaxed);
    if (unused_.empty()) continue;
    const uint32_t cache_word = unused_.pop();
    NameInCache(cache_word, {ref, state, word});
    list.clean.push(cache_word);  // clean by I6
    hints &= ~(uint64_t{1} << i);
  }
  page.hints.store(hints, std::memory_order_relaxed);
  // Dies before → Owned(victim): the page is freed, and what the cache names in it is nothing. Dies
  // after → a page of free blocks, all hinted or named. Release: pairs with the acquires of those
  // who read the word.
  page.word.store(word.bits, std::memory_order_release);
  Context::Clear(ledger_.page_start);
  Context::Clear(ledger_.page_count);
  return list.clean.size() > had;
}

// Looks for free pages in a row from the far end, away from where small pages begin.
Ref Heap::BuildSpan(SharedWord& word, uint32_t pages) {
  uint32_t end = std::max(span_cursor_, pages);
  for (uint32_t searched = 0, run = 0; searched < context_.page_count() + pages; ++searched) {
    if (end == 0) {
      end = context_.page_count();
      run = 0;
    }
    --end;
    // Relaxed: only a look.
    bool free =
        PageWord{context_.page(end).word.load(std::memory_order_relaxed)}.kind() == PageKind::kFree;
    run = free ? run + 1 : 0;
    if (run < pages) continue;
    run = 0;
    if (!ClaimPages(end, pages)) continue;
    span_cursor_ = end;
    const Ref ref = Context::FirstOf(end);
    BlockHeader* block = context_.block(ref);
    context_.Note(word, ref);
    // Relaxed, all: the head's release below publishes them; the floor as RaiseFloor says.
    const uint64_t floor = context_.floor(end).load(std::memory_order_relaxed);
    block->state.store(BlockState::First(floor, BlockKind::kOwned, context_.index()).bits,
                       std::memory_order_relaxed);
    for (uint32_t i = 1; i < pages; ++i) {
      SharedWord& body = context_.page(end + i).word;
      PageWord owned{body.load(std::memory_order_relaxed)};
      body.store(owned.Next(PageKind::kSpanBody, end).bits, std::memory_order_relaxed);
    }
    context_.page(end).hints.store(0, std::memory_order_relaxed);
    SharedWord& head = context_.page(end).word;
    PageWord owned{head.load(std::memory_order_relaxed)};
    // Dies before → the head is Owned(victim): recovery frees it and its bodies. Dies after → a
    // block that is Owned(victim), and named by `word`.
    head.store(owned.Next(PageKind::kSpanHead, pages).bits, std::memory_order_release);
    Context::Clear(ledger_.page_start);
    Context::Clear(ledger_.page_count);
    return ref;
  }
  return 0;
}

void Heap::Gather() {
  RecoverAll(context_);
  EmptyCache();
  for (uint32_t i = 0; i < context_.participants().size(); ++i) {
    if (context_.participants().state(i) == ParticipantState::kFree) continue;
    for (const SharedWord& word : context_.CacheOf(i)) {
      // Relaxed: a hint for a name that is gone is merely wrong.
      uint64_t name = word.load(std::memory_order_relaxed);
      if (name != 0) context_.Hint(Context::Named(name));
    }
  }
  std::fill(std::begin(maybe_hinted_), std::end(maybe_hinted_), true);
  hint_cursor_ = 0;
}

void Heap::ReclaimPages() {
  for (uint32_t first = 0; first < context_.page_count(); first += kDrainWindow) {
    DrainPages(first, std::min(kDrainWindow, context_.page_count() - first));
  }
  for (uint32_t number = 0; number < context_.page_count(); ++number) DissolveSpan(number);
  cursor_ = first_page_;
  span_cursor_ = context_.page_count();
}

// Dies at any instruction → the pages that are Draining by the victim are in the range: recovery
// makes them small again. Stopped → others, short of memory, do that too (the CAS to Free then
// fails).
void Heap::DrainPages(uint32_t first, uint32_t count) {
  context_.Note(ledger_.page_count, count);
  context_.Note(ledger_.page_start, first + 1);
  std::array<PageWord, kDrainWindow> draining{};
  bool any = false;
  for (uint32_t i = 0; i < count; ++i) {
    Page& page = context_.page(first + i);
    // Relaxed: the CAS decides.
    PageWord word =
        context_.Checked(first + i, PageWord{page.word.load(std::memory_order_relaxed)});
    // Relaxed: only a look at whether it is worth it. Gather has hinted all that is free. A page
    // that someone else drains is taken over in any case: he may be stopped.
    if (!word.is_small()) continue;
    if (word.kind() == PageKind::kSmall &&
        std::popcount(page.hints.load(std::memory_order_relaxed) & AllHints(word.size_class())) <
            static_cast<int>(BlocksInPage(word.size_class()))) {
      continue;
    }
    PageWord next = word.NextDraining(context_.index());
    // Seq_cst: pairs with Take and TakeHinted, which name a block and then look at this word.
    // Acquire, as part of it: pairs with Format, so that the states are seen.
    if (page.word.compare_exchange_strong(word.bits, next.bits, std::memory_order_seq_cst,
                                          std::memory_order_relaxed)) {
      draining[i] = next;
      any = true;
    }
  }
  if (any) context_.CollectHolds(held_);
  for (uint32_t i = 0; any && i < count; ++i) {
    if (draining[i].kind() != PageKind::kDraining) continue;
    const uint32_t number = first + i;
    uint64_t highest = 0;
    bool empty = !Contains(held_, Context::FirstOf(number), Context::FirstOf(number + 1) - 1);
    for (uint32_t b = 0; empty && b < BlocksInPage(draining[i].size_class()); ++b) {
      Ref ref = Context::RefOf(number, draining[i].size_class(), b);
      // Acquire: pairs with the release with which it became Free; nobody can take it any more.
      const BlockState state{context_.block(ref)->state.load(std::memory_order_acquire)};
      empty = state.kind() == BlockKind::kFree;
      highest = std::max(highest, state.count());
    }
    // Relaxed: the acquires above keep it behind them. If somebody has made the page small again,
    // it may be anything by now, and what was read may be no count.
    empty = empty && context_.page(number).word.load(std::memory_order_relaxed) == draining[i].bits;
    if (empty) context_.RaiseFloor(number, highest);
    PageWord next = empty ? draining[i].Next(PageKind::kFree)
                          : draining[i].Next(PageKind::kSmall, draining[i].size_class());
    // Release: pairs with the acquire of ClaimPages, or of those who take its blocks. It fails only
    // if somebody has made the page small again.
    context_.page(number).word.compare_exchange_strong(
        draining[i].bits, next.bits, std::memory_order_release, std::memory_order_relaxed);
  }
  Context::Clear(ledger_.page_start);
  Context::Clear(ledger_.page_count);
}

void Heap::DissolveSpan(uint32_t number) {
  Page& page = context_.page(number);
  // Relaxed: Take decides.
  const PageWord word =
      context_.Checked(number, PageWord{page.word.load(std::memory_order_relaxed)});
  if (word.kind() != PageKind::kSpanHead || page.hints.load(std::memory_order_relaxed) == 0) return;
  const Ref ref = Context::FirstOf(number);
  // Seq_cst, after Publish: as in Take.
  context_.Publish(ledger_.scratch, ref);
  if (PageWord{page.word.load(std::memory_order_seq_cst)} == word) {
    // Acquire: as in TakeHinted.
    BlockState state{context_.block(ref)->state.load(std::memory_order_acquire)};
    if (state.kind() == BlockKind::kFree && Take(ledger_.scratch, {ref, state, word})) {
      std::vector<Ref>& held = held_;
      context_.CollectHolds(held);
      // This participant's own scratch names it once.
      auto range = std::equal_range(held.begin(), held.end(), ref);
      if (range.second - range.first == 1) {
        Dissolve(ref, word);
        return;
      }
      // Relaxed: as its owner.
      BlockState owned{context_.block(ref)->state.load(std::memory_order_relaxed)};
      // Release: pairs with Take. The hint still stands, or is set again.
      context_.block(ref)->state.store(owned.Next(BlockKind::kFree).bits,
                                       std::memory_order_release);
      context_.Hint(ref);
    }
  }
  Context::Clear(ledger_.scratch);
}

// REQUIRES: the span is Owned by this participant, named by scratch, and nobody holds it.
// Dies before the head is Owned → the range begins with a span whose block is Owned(victim):
// recovery frees the block. Dies after → recovery frees the bodies, then the head.
void Heap::Dissolve(Ref ref, PageWord head) {
  const uint32_t start = Context::PageOf(ref);
  const uint32_t count = head.argument();
  // Relaxed: only this participant changes it. Before the page can come to be free by recovery.
  const BlockState state{context_.block(ref)->state.load(std::memory_order_relaxed)};
  context_.RaiseFloor(start, state.count());
  context_.Note(ledger_.page_count, count);
  context_.Note(ledger_.page_start, start + 1);
  Context::Clear(ledger_.scratch);
  // Release, here and below: pairs with ClaimPages, and keeps the order for recovery.
  PageWord owned = head.Next(PageKind::kOwned, context_.index());
  context_.page(start).word.store(owned.bits, std::memory_order_release);
  for (uint32_t i = 1; i < count; ++i) {
    SharedWord& body = context_.page(start + i).word;
    PageWord word{body.load(std::memory_order_relaxed)};  // relaxed: only its owner changes it
    body.store(word.Next(PageKind::kFree).bits, std::memory_order_release);
  }
  context_.page(start).word.store(owned.Next(PageKind::kFree).bits, std::memory_order_release);
  Context::Clear(ledger_.page_start);
  Context::Clear(ledger_.page_count);
}

}  // namespace kill9::cas_slots

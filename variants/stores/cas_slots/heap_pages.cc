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
  cursor_ = first_page_;
  span_cursor_ = context_.page_count();
}

// A page that someone else drains is taken over in any case: he may be stopped.
bool Heap::IsWorthDraining(const Page& page, PageWord word) const {
  if (!word.is_small() && !word.is_span()) return false;
  if (word.is_draining()) return true;
  // Relaxed: only a look at whether it is worth it. Gather has hinted all that is free.
  const uint64_t hints = page.hints.load(std::memory_order_relaxed);
  return word.is_small() ? (~hints & AllHints(word.size_class())) == 0 : hints != 0;
}

// Dies at any instruction → the pages that are Draining by the victim are in the range: recovery
// makes them small, or spans, again. Stopped → others, short of memory, take its pages over (its
// CAS then fails), but for the one that it is looking at.
//
// What is free at the end was free before the scan, and so unreachable: AllFree is asked before and
// after. A block that became free in between may still be read by who came to it after the scan.
void Heap::DrainPages(uint32_t first, uint32_t count) {
  context_.Note(ledger_.page_count, count);
  context_.Note(ledger_.page_start, first + 1);
  std::array<Drained, kDrainWindow> draining{};
  bool any = false;
  for (uint32_t i = 0; i < count; ++i) {
    Page& page = context_.page(first + i);
    // Relaxed: the CAS decides.
    PageWord word =
        context_.Checked(first + i, PageWord{page.word.load(std::memory_order_relaxed)});
    if (!IsWorthDraining(page, word)) continue;
    // A span may end beyond: its bodies belong to the range, too.
    if (i + word.pages() > Context::Named(ledger_.page_count.load(std::memory_order_relaxed))) {
      context_.Note(ledger_.page_count, i + word.pages());
    }
    PageWord next = word.NextDraining(context_.index());
    // Seq_cst: pairs with Take, TakeHinted and AllFree, which name a block and then look at this
    // word. Acquire, as part of it: pairs with Format and BuildSpan, so that the states are seen.
    if (page.word.compare_exchange_strong(word.bits, next.bits, std::memory_order_seq_cst,
                                          std::memory_order_relaxed)) {
      draining[i].word = next;
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (!draining[i].word.is_draining()) continue;
    if (AllFree(first + i, draining[i])) {
      any = true;
    } else {
      StopDraining(first + i, draining[i].word);
      draining[i].word = PageWord{};
    }
  }
  Context::Clear(ledger_.scratch);
  if (any) context_.CollectHolds(held_);
  for (uint32_t i = 0; any && i < count; ++i) {
    if (draining[i].word.is_draining()) FreeDrained(first + i, draining[i]);
  }
  Context::Clear(ledger_.page_start);
  Context::Clear(ledger_.page_count);
}

// Named by scratch, as in Take: if the word is still the same, whoever takes the draining over
// finds the name, and leaves the page what it is. So nothing but states is read as a state.
bool Heap::AllFree(uint32_t number, Drained& drained) {
  context_.Publish(ledger_.scratch, Context::FirstOf(number));
  // Seq_cst, after Publish: pairs with DrainPages.
  if (PageWord{context_.page(number).word.load(std::memory_order_seq_cst)} != drained.word) {
    return false;
  }
  drained.sum = drained.highest = 0;
  for (uint32_t i = 0; i < drained.word.blocks(); ++i) {
    // Acquire: pairs with the release with which it became Free.
    const BlockState state{context_.block(Context::RefOf(number, drained.word, i))
                               ->state.load(std::memory_order_acquire)};
    if (state.kind() != BlockKind::kFree) return false;
    drained.sum += state.count();
    drained.highest = std::max(drained.highest, state.count());
  }
  return true;
}

// Relaxed on failure: somebody else has taken the draining over, or stopped it. Release: its blocks
// may be taken again, which pairs with the acquire of states.
void Heap::StopDraining(uint32_t number, PageWord draining) {
  context_.page(number).word.compare_exchange_strong(draining.bits, draining.NextNotDraining().bits,
                                                     std::memory_order_release,
                                                     std::memory_order_relaxed);
}

// REQUIRES: the range of page_start has the page, or the whole span.
// Dies after the head is Owned → recovery frees the bodies, then the head.
bool Heap::FreeDrained(uint32_t number, const Drained& before) {
  Drained after{before.word};
  // Counts only grow: the same sum is the same counts.
  const bool empty = !Contains(held_, Context::FirstOf(number), Context::FirstOf(number + 1) - 1) &&
                     AllFree(number, after) && after.sum == before.sum;
  Context::Clear(ledger_.scratch);
  if (!empty) {
    StopDraining(number, before.word);
    return false;
  }
  context_.RaiseFloor(number, after.highest);
  PageWord word = before.word;
  const bool small = word.is_small();
  const PageWord next =
      small ? word.Next(PageKind::kFree) : word.Next(PageKind::kOwned, context_.index());
  // Release, here and below: pairs with the acquire of ClaimPages. It fails only if somebody has
  // taken the draining over, or stopped it.
  if (!context_.page(number).word.compare_exchange_strong(
          word.bits, next.bits, std::memory_order_release, std::memory_order_relaxed)) {
    return false;
  }
  if (small) return true;
  for (uint32_t i = 1; i < before.word.pages(); ++i) {
    SharedWord& body = context_.page(number + i).word;
    const PageWord owned{body.load(std::memory_order_relaxed)};  // relaxed: its owner changes it
    body.store(owned.Next(PageKind::kFree).bits, std::memory_order_release);
  }
  context_.page(number).word.store(next.Next(PageKind::kFree).bits, std::memory_order_release);
  return true;
}

}  // namespace kill9::cas_slots

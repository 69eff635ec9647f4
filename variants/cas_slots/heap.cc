#include "variants/cas_slots/heap.h"

#include <algorithm>
#include <bit>

#include "variants/cas_slots/recovery.h"

namespace kill9::cas_slots {
namespace {

constexpr size_t kScanBatch = 48;     // dirty small blocks that are worth a scan
constexpr size_t kSpanScanBatch = 8;  // dirty spans
constexpr uint32_t kDrainWindow = 32;

bool Contains(const std::vector<Ref>& sorted, Ref first, Ref last) {
  auto found = std::lower_bound(sorted.begin(), sorted.end(), first);
  return found != sorted.end() && *found <= last;
}

}  // namespace

Heap::Heap(const Context& context)
    : context_(context),
      ledger_(context.ledger()),
      // Participants begin near each other, so that the far end stays whole for spans.
      first_page_(context.index() * 16 % context.page_count()),
      cursor_(first_page_),
      span_cursor_(context.page_count()) {
  for (List& list : lists_) {
    list.clean.reserve(kCached);
    list.dirty.reserve(kCached);
  }
  unused_.reserve(kCached);
  for (uint32_t number = kCached; number-- > 0;) unused_.push_back(number);
  held_.reserve(1024);
  std::fill(std::begin(maybe_hinted_), std::end(maybe_hinted_), true);
}

Ref Heap::Allocate(SharedWord& word, size_t bytes) {
  if (bytes <= kMaxSmallBytes) return AllocateSmall(word, ClassOf(bytes));
  size_t pages = (bytes + kPageBytes - 1) / kPageBytes;
  return pages <= context_.page_count() ? AllocateSpan(word, static_cast<uint32_t>(pages)) : 0;
}

Ref Heap::AllocateSmall(SharedWord& word, uint32_t size_class) {
  List& list = lists_[size_class];
  if (Ref ref = TakeClean(word, list, 0); ref != 0) return ref;
  if (list.dirty.size() >= kScanBatch) {
    Scan();
    if (Ref ref = TakeClean(word, list, 0); ref != 0) return ref;
  }
  while (Refill(size_class)) {
    if (Ref ref = TakeClean(word, list, 0); ref != 0) return ref;
  }
  Gather();
  while (Refill(size_class)) {
    if (Ref ref = TakeClean(word, list, 0); ref != 0) return ref;
  }
  ReclaimPages();
  while (Refill(size_class)) {
    if (Ref ref = TakeClean(word, list, 0); ref != 0) return ref;
  }
  return 0;
}

Ref Heap::AllocateSpan(SharedWord& word, uint32_t pages) {
  List& list = lists_[kSpans];
  if (Ref ref = TakeClean(word, list, pages); ref != 0) return ref;
  if (CountSpans(list.dirty, pages) >= kSpanScanBatch) {
    Scan();
    if (Ref ref = TakeClean(word, list, pages); ref != 0) return ref;
  }
  if (Ref ref = BuildSpan(word, pages); ref != 0) return ref;
  Scan();
  if (Ref ref = TakeClean(word, list, pages); ref != 0) return ref;
  Gather();
  ReclaimPages();
  return BuildSpan(word, pages);
}

// Dies before the CAS of the state → `word` names a block that is not the victim's: recovery sees
// that its state is not Owned(victim), and hints it if it is Free. Dies after → Owned(victim) and
// named: freed.
bool Heap::Take(SharedWord& word, const Cached& cached) {
  // Publish: keeps the page from being drained once its word has been seen unchanged; pairs with
  // DrainPages.
  context_.Publish(word, cached.ref);
  Page& page = context_.page(Context::PageOf(cached.ref));
  if (PageWord{page.word.load(std::memory_order_seq_cst)} != cached.page) return false;
  uint64_t expected = cached.state.bits;
  // Acquire: pairs with the release with which the block became Free; what was in it is past.
  // Relaxed on failure: somebody else has taken it, and nothing of it is looked at.
  return context_.block(cached.ref)
      ->state.compare_exchange_strong(expected,
                                      cached.state.Next(BlockKind::kOwned, context_.index()).bits,
                                      std::memory_order_acquire, std::memory_order_relaxed);
}

// `span_pages` is 0 for small blocks, whose lists hold one size each.
Ref Heap::TakeClean(SharedWord& word, List& list, uint32_t span_pages) {
  for (size_t i = list.clean.size(); i-- > 0;) {
    const Cached cached = list.clean[i];
    if (span_pages != 0 && cached.page.argument() != span_pages) continue;
    list.clean.erase(list.clean.begin() + static_cast<ptrdiff_t>(i));
    bool taken = Take(word, cached);
    // Taken, `word` names it; not taken, it may be Free in a page that somebody has begun to drain.
    Drop(cached, /*hint=*/!taken);
    if (taken) return cached.ref;
  }
  Context::Clear(word);
  return 0;
}

void Heap::Drop(const Cached& cached, bool hint) {
  if (hint) {
    context_.Hint(cached.ref);
    if (cached.page.is_small()) maybe_hinted_[cached.page.size_class()] = true;
  }
  Context::Clear(ledger_.cache[cached.number]);
  unused_.push_back(cached.number);
  if (cached.page.kind() == PageKind::kSpanHead) cached_span_pages_ -= cached.page.argument();
}

void Heap::GiveBack(SharedWord& word, Ref ref) {
  BlockHeader* block = context_.block(ref);
  // Relaxed: only this participant changes a state that is Owned by it (I1).
  BlockState state{block->state.load(std::memory_order_relaxed)};
  BlockState freed = state.Next(BlockKind::kFree);
  // Release: pairs with the acquire of Take: the next owner writes after this one.
  block->state.store(freed.bits, std::memory_order_release);
  // Acquire: pairs with the release that made the page what it is.
  PageWord page{context_.page(Context::PageOf(ref)).word.load(std::memory_order_acquire)};
  Keep(ref, freed, page, /*clean=*/true);  // nobody can have held what was never published
  Context::Clear(word);
}

// Dies before the CAS → the block is Live, unreachable and named under a target (I3): recovery
// frees it. Dies after, before it is named in the cache or hinted → Free and named under a target
// (I4): recovery hints it. A successor sees → Free: somebody who recovered a participant that held
// it too was first.
void Heap::Removed(Ref ref) {
  BlockHeader* block = context_.block(ref);
  // Relaxed: the hold keeps the block from being used anew, so this is Live, or Free since.
  BlockState state{block->state.load(std::memory_order_relaxed)};
  if (state.kind() != BlockKind::kLive) return;
  BlockState freed = state.Next(BlockKind::kFree);
  // Release: pairs with the acquire of Take: the next owner scans after the slot's change.
  if (!block->state.compare_exchange_strong(state.bits, freed.bits, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    return;
  }
  // Acquire: as in GiveBack.
  PageWord page{context_.page(Context::PageOf(ref)).word.load(std::memory_order_acquire)};
  Keep(ref, freed, page, /*clean=*/false);
}

void Heap::Keep(Ref ref, BlockState state, PageWord page, bool clean) {
  bool span = page.kind() == PageKind::kSpanHead;
  if ((!span && page.kind() != PageKind::kSmall) || (unused_.empty() && !MakeRoom())) {
    context_.Hint(ref);
    std::fill(std::begin(maybe_hinted_), std::end(maybe_hinted_), true);
    return;
  }
  uint32_t number = unused_.back();
  unused_.pop_back();
  context_.Note(ledger_.cache[number], ref);
  List& list = lists_[span ? kSpans : page.size_class()];
  (clean ? list.clean : list.dirty).push_back({ref, number, state, page});
  if (span) {
    cached_span_pages_ += page.argument();
    LimitSpans();
  }
}

// The longest list gives up half of what it has, the oldest first.
bool Heap::MakeRoom() {
  std::vector<Cached>* longest = &lists_[0].clean;
  for (List& list : lists_) {
    for (std::vector<Cached>* part : {&list.clean, &list.dirty}) {
      if (part->size() > longest->size()) longest = part;
    }
  }
  size_t count = (longest->size() + 1) / 2;
  for (size_t i = 0; i < count; ++i) Drop((*longest)[i], /*hint=*/true);
  longest->erase(longest->begin(), longest->begin() + static_cast<ptrdiff_t>(count));
  return count != 0;
}

void Heap::EmptyCache() {
  for (List& list : lists_) {
    for (std::vector<Cached>* part : {&list.clean, &list.dirty}) {
      for (const Cached& cached : *part) Drop(cached, /*hint=*/true);
      part->clear();
    }
  }
}

void Heap::Scan() {
  context_.CollectHolds(held_);
  for (List& list : lists_) {
    for (const Cached& cached : list.dirty) {
      if (Contains(held_, cached.ref, cached.ref)) {
        Drop(cached, /*hint=*/true);  // someone else may take it later, when it is held no more
      } else {
        list.clean.push_back(cached);
      }
    }
    list.dirty.clear();
  }
}

size_t Heap::CountSpans(const std::vector<Cached>& spans, uint32_t pages) const {
  return static_cast<size_t>(std::count_if(
      spans.begin(), spans.end(), [pages](const Cached& c) { return c.page.argument() == pages; }));
}

// Spans in the cache are for one size only: beyond a share of the space they become pages again.
void Heap::LimitSpans() {
  if (cached_span_pages_ <= context_.page_count() / 16) return;
  Scan();
  std::vector<Cached>& spans = lists_[kSpans].clean;
  while (!spans.empty()) {
    const Cached cached = spans.back();
    spans.pop_back();
    bool taken = Take(ledger_.scratch, cached);
    Drop(cached, /*hint=*/!taken);
    if (taken) {
      Dissolve(cached.ref, cached.page);
    } else {
      Context::Clear(ledger_.scratch);
    }
  }
}

bool Heap::Refill(uint32_t size_class) {
  if (maybe_hinted_[size_class] && RefillFromHints(size_class)) return true;
  if (!lists_[size_class].dirty.empty()) {
    Scan();
    if (!lists_[size_class].clean.empty()) return true;
  }
  return RefillFromFreePages(size_class) || RefillFromHints(size_class);
}

bool Heap::RefillFromHints(uint32_t size_class) {
  for (uint32_t step = 0; step < context_.page_count(); ++step) {
    const uint32_t number = hint_cursor_;
    hint_cursor_ = hint_cursor_ + 1 == context_.page_count() ? 0 : hint_cursor_ + 1;
    Page& page = context_.page(number);
    // Relaxed, both: only a look; TakeHinted decides.
    PageWord word{page.word.load(std::memory_order_relaxed)};
    if (word.kind() == PageKind::kSmall && word.size_class() == size_class &&
        page.hints.load(std::memory_order_relaxed) != 0 && TakeHinted(number, size_class)) {
      return true;
    }
  }
  maybe_hinted_[size_class] = false;
  return false;
}

bool Heap::RefillFromFreePages(uint32_t size_class) {
  for (uint32_t step = 0; step < context_.page_count(); ++step) {
    const uint32_t number = cursor_;
    cursor_ = cursor_ + 1 == context_.page_count() ? 0 : cursor_ + 1;
    // Relaxed: only a look; ClaimPages decides.
    PageWord word{context_.page(number).word.load(std::memory_order_relaxed)};
    if (word.kind() == PageKind::kFree && Format(number, size_class)) return true;
  }
  return false;
}

// Moves hinted blocks into the cache: names them first, then clears the hints (I4). Dies in between
// → named and hinted, or named only: recovery hints them again.
bool Heap::TakeHinted(uint32_t number, uint32_t size_class) {
  Page& page = context_.page(number);
  if (unused_.size() < BlocksInPage(size_class)) MakeRoom();
  // Publish: the page cannot be drained while this block in it is named and the word is what it
  // was.
  context_.Publish(ledger_.scratch, Context::FirstOf(number));
  PageWord word{page.word.load(std::memory_order_seq_cst)};
  if (word.kind() == PageKind::kSmall && word.size_class() == size_class) {
    // Relaxed: fetch_and below decides.
    uint64_t wanted = page.hints.load(std::memory_order_relaxed) & AllHints(size_class);
    uint64_t named = 0;
    std::array<uint32_t, 64> cache_word{};
    for (uint64_t left = wanted; left != 0 && !unused_.empty(); left &= left - 1) {
      int i = std::countr_zero(left);
      cache_word[static_cast<size_t>(i)] = unused_.back();
      unused_.pop_back();
      context_.Note(ledger_.cache[cache_word[static_cast<size_t>(i)]],
                    Context::RefOf(number, size_class, static_cast<uint32_t>(i)));
      named |= uint64_t{1} << i;
    }
    // Acquire: pairs with the release of Hint. Who clears the bit sees the state Free that it
    // announced; or the block becomes Free later, and will be hinted then.
    uint64_t cleared = page.hints.fetch_and(~named, std::memory_order_acq_rel) & named;
    for (uint64_t left = named; left != 0;) {
      int i = 63 - std::countl_zero(left);  // so that the lowest is taken first
      left &= ~(uint64_t{1} << i);
      Ref ref = Context::RefOf(number, size_class, static_cast<uint32_t>(i));
      // Acquire: pairs with the release with which it became Free.
      BlockState state{context_.block(ref)->state.load(std::memory_order_acquire)};
      Cached cached{ref, cache_word[static_cast<size_t>(i)], state, word};
      if ((cleared >> i & 1) != 0 && state.kind() == BlockKind::kFree) {
        lists_[size_class].dirty.push_back(cached);
      } else {
        Drop(cached, /*hint=*/false);
      }
    }
  }
  Context::Clear(ledger_.scratch);
  if (lists_[size_class].dirty.empty()) return false;
  Scan();
  return !lists_[size_class].clean.empty();
}

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
  const BlockState state = BlockState{}.Next(BlockKind::kFree);
  uint64_t hints = AllHints(size_class);
  List& list = lists_[size_class];
  const size_t had = list.clean.size();
  for (uint32_t i = BlocksInPage(size_class); i-- > 0;) {
    Ref ref = Context::RefOf(number, size_class, i);
    // Relaxed, and so for the hints: the page word's release below publishes them.
    context_.block(ref)->state.store(state.bits, std::memory_order_relaxed);
    if (unused_.empty()) continue;
    uint32_t cache_word = unused_.back();
    unused_.pop_back();
    context_.Note(ledger_.cache[cache_word], ref);
    list.clean.push_back({ref, cache_word, state, word});  // clean by I6
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
    // Relaxed, all: the head's release below publishes them.
    block->state.store(BlockState{}.Next(BlockKind::kOwned, context_.index()).bits,
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
    for (const SharedWord& word : context_.ledger_of(i).cache) {
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
    PageWord word{page.word.load(std::memory_order_relaxed)};  // relaxed: the CAS decides
    // Relaxed: only a look at whether it is worth it. Gather has hinted all that is free.
    if (!word.is_small() ||
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
    bool empty = !Contains(held_, Context::FirstOf(number), Context::FirstOf(number + 1) - 1);
    for (uint32_t b = 0; empty && b < BlocksInPage(draining[i].size_class()); ++b) {
      Ref ref = Context::RefOf(number, draining[i].size_class(), b);
      // Acquire: pairs with the release with which it became Free; nobody can take it any more.
      empty = BlockState{context_.block(ref)->state.load(std::memory_order_acquire)}.kind() ==
              BlockKind::kFree;
    }
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
  PageWord word{page.word.load(std::memory_order_relaxed)};  // relaxed: Take decides
  if (word.kind() != PageKind::kSpanHead || page.hints.load(std::memory_order_relaxed) == 0) return;
  const Ref ref = Context::FirstOf(number);
  context_.Publish(ledger_.scratch, ref);
  if (PageWord{page.word.load(std::memory_order_seq_cst)} == word) {
    // Acquire: as in TakeHinted.
    BlockState state{context_.block(ref)->state.load(std::memory_order_acquire)};
    if (state.kind() == BlockKind::kFree && Take(ledger_.scratch, {ref, 0, state, word})) {
      std::vector<Ref>& held = held_;
      context_.CollectHolds(held);
      // This participant's own scratch names it once.
      auto range = std::equal_range(held.begin(), held.end(), ref);
      if (range.second - range.first == 1) {
        Dissolve(ref, word);
        return;
      }
      BlockState owned{context_.block(ref)->state.load(std::memory_order_relaxed)};  // its owner's
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

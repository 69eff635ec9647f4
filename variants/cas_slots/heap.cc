#include "variants/cas_slots/heap.h"

#include <algorithm>
#include <bit>

namespace kill9::cas_slots {
namespace {

constexpr size_t kScanBatch = 48;     // dirty small blocks that are worth a scan
constexpr size_t kSpanScanBatch = 8;  // dirty spans

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
      if (std::binary_search(held_.begin(), held_.end(), cached.ref)) {
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

}  // namespace kill9::cas_slots

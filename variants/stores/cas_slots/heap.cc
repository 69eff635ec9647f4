#include "variants/stores/cas_slots/heap.h"

#include <algorithm>
#include <bit>

namespace kill9::cas_slots {
namespace {

constexpr size_t kMostScanned = 224;  // small blocks that wait for one scan; the rest of the cache
                                      // is for other sizes
constexpr size_t kFewestScanned = 16;
constexpr size_t kSpanScanBatch = 8;  // dirty spans

}  // namespace

Heap::Heap(const Context& context)
    : context_(context),
      ledger_(context.ledger()),
      // Participants begin near each other, so that the far end stays whole for spans.
      first_page_(context.index() * 16 % context.page_count()),
      cursor_(first_page_),
      span_cursor_(context.page_count()) {
  for (uint32_t number = kCached; number-- > 0;) unused_.push(number);
  held_.reserve(1024);
  std::fill(std::begin(maybe_hinted_), std::end(maybe_hinted_), true);
}

Ref Heap::FindSmall(SharedWord& word, uint32_t size_class) {
  const auto refill_and_take = [&] {
    while (Refill(size_class)) {
      if (Ref ref = TakeClean(word, lists_[size_class]); ref != 0) return ref;
    }
    return Ref{0};
  };
  if (Ref ref = refill_and_take(); ref != 0) return ref;
  Gather();
  if (Ref ref = refill_and_take(); ref != 0) return ref;
  ReclaimPages();
  return refill_and_take();
}

Ref Heap::AllocateSpan(SharedWord& word, uint32_t pages) {
  List& list = lists_[kSpans];
  if (Ref ref = TakeCleanSpan(word, pages); ref != 0) return ref;
  if (CountSpans(list.dirty, pages) >= kSpanScanBatch) {
    Scan();
    if (Ref ref = TakeCleanSpan(word, pages); ref != 0) return ref;
  }
  if (Ref ref = BuildSpan(word, pages); ref != 0) return ref;
  Scan();
  if (Ref ref = TakeCleanSpan(word, pages); ref != 0) return ref;
  Gather();
  ReclaimPages();
  return BuildSpan(word, pages);
}

Ref Heap::TakeCleanSpan(SharedWord& word, uint32_t pages) {
  IndexStack& clean = lists_[kSpans].clean;
  for (size_t i = clean.size(); i-- > 0;) {
    const uint32_t number = clean.begin()[i];
    const Ref ref = cached_[number].ref;
    if (cached_[number].page.argument() != pages) continue;
    clean.erase(i, 1);
    const bool taken = Take(word, cached_[number]);
    Drop(number, /*hint=*/!taken);  // as in TakeClean
    if (taken) return ref;
  }
  Context::Clear(word);
  return 0;
}

void Heap::GiveBack(SharedWord& word, Ref ref) {
  BlockHeader* block = context_.block(ref);
  // Relaxed: only this participant changes a state that is Owned by it (I1).
  BlockState state{block->state.load(std::memory_order_relaxed)};
  BlockState freed = state.Next(BlockKind::kFree);
  // Release: pairs with the acquire of Take: the next owner writes after this one. [spare release:
  // another owner has scanned for holds since, and acquired the Clear of the word below]
  block->state.store(freed.bits, std::memory_order_release);
  // Acquire: pairs with the releases of Format and BuildSpan, which made the page what it is.
  PageWord page{context_.page(Context::PageOf(ref)).word.load(std::memory_order_acquire)};
  Keep({ref, freed, page}, /*clean=*/true);  // nobody can have held what was never published
  Context::Clear(word);
}

void Heap::HintSmall(Cached cached) {
  context_.Hint(cached.ref);
  if (cached.page.is_small()) maybe_hinted_[cached.page.size_class()] = true;
}

void Heap::Drop(uint32_t number, bool hint) {
  const PageWord page = cached_[number].page;
  if (hint) HintSmall(cached_[number]);
  Context::Clear(ledger_.cache[number]);
  unused_.push(number);
  if (page.is_span()) cached_span_pages_ -= page.pages();
}

void Heap::KeepSpanOrMakeRoom(Cached cached, bool clean) {
  cached.page = context_.Checked(Context::PageOf(cached.ref), cached.page);
  const bool small = cached.page.kind() == PageKind::kSmall && LiesInPage(cached);
  const bool span = cached.page.kind() == PageKind::kSpanHead &&
                    cached.ref == Context::FirstOf(Context::PageOf(cached.ref));
  if ((!small && !span) || (unused_.empty() && !MakeRoom())) {
    context_.Hint(cached.ref);
    std::fill(std::begin(maybe_hinted_), std::end(maybe_hinted_), true);
    return;
  }
  if (small) return Keep(cached, clean);
  const uint32_t number = unused_.pop();
  NameInCache(number, cached);
  List& list = lists_[kSpans];
  (clean ? list.clean : list.dirty).push(number);
  cached_span_pages_ += cached.page.argument();
  LimitSpans();
}

// The longest list gives up half of what it has, the oldest first.
bool Heap::MakeRoom() {
  IndexStack* longest = &lists_[0].clean;
  for (List& list : lists_) {
    for (IndexStack* part : {&list.clean, &list.dirty}) {
      if (part->size() > longest->size()) longest = part;
    }
  }
  const size_t count = (longest->size() + 1) / 2;
  for (size_t i = 0; i < count; ++i) Drop(longest->begin()[i], /*hint=*/true);
  longest->erase(0, count);
  return count != 0;
}

void Heap::EmptyCache() {
  for (List& list : lists_) {
    for (IndexStack* part : {&list.clean, &list.dirty}) {
      while (!part->empty()) Drop(part->pop(), /*hint=*/true);
    }
  }
  cache_end_ = 0;
  Context::Clear(ledger_.cache_end);
}

void Heap::Scan() {
  context_.CollectHolds(held_);
  // Few blocks are held: most are told apart from all of them by one bit.
  const auto bit_of = [](Ref ref) { return uint64_t{1} << (ref * 0x9e3779b1u >> 26); };
  uint64_t held_bits = 0;
  for (Ref ref : held_) held_bits |= bit_of(ref);
  const auto is_held = [&](Ref ref) {
    return (held_bits & bit_of(ref)) != 0 && std::binary_search(held_.begin(), held_.end(), ref);
  };
  bool maybe_hinted[kClasses];
  std::copy(std::begin(maybe_hinted_), std::end(maybe_hinted_), std::begin(maybe_hinted));
  for (List& list : lists_) {
    for (uint32_t number : list.dirty) {
      if (is_held(cached_[number].ref)) {
        Drop(number, /*hint=*/true);  // someone may take it later, when it is held no more
      } else {
        list.clean.push(number);
      }
    }
    list.dirty.clear();
  }
  // These hints are not worth a lap: what they say is held.
  std::copy(std::begin(maybe_hinted), std::end(maybe_hinted), std::begin(maybe_hinted_));
}

size_t Heap::CountSpans(const IndexStack& spans, uint32_t pages) const {
  return static_cast<size_t>(std::count_if(spans.begin(), spans.end(), [&](uint32_t number) {
    return cached_[number].page.argument() == pages;
  }));
}

// Spans in the cache are for one size only: beyond a share of the space they become pages again,
// all after one scan. Dies at any instruction → what drains is named in the cache: recovery makes
// it a span again.
void Heap::LimitSpans() {
  if (cached_span_pages_ <= context_.page_count() / 16) return;
  List& spans = lists_[kSpans];
  while (!spans.dirty.empty()) spans.clean.push(spans.dirty.pop());
  for (uint32_t number : spans.clean) {
    Cached& cached = cached_[number];
    PageWord word = cached.page;
    // Seq_cst: as in DrainPages. If it fails, the block is another's, or others drain it.
    if (context_.page(Context::PageOf(cached.ref))
            .word.compare_exchange_strong(word.bits, word.NextDraining(context_.index()).bits,
                                          std::memory_order_seq_cst, std::memory_order_relaxed)) {
      cached.page = word.NextDraining(context_.index());
    }
  }
  context_.CollectHolds(held_);
  while (!spans.clean.empty()) {
    const uint32_t number = spans.clean.pop();
    const Cached cached = cached_[number];
    bool freed = false;
    if (cached.page.is_draining()) {
      const uint32_t start = Context::PageOf(cached.ref);
      context_.Note(ledger_.page_count, cached.page.pages());
      context_.Note(ledger_.page_start, start + 1);
      // It is Free as this participant knew it before the scan.
      freed = FreeDrained(start, {cached.page, cached.state.count(), cached.state.count()});
      Context::Clear(ledger_.page_start);
      Context::Clear(ledger_.page_count);
    }
    Drop(number, /*hint=*/!freed);
  }
}

// A scan interrupts everybody (membarrier), so it is shared by many blocks: where there is space, a
// participant keeps that many to take in turn. In a small segment they are few: a participant's
// waiting blocks are at most some hundredth of the space.
size_t Heap::ScanBatch(size_t block_bytes) const {
  constexpr size_t kShare = 1024;
  return std::clamp(Heap::MaxBytes(context_) / kShare / block_bytes, kFewestScanned, kMostScanned);
}

bool Heap::Refill(uint32_t size_class) {
  if (lists_[size_class].dirty.size() >= ScanBatch(kClassBytes[size_class])) {
    Scan();
    if (!lists_[size_class].clean.empty()) return true;
  }
  if (maybe_hinted_[size_class] && RefillFromHints(size_class)) return true;
  if (RefillFromFreePages(size_class)) return true;
  if (!lists_[size_class].dirty.empty()) {
    Scan();
    if (!lists_[size_class].clean.empty()) return true;
  }
  return RefillFromHints(size_class);
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
  // Seq_cst, after Publish: pairs with DrainPages. The page cannot be drained while this block in
  // it is named and the word is what it was.
  context_.Publish(ledger_.scratch, Context::FirstOf(number));
  PageWord word{page.word.load(std::memory_order_seq_cst)};
  if (word.kind() == PageKind::kSmall && word.size_class() == size_class) {
    // Relaxed: fetch_and below decides.
    const uint64_t hinted = page.hints.load(std::memory_order_relaxed) & AllHints(size_class);
    uint64_t named = 0;
    std::array<uint32_t, 64> numbers{};
    for (uint64_t left = hinted; left != 0 && !unused_.empty(); left &= left - 1) {
      const uint32_t i = static_cast<uint32_t>(std::countr_zero(left));
      numbers[i] = unused_.pop();
      NameInCache(numbers[i], {Context::RefOf(number, size_class, i), BlockState{}, word});
      named |= uint64_t{1} << i;
    }
    // Acquire: pairs with the release of Hint. Who clears the bit sees the state Free that it
    // announced; or the block becomes Free later, and will be hinted then. [spare acquire: the scan
    // below acquires] [spare release: a death finds an update done; who lives may miss the name]
    const uint64_t cleared = page.hints.fetch_and(~named, std::memory_order_acq_rel) & named;
    for (uint64_t left = named; left != 0;) {
      const int i = 63 - std::countl_zero(left);  // so that the lowest is taken first
      left &= ~(uint64_t{1} << i);
      const uint32_t cache_word = numbers[static_cast<size_t>(i)];
      Cached& cached = cached_[cache_word];
      // Acquire: pairs with the release of GiveBack, or of whoever else freed it. [spare acquire:
      // the scan below acquires, before anything of the block is written]
      cached.state = {context_.block(cached.ref)->state.load(std::memory_order_acquire)};
      if ((cleared >> i & 1) != 0 && cached.state.kind() == BlockKind::kFree) {
        lists_[size_class].dirty.push(cache_word);
      } else {
        Drop(cache_word, /*hint=*/false);
      }
    }
  }
  Context::Clear(ledger_.scratch);
  if (lists_[size_class].dirty.empty()) return false;
  Scan();
  return !lists_[size_class].clean.empty();
}

}  // namespace kill9::cas_slots

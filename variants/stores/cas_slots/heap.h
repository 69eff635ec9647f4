// The lock-free heap of cas_slots, as one participant uses it (I1-I6 in layout.h).
//
// Blocks of 12 small sizes fill 2 KiB pages; larger ones are spans of pages. Free blocks are found
// in four ways, each slower than the one before: in the participant's cache of blocks that it freed
// itself; by the hints of pages; in pages that are free; and, when memory is short, by recovering
// the dead, hinting what is in everybody's caches, and turning pages whose blocks are all free back
// into free pages. So space moves between sizes, and a stopped participant withholds only what it
// is working on.
//
// The cache is *named* in the ledger (I4) and described in memory of the process: what is "dirty"
// there may still be under somebody's hold, what is "clean" was seen not to be, and stays so as
// long as its state word has not changed.
//
// PROGRESS: lock-free. A failed CAS means that another participant's succeeded; nothing waits.
#ifndef KILL9_VARIANTS_STORES_CAS_SLOTS_HEAP_H_
#define KILL9_VARIANTS_STORES_CAS_SLOTS_HEAP_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "variants/stores/cas_slots/context.h"

namespace kill9::cas_slots {

class Heap {
 public:
  explicit Heap(const Context& context);

  // Takes a block for `bytes` bytes, header included. ENSURES: it is Owned by this participant,
  // nobody holds it, and `word`, a word of the own ledger that was 0, names it. Returns 0, with
  // `word` 0, if there is no room.
  Ref Allocate(SharedWord& word, size_t bytes);
  // Gives back a block that is Owned by this participant and was never published.
  // REQUIRES: `word` names it. ENSURES: `word` is 0.
  void GiveBack(SharedWord& word, Ref ref);
  // Frees a block that the caller's CAS on the slot has made unreachable, unless a recoverer was
  // first. REQUIRES: the ledger names it in a *_hold, and the target is set.
  void Removed(Ref ref);
  // Hints all that the cache names. For detaching, and when memory is short.
  void EmptyCache();

  static size_t MaxBytes(const Context& context) { return context.page_count() * kPageBytes; }

 private:
  // What this participant knows of the block that a cache word of the ledger names. Passed by
  // value, here and where Put goes: what has an address does not stay in registers.
  struct Cached {
    Ref ref;
    BlockState state;  // Free, as this participant left it or found it
    PageWord page;     // of the block's (first) page
  };
  // Numbers of cache words, as a stack.
  class IndexStack {
   public:
    bool empty() const { return size_ == 0; }
    size_t size() const { return size_; }
    uint16_t back() const { return at_[size_ - 1]; }
    void push(uint32_t number) { at_[size_++] = static_cast<uint16_t>(number); }
    uint16_t pop() { return at_[--size_]; }
    void clear() { size_ = 0; }
    const uint16_t* begin() const { return at_.data(); }
    const uint16_t* end() const { return begin() + size_; }
    void erase(size_t first, size_t count) {
      std::copy(begin() + first + count, end(), at_.data() + first);
      size_ -= count;
    }

   private:
    size_t size_ = 0;
    std::array<uint16_t, kCached> at_;
  };
  struct List {
    IndexStack clean;
    IndexStack dirty;
  };
  static constexpr uint32_t kSpans = kClasses;  // the list of all spans, after those of the classes

  // What Allocate does when the cache has no clean block.
  Ref FindSmall(SharedWord& word, uint32_t size_class);
  Ref AllocateSpan(SharedWord& word, uint32_t pages);
  Ref TakeClean(SharedWord& word, List& list);
  Ref TakeCleanSpan(SharedWord& word, uint32_t pages);
  bool Take(SharedWord& word, Cached cached);

  // Names the block in the cache; or hints it, if there is no room.
  void Keep(Cached cached, bool clean);
  bool MakeRoom();
  void HintSmall(Cached cached);
  // Whether a small block of the page's class can begin there. False only in a damaged segment.
  static bool LiesInPage(Cached cached) {
    return static_cast<int>((cached.ref - 1) % kGranulesInPage) <=
           kLastGranule[cached.page.size_class()];
  }
  void KeepSpanOrMakeRoom(Cached cached, bool clean);
  void NameInCache(uint32_t number, Cached cached);
  // How many dirty blocks of the size are worth a scan.
  size_t ScanBatch(size_t block_bytes) const;
  // What the word names has been taken, or is for others to take. REQUIRES: it is in no list.
  void Drop(uint32_t number, bool hint);
  // Scans for holds; what is dirty becomes clean, or is dropped because somebody holds it.
  void Scan();
  size_t CountSpans(const IndexStack& spans, uint32_t pages) const;
  void LimitSpans();

  // True: the list has clean blocks. Prefers what pages of the class have left to new pages, so
  // that space is not spread thin over half-empty pages.
  bool Refill(uint32_t size_class);
  // One lap, at most, over the pages, from where the last one ended.
  bool RefillFromHints(uint32_t size_class);
  bool RefillFromFreePages(uint32_t size_class);
  bool TakeHinted(uint32_t page, uint32_t size_class);
  bool Format(uint32_t page, uint32_t size_class);
  Ref BuildSpan(SharedWord& word, uint32_t pages);
  bool ClaimPages(uint32_t start, uint32_t count);

  // What this participant drains: the page's word, and the counts of its blocks, which are all
  // free.
  struct Drained {
    PageWord word;
    uint64_t sum = 0;
    uint64_t highest = 0;
  };

  // Memory is short: makes findable whatever can be.
  void Gather();
  // Turns into free pages the small pages whose blocks are all free, and the free spans.
  void ReclaimPages();
  // Those that begin in these pages.
  void DrainPages(uint32_t first, uint32_t count);
  bool IsWorthDraining(const Page& page, PageWord word) const;
  // Whether the page, or span, still has this word, and nothing but free blocks; notes the counts.
  bool AllFree(uint32_t number, Drained& drained);
  void StopDraining(uint32_t number, PageWord draining);
  // Makes free pages of what is drained and was all free before the last scan, or else what it was
  // before. Returns whether it has done the former.
  bool FreeDrained(uint32_t number, const Drained& before);

  const Context context_;
  Ledger& ledger_;
  List lists_[kClasses + 1];
  IndexStack unused_;  // cache words that name nothing
  std::array<Cached, kCached> cached_;
  uint32_t cache_end_ = 0;       // as in the ledger
  std::vector<Ref> held_;        // of the last scan
  const uint32_t first_page_;    // where this participant begins to look for free pages
  uint32_t cursor_;              // the page at which the next lap over free pages begins
  uint32_t hint_cursor_ = 0;     // and over hints
  bool maybe_hinted_[kClasses];  // false: the last lap found no hint, and this participant gave
                                 // none since, but of blocks that were held
  uint32_t span_cursor_;         // where the next search for a span begins, downwards
  uint32_t cached_span_pages_ = 0;
};

// ---- What each Put goes through.

KILL9_ALWAYS_INLINE Ref Heap::Allocate(SharedWord& word, size_t bytes) {
  if (bytes <= kMaxSmallBytes) [[likely]] {
    const uint32_t size_class = ClassOf(bytes);
    if (Ref ref = TakeClean(word, lists_[size_class]); ref != 0) [[likely]]
      return ref;
    return FindSmall(word, size_class);
  }
  const size_t pages = (bytes + kPageBytes - 1) / kPageBytes;
  return pages <= context_.page_count() ? AllocateSpan(word, static_cast<uint32_t>(pages)) : 0;
}

// Dies before the CAS of the state → `word` names a block that is not the victim's: recovery sees
// that its state is not Owned(victim), and hints it if it is Free. Dies after → Owned(victim) and
// named: freed.
KILL9_ALWAYS_INLINE bool Heap::Take(SharedWord& word, Cached cached) {
  // Seq_cst, after Publish: pairs with DrainPages. Once the word has been seen unchanged the page
  // cannot be drained.
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

KILL9_ALWAYS_INLINE Ref Heap::TakeClean(SharedWord& word, List& list) {
  while (!list.clean.empty()) {
    const uint32_t number = list.clean.pop();
    // The one that will be taken next is written then: its lines are fetched for it now.
    if (!list.clean.empty()) context_.Fetch<true>(cached_[list.clean.back()].ref);
    const Cached cached = cached_[number];
    const bool taken = Take(word, cached);
    // Taken, `word` names it; not taken, it may be Free in a page that somebody has begun to drain.
    if (!taken) [[unlikely]]
      HintSmall(cached);
    Context::Clear(ledger_.cache[number]);
    unused_.push(number);
    if (taken) [[likely]]
      return cached.ref;
  }
  Context::Clear(word);
  return 0;
}

KILL9_ALWAYS_INLINE void Heap::NameInCache(uint32_t number, Cached cached) {
  if (number >= cache_end_) [[unlikely]] {
    cache_end_ = number + 1;
    // Before the name: who finds a victim's cache_end finds all names below it.
    context_.Note(ledger_.cache_end, cache_end_);
  }
  context_.Note(ledger_.cache[number], cached.ref);
  cached_[number] = cached;
}

KILL9_ALWAYS_INLINE void Heap::Keep(Cached cached, bool clean) {
  if (cached.page.kind() != PageKind::kSmall || unused_.empty() || !LiesInPage(cached))
      [[unlikely]] {
    KeepSpanOrMakeRoom(cached, clean);
    return;
  }
  const uint32_t number = unused_.pop();
  NameInCache(number, cached);
  List& list = lists_[cached.page.size_class()];
  (clean ? list.clean : list.dirty).push(number);
}

// Dies before the CAS → the block is Live, unreachable and named under a target (I3): recovery
// frees it. Dies after, before it is named in the cache or hinted → Free and named under a target
// (I4): recovery hints it. A successor sees → Free: somebody who recovered a participant that held
// it too was first.
KILL9_ALWAYS_INLINE void Heap::Removed(Ref ref) {
  BlockHeader* block = context_.block(ref);
  // Relaxed: the hold keeps the block from being used anew, so this is Live, or Free since.
  const BlockState state{block->state.load(std::memory_order_relaxed)};
  if (state.kind() != BlockKind::kLive) [[unlikely]]
    return;
  const BlockState freed = state.Next(BlockKind::kFree);
  uint64_t expected = state.bits;
  // Release: pairs with the acquire of Take: the next owner scans after the slot's change. [spare
  // release: that scan acquires the Clear of the hold, which comes later]
  if (!block->state.compare_exchange_strong(expected, freed.bits, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    return;
  }
  // Acquire: as in GiveBack.
  const PageWord page{context_.page(Context::PageOf(ref)).word.load(std::memory_order_acquire)};
  Keep({ref, freed, page}, /*clean=*/false);
}

}  // namespace kill9::cas_slots

#endif  // KILL9_VARIANTS_STORES_CAS_SLOTS_HEAP_H_

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
#ifndef KILL9_VARIANTS_CAS_SLOTS_HEAP_H_
#define KILL9_VARIANTS_CAS_SLOTS_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "variants/cas_slots/context.h"

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
  struct Cached {
    Ref ref;
    uint32_t number;   // of the ledger's cache word
    BlockState state;  // Free, as this participant left it or found it
    PageWord page;     // of the block's (first) page
  };
  struct List {
    std::vector<Cached> clean;
    std::vector<Cached> dirty;
  };
  static constexpr uint32_t kSpans = kClasses;  // the list of all spans, after those of the classes

  Ref AllocateSmall(SharedWord& word, uint32_t size_class);
  Ref AllocateSpan(SharedWord& word, uint32_t pages);
  Ref TakeClean(SharedWord& word, List& list, uint32_t span_pages);
  bool Take(SharedWord& word, const Cached& cached);

  // Names the block in the cache; or hints it, if there is no room.
  void Keep(Ref ref, BlockState state, PageWord page, bool clean);
  bool MakeRoom();
  void Drop(const Cached& cached, bool hint);
  // Scans for holds; what is dirty becomes clean, or is dropped because somebody holds it.
  void Scan();
  size_t CountSpans(const std::vector<Cached>& spans, uint32_t pages) const;
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

  // Memory is short: makes findable whatever can be.
  void Gather();
  // Turns into free pages the small pages whose blocks are all free, and the free spans.
  void ReclaimPages();
  void DrainPages(uint32_t first, uint32_t count);
  void DissolveSpan(uint32_t page);
  void Dissolve(Ref ref, PageWord head);

  const Context& context_;
  Ledger& ledger_;
  List lists_[kClasses + 1];
  std::vector<uint32_t> unused_;  // numbers of cache words that name nothing
  std::vector<Ref> held_;         // of the last scan
  const uint32_t first_page_;     // where this participant begins to look for free pages
  uint32_t cursor_;               // the page at which the next lap over free pages begins
  uint32_t hint_cursor_ = 0;      // and over hints
  bool maybe_hinted_[kClasses];   // false: the last lap found no hint, and this participant gave
                                  // none since
  uint32_t span_cursor_;          // where the next search for a span begins, downwards
  uint32_t cached_span_pages_ = 0;
};

}  // namespace kill9::cas_slots

#endif  // KILL9_VARIANTS_CAS_SLOTS_HEAP_H_

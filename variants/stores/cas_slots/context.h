// One participant's view of a cas_slots segment: where things are, its ledger, and the publishing
// of holds.
#ifndef KILL9_VARIANTS_STORES_CAS_SLOTS_CONTEXT_H_
#define KILL9_VARIANTS_STORES_CAS_SLOTS_CONTEXT_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"
#include "variants/segment/processor.h"
#include "variants/stores/cas_slots/layout.h"

// Functions of which each operation is made: a call of one would cost as much as it does.
#define KILL9_ALWAYS_INLINE [[gnu::always_inline]] inline

namespace kill9::cas_slots {

SegmentLayout LayoutOfSegments();
// kDataLoss if the header's parameters contradict each other or the segment's size.
absl::Status CheckParameters(const Segment& segment);
absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options);
// Makes this process take part in membarrier(2). Needed before it publishes a hold in a segment
// whose parameter kAsymmetric is 1. False: the kernel forbids it.
bool RegisterForBarriers();

class Context {
 public:
  // Of a participant, or of a process that recovers in order to become one (P4).
  // REQUIRES: the parameters have been checked.
  Context(std::shared_ptr<Segment> segment, const Participant& participant);

  uint64_t slot_count() const { return slot_count_; }
  uint32_t page_count() const { return page_count_; }
  uint32_t index() const { return index_; }
  Ledger& ledger() const { return *ledger_; }
  const ParticipantTable& participants() const { return participants_; }
  const Segment& segment() const { return *segment_; }
  Ledger& ledger_of(uint32_t participant) const {
    return participants_.ledger_as<Ledger>(participant);
  }

  // The words of a participant's cache that may name something.
  std::span<SharedWord> CacheOf(uint32_t participant) const {
    Ledger& ledger = ledger_of(participant);
    // Acquire: pairs with the Note of cache_end, for what was noted before it. [spare acquire: who
    // recovers the dead knows all that they did; of who lives a name may be missed, as a later one]
    return {ledger.cache,
            std::min<size_t>(Named(ledger.cache_end.load(std::memory_order_acquire)), kCached)};
  }

  uint64_t SlotOf(uint64_t hash) const {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(hash) * slot_count_ >> 64);
  }
  SharedWord& slot(uint64_t number) const { return slots_[number]; }
  Page& page(uint32_t number) const { return pages_[number]; }
  // No block that has ever been in the page had a higher count (I1). Raised by whoever frees the
  // page; read by whoever makes blocks in it.
  SharedWord& floor(uint32_t page) const { return floors_[page]; }
  void RaiseFloor(uint32_t page, uint64_t count) const;

  static constexpr uint32_t PageOf(Ref ref) {
    return static_cast<uint32_t>((ref - 1) / kGranulesInPage);
  }
  static constexpr Ref FirstOf(uint32_t page) {
    return static_cast<Ref>(page * kGranulesInPage + 1);
  }
  static constexpr Ref RefOf(uint32_t page, uint32_t size_class, uint32_t number) {
    return FirstOf(page) + number * (kClassBytes[size_class] / uint32_t{kGranuleBytes});
  }
  // Of a page that is small, or a span.
  static constexpr Ref RefOf(uint32_t page, PageWord word, uint32_t number) {
    return word.is_small() ? RefOf(page, word.size_class(), number) : FirstOf(page);
  }
  // Whether a block's header, at least, can be there.
  bool IsPlace(Ref ref) const { return ref - 1 < granules_; }
  // Whether the entry, as its header says, ends within the heap. REQUIRES: IsPlace.
  bool IsWhole(const BlockHeader* entry) const {
    const char* const end = reinterpret_cast<const char*>(entry + 1) + entry->key_bytes;
    return end + entry->value_bytes <= heap_end_;
  }
  // The same of a node.
  bool IsWholeNode(const BlockHeader* node) const {
    return node->items <= kMaxNodeItems &&
           reinterpret_cast<const char*>(node) + NodeBytes(node->items) <= heap_end_;
  }
  PageWord Checked(uint32_t page, PageWord word) const { return word.Checked(page, page_count_); }
  // REQUIRES of `ref`, here and where nothing else is said: IsPlace.
  BlockHeader* block(Ref ref) const {
    return reinterpret_cast<BlockHeader*>(heap_ + (ref - 1) * kGranuleBytes);
  }
  // Begins to fetch the first lines of a block. `ref` may be anything that a slot word has named: a
  // fetch is harmless.
  template <bool kToWrite>
  void Fetch(Ref ref) const {
    const char* at = reinterpret_cast<const char*>(block(ref));
    Prefetch(at, kToWrite);
    Prefetch(at + kLineBytes, kToWrite);
  }
  // The block's number in its page, if a block begins there in a page of such a word, which has
  // been checked; else -1.
  static int NumberOf(Ref ref, PageWord word);

  // What a ledger word says when it names something.
  uint64_t Name(uint64_t what) const { return tag_ | what; }
  static constexpr Ref Named(uint64_t word) { return static_cast<Ref>(word); }
  static constexpr uint32_t GenerationIn(uint64_t word) {
    return static_cast<uint32_t>(word >> 32);
  }

  // Names `what` in the own ledger so that every scan that begins later sees it, or the caller's
  // next (seq_cst) load sees what the scanner did before: the store of Dekker's algorithm, I5.
  // Where the kernel has membarrier(2) the scanner pays for both sides, and this is a plain store
  // that the compiler may not move.
  void Publish(SharedWord& word, uint64_t what) const {
    if (asymmetric_) {
      // Release: pairs with the acquire of CollectHolds, for whatever this word protected before.
      // [spare release under compiler: the fence below keeps at a death what comes before it]
      word.store(Name(what), std::memory_order_release);
      // [spare fence under compiler: what is stored after it is updated or released; it holds back
      // loads, which no model weakens]
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      word.store(Name(what), std::memory_order_seq_cst);
    }
  }
  // Notes what must be in the ledger if this participant dies at the next instruction. Release:
  // recoverers find what was stored before it, too.
  void Note(SharedWord& word, uint64_t what) const {
    // [spare release: what depends on it at a death comes after a later update or release, and who
    // lives is told by those]
    word.store(Name(what), std::memory_order_release);
  }
  // Release: pairs with the acquire of CollectHolds: who finds the hold gone may write where it was
  // read.
  static void Clear(SharedWord& word) { word.store(0, std::memory_order_release); }

  // Says that the block, which is Free, may be taken (I4). Harmless if it is not, and of any `ref`.
  void Hint(Ref ref) const;

  // What participants held at a moment after the call: sorted, in the caller's vector. A block that
  // was unreachable before the call and is not in it will never be read again until it is
  // published.
  void CollectHolds(std::vector<Ref>& held) const;

 private:
  void Barrier() const;

  std::shared_ptr<Segment> segment_;
  ParticipantTable participants_;
  SharedWord* slots_;
  Page* pages_;
  SharedWord* floors_;
  char* heap_;
  const char* heap_end_;
  uint64_t slot_count_;
  uint32_t page_count_;
  uint32_t granules_;
  uint32_t index_;
  uint64_t tag_;
  Ledger* ledger_;
  bool asymmetric_;
};

}  // namespace kill9::cas_slots

#endif  // KILL9_VARIANTS_STORES_CAS_SLOTS_CONTEXT_H_

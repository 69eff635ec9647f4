// cas_slots: the layout of its segments, and the invariants that everything else cites.
//
// The index is an array of 64-bit slot words. A key belongs to one slot word, by its hash; the word
// is the whole truth about all keys that belong to it, and every change to any of them is one CAS
// on it:
//
//     Empty(clock)                  no key; `clock` is greater than every version ever given here
//     Entry(ref, tag)               one key, in the entry block `ref`
//     Pair(first, second)           two keys, in these entry blocks
//     Node(ref, struck, tag)        several keys: the node block `ref` lists their entries;
//                                   `struck` is the item that was struck out last, if any (I8)
//
// The slot's clock counts the changes of the word. Empty's word has it. Of the others it is the
// clock field of the block that the word names, of a Pair the larger of the two; of a Node plus one
// for each item that is struck out; an Entry that has been one of a Pair, whose other entry was
// erased, lags behind it by no more than the tag can tell. The tag is the clock's low bits. An
// entry's version is the clock of its publication, so versions grow at every change of the slot,
// across erase and re-insert too. There is no probing, hence nothing that decays under churn.
//
// The heap is an array of 2 KiB pages, each described by two words outside the page: the page word
// says what the page is, the hints say which of its blocks may be free. A block starts with its
// state word. A third word of each page remembers how far the counts of its blocks have come.
//
//   Block state:  Free(n) --Take--> Owned(p) --publish--> Live --remove--> Free(n+3)
//                   ^------give back------'
//
// I1  A block's state word is the truth of who owns it; it changes by CAS, except Owned(p) by p
//     itself. Its count grows at each change, so a word read earlier never matches again after a
//     change; across all that its page is meanwhile, too: whoever frees a page raises the page's
//     floor to the counts in it first, and whoever makes blocks in it begins above. (50 bits: 30
//     million changes a second of one block take more than a year.)
// I2  A block that is Owned(p) is named in p's ledger (scratch, new_entry, new_node, drafts), from
//     before the CAS that makes it so until after the store that ends it.
// I3  A block that is Live is reachable from its slot word; or it is named in the ledger of a
//     participant whose `target` is that slot, in new_* (not yet published, or published and
//     removed) or *_hold (just removed). Whoever finds it unreachable and so named may free it; the
//     CAS lets one win.
// I4  A block that is Free and in a page that is not is hinted in its page, or named in somebody's
//     ledger (scratch, new_*, cache; or *_hold with a target). A hint may be wrong, never missing.
// I5  A reader touches a block's content only while a hold of its own names it, published before it
//     checked that the slot word still leads there (or, in recovery, that the victim's ledger still
//     names it). Whoever takes a free block writes its content only after a scan that began after
//     the block became unreachable found no hold on it.
// I6  Nobody names, or can come to name with success, any block of a page that is Free; page words
//     change by CAS, except Owned(p) by p itself. A page that is Owned(p) or Draining(p), or a
//     SpanBody whose head is Owned(p), lies in the range of p's page_start and page_count. So does
//     a SpanDraining of p; or its block is named in p's cache.
// I7  While p's target is not 0, p's *_hold name what the slot's word led to when p read it, and
//     p's new_* name blocks that p owns or has published there; they are named before the target is
//     set and unnamed (new_*) or changed (*_hold) only with the target 0 or after their blocks'
//     fate is sealed.
// I8  A node's items never change. Struck out are the item that the word names, and those whose bit
//     is set in the node; a bit is set only for an item that the slot word has named, and before
//     the word names another; none is ever cleared. So no word comes back while its node is there,
//     and who sees a bit that the word at its last look did not account for can no longer change
//     that word.
//
// Damage. A segment may come from anywhere, and one word of it may say anything. So no operation
// believes an offset, a size or a number before it has compared it with the segment's size (of
// which each Context has a copy of its own): where it does not fit, the operation ends with
// kDataLoss, and a page of no kind is left alone. A wrong word that fits may show wrong values, or
// spoil others, but leads nobody out of the mapping, and into no loop: a slot leads to entries, or
// through one node to entries, and each loop is over a number of things that was checked, or goes
// on only while others change what it looks at.
#ifndef KILL9_VARIANTS_STORES_CAS_SLOTS_LAYOUT_H_
#define KILL9_VARIANTS_STORES_CAS_SLOTS_LAYOUT_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace kill9::cas_slots {

using SharedWord = std::atomic<uint64_t>;
static_assert(SharedWord::is_always_lock_free && sizeof(SharedWord) == 8);

// A block's place: the number of its first 32-byte granule in the heap, plus 1; 0 is none.
using Ref = uint32_t;

inline constexpr uint32_t kLayoutVersion = 6;
inline constexpr size_t kGranuleBytes = 32;
inline constexpr size_t kPageBytes = 2048;
inline constexpr size_t kLineBytes = 64;  // of the processor's caches
inline constexpr size_t kGranulesInPage = kPageBytes / kGranuleBytes;
inline constexpr size_t kMaxPages = size_t{1} << 24;  // what a page word can name: 32 GiB
inline constexpr size_t kMaxKeyBytes = 1024;
inline constexpr uint64_t kSlotsPerEntry = 4;  // of the entries that are expected

// ---- Slot words.

enum class SlotKind : uint32_t { kEmpty = 0, kEntry = 1, kNode = 2, kPair = 3 };

// By how much the older entry of a Pair may lag behind the slot's clock; beyond it the two are
// listed by a node. An Entry's tag tells twice as much, so that no word comes back while its entry
// is there.
inline constexpr uint64_t kMaxClockLag = uint64_t{1} << 29;

struct SlotWord {
  uint64_t bits = 0;

  static constexpr SlotWord Empty(uint64_t clock) { return {clock << 2}; }
  static constexpr SlotWord Entry(Ref ref, uint64_t clock) {
    return {static_cast<uint64_t>(SlotKind::kEntry) | uint64_t{ref} << 2 | clock << 34};
  }
  // `struck`: the number of the item that was struck out last, plus 1; 0: none is struck out.
  static constexpr SlotWord Node(Ref ref, uint32_t struck, uint64_t clock) {
    return {static_cast<uint64_t>(SlotKind::kNode) | uint64_t{ref} << 2 | uint64_t{struck} << 34 |
            clock << 42};
  }
  // REQUIRES: the refs are below 2^31.
  static constexpr SlotWord Pair(Ref first, Ref second) {
    return {static_cast<uint64_t>(SlotKind::kPair) | uint64_t{first} << 2 | uint64_t{second} << 33};
  }
  constexpr SlotKind kind() const { return static_cast<SlotKind>(bits & 3); }
  // Of Entry and Node.
  constexpr Ref ref() const { return static_cast<Ref>(bits >> 2); }
  // Of Pair.
  constexpr Ref first() const { return static_cast<Ref>(bits >> 2 & 0x7fffffff); }
  constexpr Ref second() const { return static_cast<Ref>(bits >> 33); }
  // Whether `ref` stands in the word itself.
  constexpr bool Names(Ref ref) const {
    if (kind() == SlotKind::kPair) return ref == first() || ref == second();
    return kind() != SlotKind::kEmpty && ref == this->ref();
  }
  constexpr uint64_t empty_clock() const { return bits >> 2; }
  // Of Node: as in Node().
  constexpr uint32_t struck() const { return static_cast<uint32_t>(bits >> 34 & 0xff); }
  // Of Entry: the slot's clock, by that of the entry.
  constexpr uint64_t ClockFrom(uint64_t entry_clock) const {
    return entry_clock + (((bits >> 34) - entry_clock) & ((uint64_t{1} << 30) - 1));
  }
  // Of Node: whether the tag is that of `clock`.
  constexpr bool TagIs(uint64_t clock) const { return bits >> 42 == (clock & ((1u << 22) - 1)); }
  friend constexpr bool operator==(SlotWord, SlotWord) = default;
};

static_assert(SlotWord::Entry(~Ref{0}, 5).ref() == ~Ref{0} &&
              SlotWord::Entry(1, 5).ClockFrom(5) == 5 &&
              SlotWord::Entry(1, (uint64_t{1} << 40) + 1).ClockFrom((uint64_t{1} << 40) - 1) ==
                  (uint64_t{1} << 40) + 1);
static_assert(SlotWord::Pair(0x7fffffff, 1).first() == 0x7fffffff &&
              SlotWord::Pair(1, 0x7fffffff).second() == 0x7fffffff &&
              SlotWord::Pair(1, 0x7fffffff).first() == 1 &&
              SlotWord::Pair(0x7fffffff, 0x7fffffff).kind() == SlotKind::kPair);
static_assert(kMaxPages * kGranulesInPage <= 0x7fffffff);
static_assert(SlotWord::Node(~Ref{0}, 0xff, 7).ref() == ~Ref{0} &&
              SlotWord::Node(1, 0x81, 7).struck() == 0x81 && SlotWord::Node(1, 1, 7).TagIs(7));

// ---- Blocks.

enum class BlockKind : uint32_t { kNone = 0, kFree = 1, kOwned = 2, kLive = 3 };

struct BlockState {
  uint64_t bits = 0;

  constexpr BlockKind kind() const { return static_cast<BlockKind>(bits & 3); }
  constexpr uint32_t owner() const { return static_cast<uint32_t>(bits >> 2 & 0xfff); }
  constexpr bool OwnedBy(uint32_t participant) const {
    return kind() == BlockKind::kOwned && owner() == participant;
  }
  constexpr uint64_t count() const { return bits >> 14; }
  // The first state of a block in a page with this floor.
  static constexpr BlockState First(uint64_t floor, BlockKind kind, uint32_t participant = 0) {
    return BlockState{floor << 14}.Next(kind, participant);
  }
  constexpr BlockState Next(BlockKind next, uint32_t participant = 0) const {
    return {static_cast<uint64_t>(next) | uint64_t{participant} << 2 | ((bits >> 14) + 1) << 14};
  }
};

inline constexpr size_t kStruckWords = 2;

// Before an entry's key and value (adjacent), or a node's bits of struck out items and its items.
// All but `state` and these bits is written by the block's owner before it is published, and read
// under a hold.
struct BlockHeader {
  SharedWord state;      // I1
  uint64_t clock;        // the slot's clock at publication; of an entry, its version
  uint32_t value_bytes;  // entry
  uint16_t key_bytes;    // entry
  uint16_t items;        // node

  char* key() { return reinterpret_cast<char*>(this + 1); }
  char* value() { return key() + key_bytes; }
  SharedWord* struck() { return reinterpret_cast<SharedWord*>(this + 1); }  // bit i: item i (I8)
  uint64_t* item() { return reinterpret_cast<uint64_t*>(this + 1) + kStruckWords; }
};
static_assert(sizeof(BlockHeader) == 24 && alignof(BlockHeader) == 8 &&
              std::is_standard_layout_v<BlockHeader>);

// A node's item: the entry's ref, and the low half of its key's hash (the slot is chosen by the
// high one).
constexpr uint64_t PackItem(Ref ref, uint64_t hash) { return uint64_t{ref} | hash << 32; }
constexpr Ref ItemRef(uint64_t item) { return static_cast<Ref>(item); }
constexpr bool ItemMayBe(uint64_t item, uint64_t hash) { return item >> 32 == (hash & 0xffffffff); }
constexpr size_t NodeBytes(size_t items) {
  return sizeof(BlockHeader) + 8 * (kStruckWords + items);
}

// The items of a node that are struck out, as its slot word and its bits say (I8).
// REQUIRES: the node is held, and the hold was validated against the word.
class StruckItems {
 public:
  StruckItems(BlockHeader* node, SlotWord word) {
    for (size_t i = 0; i < kStruckWords; ++i) {
      // Relaxed: what `word` accounts for was set before it was published; more is of no harm.
      bits_[i] = node->struck()[i].load(std::memory_order_relaxed);
    }
    if (word.struck() != 0) bits_[(word.struck() - 1) / 64 % kStruckWords] |= BitOf(word.struck());
  }
  bool Has(uint32_t item) const { return (bits_[item / 64] >> item % 64 & 1) != 0; }
  uint32_t count() const {
    uint32_t count = 0;
    for (const uint64_t bits : bits_) count += static_cast<uint32_t>(std::popcount(bits));
    return count;
  }
  // Sets in the node the bit of the item that the word names, if any, so that the word may name
  // another. Whoever does so again changes nothing.
  static void Settle(BlockHeader* node, SlotWord word) {
    if (word.struck() == 0) return;
    // Relaxed: the caller's CAS of the slot word publishes it.
    node->struck()[(word.struck() - 1) / 64 % kStruckWords].fetch_or(BitOf(word.struck()),
                                                                     std::memory_order_relaxed);
  }

 private:
  static uint64_t BitOf(uint32_t struck) { return uint64_t{1} << (struck - 1) % 64; }

  std::array<uint64_t, kStruckWords> bits_;
};

// ---- Pages.

// The block sizes of small pages: multiples of a granule. Larger blocks are spans of whole pages.
inline constexpr std::array<uint16_t, 12> kClassBytes = {32,  64,  96,  128, 160, 192,
                                                         256, 320, 384, 512, 672, 1024};
inline constexpr uint32_t kClasses = kClassBytes.size();
inline constexpr size_t kMaxSmallBytes = kClassBytes.back();
inline constexpr size_t kMaxNodeItems = (kMaxSmallBytes - NodeBytes(0)) / 8;
static_assert(kMaxNodeItems <= 64 * kStruckWords && kMaxNodeItems < 0xff);

constexpr uint32_t BlocksInPage(uint32_t size_class) {
  return static_cast<uint32_t>(kPageBytes / kClassBytes[size_class]);
}
constexpr uint64_t AllHints(uint32_t size_class) {
  return ~uint64_t{0} >> (64 - BlocksInPage(size_class));
}
// By the number of granules.
inline constexpr auto kClassOfGranules = [] {
  std::array<uint8_t, kMaxSmallBytes / kGranuleBytes + 1> classes{};
  uint8_t size_class = 0;
  for (size_t granules = 0; granules < classes.size(); ++granules) {
    if (kClassBytes[size_class] < granules * kGranuleBytes) ++size_class;
    classes[granules] = size_class;
  }
  return classes;
}();
// REQUIRES: at most kMaxSmallBytes.
constexpr uint32_t ClassOf(size_t bytes) {
  return kClassOfGranules[(bytes + kGranuleBytes - 1) / kGranuleBytes];
}
// By the class in a page word: the last granule of a page at which such a block can begin; -1 for
// what is no class.
inline constexpr auto kLastGranule = [] {
  std::array<int8_t, 32> last{};
  last.fill(-1);
  for (uint32_t i = 0; i < kClasses; ++i) {
    last[i] = static_cast<int8_t>((kPageBytes - kClassBytes[i]) / kGranuleBytes);
  }
  return last;
}();
static_assert(BlocksInPage(0) == 64 && AllHints(0) == ~uint64_t{0} && AllHints(11) == 3);
static_assert(ClassOf(1) == 0 && ClassOf(32) == 0 && ClassOf(33) == 1 && ClassOf(193) == 6 &&
              ClassOf(257) == 7 && ClassOf(1024) == kClasses - 1);

enum class PageKind : uint32_t {
  kFree = 0,          // nothing in it
  kOwned = 1,         // argument: the participant that is building or dissolving it
  kSmall = 2,         // argument: the class of its blocks
  kDraining = 3,      // arguments: class and participant; small, its free blocks may not be taken
  kSpanHead = 4,      // argument: the pages of the one block that begins here
  kSpanBody = 5,      // argument: the number of the head page
  kSpanDraining = 6,  // argument: as of kSpanHead; the block, if it is free, may not be taken
};

struct PageWord {
  uint64_t bits = 0;

  constexpr PageKind kind() const { return static_cast<PageKind>(bits & 7); }
  constexpr uint32_t argument() const { return static_cast<uint32_t>(bits >> 3 & 0xffffff); }
  // Of kSmall and kDraining.
  constexpr uint32_t size_class() const { return argument() & 31; }
  constexpr bool is_small() const {
    return kind() == PageKind::kSmall || kind() == PageKind::kDraining;
  }
  constexpr bool is_span() const {
    return kind() == PageKind::kSpanHead || kind() == PageKind::kSpanDraining;
  }
  constexpr bool is_draining() const {
    return kind() == PageKind::kDraining || kind() == PageKind::kSpanDraining;
  }
  // Of small pages and spans.
  constexpr uint32_t blocks() const { return is_small() ? BlocksInPage(size_class()) : 1; }
  constexpr uint32_t pages() const { return is_small() ? 1 : argument(); }
  constexpr bool OwnedBy(uint32_t participant) const {
    return kind() == PageKind::kOwned && argument() == participant;
  }
  constexpr bool DrainingBy(uint32_t participant) const {
    return kind() == PageKind::kDraining && argument() >> 5 == participant;
  }
  constexpr PageWord Next(PageKind next, uint32_t argument = 0) const {
    return {static_cast<uint64_t>(next) | uint64_t{argument} << 3 | ((bits >> 27) + 1) << 27};
  }
  // Of small pages and spans. Where a span drains already, the word still changes.
  constexpr PageWord NextDraining(uint32_t participant) const {
    return is_small() ? Next(PageKind::kDraining, participant << 5 | size_class())
                      : Next(PageKind::kSpanDraining, argument());
  }
  // Of what is draining: what it was before.
  constexpr PageWord NextNotDraining() const {
    return is_small() ? Next(PageKind::kSmall, size_class())
                      : Next(PageKind::kSpanHead, argument());
  }
  // What the page at `number` can be, among so many; else (the segment is damaged) a word of no
  // kind, which everybody leaves alone.
  constexpr PageWord Checked(uint32_t number, uint32_t pages) const {
    switch (kind()) {
      case PageKind::kFree:
      case PageKind::kOwned:
        return *this;
      case PageKind::kSmall:
      case PageKind::kDraining:
        return size_class() < kClasses ? *this : None();
      case PageKind::kSpanHead:
      case PageKind::kSpanDraining:
        return argument() != 0 && argument() <= pages - number ? *this : None();
      case PageKind::kSpanBody:
        return argument() < pages ? *this : None();
    }
    return None();
  }
  static constexpr PageWord None() { return {7}; }
  friend constexpr bool operator==(PageWord, PageWord) = default;
};
static_assert(PageWord{}.Next(PageKind::kSmall, 11).NextDraining(4095).DrainingBy(4095));
static_assert(PageWord{}.Next(PageKind::kSmall, 11).NextDraining(4095).NextNotDraining() ==
              PageWord{}.Next(PageKind::kFree).Next(PageKind::kFree).Next(PageKind::kSmall, 11));
static_assert(PageWord{}.Next(PageKind::kSpanHead, 9).NextDraining(1).pages() == 9);
static_assert(kClasses <= 32 && kMaxPages - 1 <= 0xffffff);

struct Page {
  SharedWord word;   // I6
  SharedWord hints;  // bit i: block i may be free (I4); of a span: bit 0
};
static_assert(sizeof(Page) == 16 && std::is_standard_layout_v<Page>);

// ---- Ledgers.

inline constexpr size_t kDrafts = 64;
inline constexpr size_t kPins = 64;
inline constexpr size_t kCached = 256;

// What one participant holds. A word names a block, a slot (plus 1) or a page (plus 1) in its low
// half, and its writer's generation in its high half, so that a recoverer that comes too late can
// never clear the word of the slot's next owner. Written by the participant; cleared by recoverers
// once it is dead; read by whoever scans for holds.
struct alignas(64) Ledger {
  SharedWord entry_hold;     // the entry that the operation reads or removes
  SharedWord node_hold;      // the node, or the second entry of a Pair, likewise
  SharedWord new_entry;      // the entry being made
  SharedWord new_node;       // the node being made
  SharedWord target;         // the slot that is about to change (I7)
  SharedWord recovery_hold;  // the victim's block that this participant is returning
  SharedWord recovery_node;  // the node in which it looks whether that block is reachable
  SharedWord scratch;        // a block that the heap is looking at, or the first of such a page

  SharedWord page_start;  // the pages being built, drained or dissolved; set after page_count,
  SharedWord page_count;  // cleared before it
  SharedWord cache_end;   // no word of `cache` at or beyond it names anything; 0 again only when
                          // all have been cleared
  uint64_t reserved[5];

  SharedWord drafts[kDrafts];
  SharedWord pins[kPins];
  SharedWord cache[kCached];  // free blocks that nobody hinted, to be used again soon
};
static_assert(sizeof(Ledger) == 3200 && std::is_standard_layout_v<Ledger>);

// The design's parameters in the segment's header.
enum Parameter : uint32_t {
  kSlotCount = 0,
  kSlotsOffset = 1,
  kPageCount = 2,
  kPagesOffset = 3,
  kHeapOffset = 4,
  kAsymmetric = 5,  // 1: holds are published without a fence; scanners issue membarrier(2)
  kFloorsOffset = 6,
};

}  // namespace kill9::cas_slots

#endif  // KILL9_VARIANTS_STORES_CAS_SLOTS_LAYOUT_H_

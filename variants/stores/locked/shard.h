// One lock domain of the locked designs: a robust mutex, its journal, its part of the hash table
// and its arena. global_mutex has one, striped_locks has many.
//
// D1  Everything in a shard is read and changed only by the holder of its mutex, except the bytes
//     of a value that is pinned (nobody changes them) or drafted (its drafter alone does).
// D2  EOWNERDEAD never reaches pthread_mutex_consistent before the journal has been undone
//     (ShardGuard).
// D3  An entry is linked in exactly one chain, that of its hash, in the shard of its hash; its
//     block may lie in another shard's arena (space is borrowed).
// D4  `pins` of an entry is the number of ledger rows, of living and dead participants, that pin
//     it. It changes in one transaction with the row, so no death can part the two.
// D5  An entry that is neither linked nor pinned has no block, unless a ledger row owns the block.
#ifndef KILL9_VARIANTS_STORES_LOCKED_SHARD_H_
#define KILL9_VARIANTS_STORES_LOCKED_SHARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "variants/segment/processor.h"
#include "variants/segment/robust_mutex.h"
#include "variants/segment/short_bytes.h"
#include "variants/store.h"
#include "variants/stores/locked/heap.h"
#include "variants/stores/locked/journal.h"

namespace kill9::locked {

inline constexpr size_t kMaxKeyBytes = 1024;

// Names an entry in a chain: its offset / 16, 0: none. Half a word, so that the buckets, which
// every operation reads at random, take half the cache.
using Ref = uint32_t;
inline constexpr uint64_t kRefUnit = 16;
inline constexpr uint64_t kMaxSegmentBytes = (uint64_t{1} << 32) * kRefUnit;

// The payload of a block that holds an entry: this, the key padded to 8 bytes, the value.
struct Entry {
  uint64_t next;   // Ref of the next entry of the chain
  uint64_t state;  // hash tag << 32 | pins << 1 | linked
  Version version;
  uint32_t key_size;
  uint32_t value_size;

  static constexpr uint64_t kLinked = 1;
  static constexpr uint64_t kOnePin = 2;
  static constexpr uint64_t kMostPins = UINT32_MAX / kOnePin;  // the hash tag begins there

  static uint64_t Bytes(size_t key_size, size_t value_size) {
    return sizeof(Entry) + (key_size + 7) / 8 * 8 + value_size;
  }
  static uint64_t Unlinked(uint64_t hash) { return hash & ~uint64_t{0xffffffff}; }
  char* key_data() { return reinterpret_cast<char*>(this) + sizeof(Entry); }
  char* value_data() { return key_data() + (key_size + 7) / 8 * 8; }
  std::string_view key() { return {key_data(), key_size}; }
  std::string_view value() { return {value_data(), value_size}; }
  bool linked() const { return (state & kLinked) != 0; }
  uint64_t pins() const { return (state & 0xffffffff) / kOnePin; }
  // What can be told before it is known that the key's bytes are there.
  bool MayMatch(uint64_t hash, size_t wanted_size) const {
    return state >> 32 == hash >> 32 && key_size == wanted_size;
  }
  bool Matches(uint64_t hash, std::string_view wanted) {
    return MayMatch(hash, wanted.size()) && SameBytes(key_data(), wanted.data(), wanted.size());
  }
};
// With the heap's header of 16 bytes, a key of 16 and a value of 64: two lines, the value in its
// own. The version and the sizes are one run of words (OverwriteInPlace).
static_assert(sizeof(Entry) == 32 && offsetof(Entry, key_size) == offsetof(Entry, version) + 8 &&
              std::is_trivially_copyable_v<Entry> && std::is_standard_layout_v<Entry>);

// Where a Ref stands: the lower or the upper half of a word, of a bucket or of an entry's `next`.
struct Link {
  uint64_t* word;
  uint32_t shift;

  Ref ref() const { return static_cast<Ref>(*word >> shift); }
  void Set(Journal& journal, Ref ref) const {
    journal.Set(word, (*word & ~(uint64_t{UINT32_MAX} << shift)) | uint64_t{ref} << shift);
  }
};

struct ShardHeader {
  alignas(64) RobustMutex mutex;
  // Written under the mutex, outside the journal: a version that an undone operation took is never
  // given again.
  Version last_version;
  // Whose journal has this shard's unfinished transaction (J5): JournalOwner::id, or 0.
  uint64_t writer;
  alignas(64) Heap::Header heap;
};
static_assert(std::is_standard_layout_v<ShardHeader> && offsetof(ShardHeader, heap) == 64);

// A process's view of a shard.
class Shard {
 public:
  // `arenas`: of all shards, since an entry may lie in another's. `own`: this shard's among them.
  Shard(char* base, ShardHeader& shard_header, uint64_t* buckets, uint64_t bucket_count,
        ByteRange arenas, ByteRange own)
      : heap(base, shard_header.heap, own),
        header(&shard_header),
        base_(base),
        buckets_(buckets),
        bucket_mask_(bucket_count - 1),
        first_ref_(static_cast<Ref>((arenas.begin + Heap::kBlockHeaderBytes) / kRefUnit)),
        ref_count_(static_cast<Ref>((arenas.end - sizeof(Entry)) / kRefUnit - first_ref_ + 1)),
        arenas_end_(arenas.end) {}

  // Where an entry is, or would be.
  struct Place {
    Link link;     // of no word: the chain is damaged
    Entry* entry;  // null: absent, or damaged
    bool damaged() const { return link.word == nullptr; }
    Version version() const { return entry == nullptr ? kAbsent : entry->version; }
  };
  Place Find(uint64_t hash, std::string_view key) const {
    return FindFrom(LinkOf(BucketOf(hash)), hash, key);
  }
  // With the bucket that Prefetch returned.
  Place FindFrom(Link link, uint64_t hash, std::string_view key) const {
    uint32_t steps_left = most_entries();
    while (const Ref ref = link.ref()) {
      if (!CanBeEntry(ref) || --steps_left == 0) [[unlikely]]
        return {{nullptr, 0}, nullptr};
      Entry* entry = At(ref);
      if (entry->MayMatch(hash, key.size())) {
        if (!IsReadable(*entry)) [[unlikely]]
          return {{nullptr, 0}, nullptr};
        if (SameBytes(entry->key_data(), key.data(), key.size())) return {link, entry};
      }
      link = {&entry->next, 0};
    }
    return {link, nullptr};
  }
  // Whether an entry's fixed part would lie in an arena.
  bool CanBeEntry(Ref ref) const { return ref - first_ref_ < ref_count_; }
  // Whether key and value of a linked entry lie in the arenas: enough to read them, and without the
  // block's header, whose line nobody else needs. REQUIRES: CanBeEntry.
  bool IsReadable(const Entry& entry) const {
    return OffsetOf(&entry) + Entry::Bytes(entry.key_size, entry.value_size) <= arenas_end_ &&
           entry.version != kAbsent;
  }
  // Whether they lie in the entry's block, and that in the arenas: whoever writes there asks.
  bool IsInItsBlock(const Entry& entry) const {
    const uint64_t payload = OffsetOf(&entry);
    const uint64_t block_bytes = heap.BlockBytes(payload);
    return Entry::Bytes(entry.key_size, entry.value_size) + Heap::kBlockHeaderBytes <=
               block_bytes &&
           block_bytes <= arenas_end_ - payload + Heap::kBlockHeaderBytes;
  }
  // The same, of a linked entry.
  bool IsSound(const Entry& entry) const { return IsInItsBlock(entry) && entry.version != kAbsent; }
  // No chain has more: a longer one is a ring.
  uint32_t most_entries() const {
    return static_cast<uint32_t>(ref_count_ / (Heap::kMinimumBlockBytes / kRefUnit) + 2);
  }
  Entry* At(Ref ref) const { return reinterpret_cast<Entry*>(base_ + ref * kRefUnit); }
  uint64_t OffsetOf(const Entry* entry) const {
    return static_cast<uint64_t>(reinterpret_cast<const char*>(entry) - base_);
  }
  Ref RefOf(const Entry* entry) const { return static_cast<Ref>(OffsetOf(entry) / kRefUnit); }
  // The low bits of a hash choose the shard, those above 12 the bucket, the upper half tells
  // entries apart.
  uint64_t BucketOf(uint64_t hash) const { return hash >> 12 & bucket_mask_; }
  // Fetches what an operation will need before it takes the mutex, which so is held for a shorter
  // time: the bucket, and both lines of the entry, which is where `remembered` says, or (0: nothing
  // is remembered) where the bucket leads just now. What is there may not be the key's entry any
  // more: nothing is believed before the mutex is held. Returns the bucket.
  enum class Access : uint8_t { kRead, kWrite };
  Link Prefetch(uint64_t hash, Access access, Ref remembered) const {
    PrefetchToWrite(&header->mutex);
    const Link link = LinkOf(BucketOf(hash));
    PrefetchToRead(link.word);
    if (remembered == 0) {
      // Relaxed: nothing is read through it.
      const uint64_t word = std::atomic_ref<uint64_t>(*link.word).load(std::memory_order_relaxed);
      remembered = static_cast<Ref>(word >> link.shift);
    }
    const char* guess = base_ + remembered * kRefUnit;
    for (const char* line : {guess, guess + 64}) kill9::Prefetch(line, access == Access::kWrite);
    return link;
  }
  void PrefetchBucket(uint64_t hash) const { PrefetchToRead(LinkOf(BucketOf(hash)).word); }
  uint64_t bucket_count() const { return bucket_mask_ + 1; }
  Ref bucket(uint64_t index) const { return LinkOf(index).ref(); }
  Version NextVersion() {
    Version& last = header->last_version;
    last += last + 1 == kAbsent ? 2 : 1;  // the former if it is damaged
    return last;
  }

  Heap heap;
  ShardHeader* header;

 private:
  // Two buckets to a word.
  Link LinkOf(uint64_t bucket) const {
    return {&buckets_[bucket / 2], static_cast<uint32_t>(bucket % 2 * 32)};
  }
  char* base_;
  uint64_t* buckets_;
  uint64_t bucket_mask_;
  Ref first_ref_;
  Ref ref_count_;
  uint64_t arenas_end_;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_SHARD_H_

// One lock domain of the locked designs: a robust mutex, its journal, its part of the hash table
// and its arena. global_mutex has one, striped_locks has many.
//
// D1  Everything in a shard is read and changed only by the holder of its mutex, except the bytes
//     of a value that is pinned (nobody changes them) or drafted (its drafter alone does).
// D2  EOWNERDEAD never reaches pthread_mutex_consistent before the journal has been undone
//     (Session).
// D3  An entry is linked in exactly one chain, that of its hash, in the shard of its hash; its
//     block may lie in another shard's arena (space is borrowed).
// D4  `pins` of an entry is the number of ledger rows, of living and dead participants, that pin
//     it. It changes in one transaction with the row, so no death can part the two.
// D5  An entry that is neither linked nor pinned has no block, unless a ledger row owns the block.
#ifndef KILL9_VARIANTS_LOCKED_SHARD_H_
#define KILL9_VARIANTS_LOCKED_SHARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "variants/locked/heap.h"
#include "variants/locked/journal.h"
#include "variants/robust_mutex.h"
#include "variants/store.h"

namespace kill9::locked {

// The payload of a block that holds an entry: this, the key padded to 8 bytes, the value.
struct Entry {
  uint64_t next;  // offset of the next entry of the chain, 0: none
  Version version;
  uint64_t state;  // hash tag << 32 | pins << 1 | linked
  uint32_t key_size;
  uint32_t value_size;

  static constexpr uint64_t kLinked = 1;
  static constexpr uint64_t kOnePin = 2;

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
  bool Matches(uint64_t hash, std::string_view wanted) {
    return state >> 32 == hash >> 32 && key() == wanted;
  }
};
// With the heap's header of 16 bytes, a key of 16 and a value of 64: two lines, the value in its own.
static_assert(sizeof(Entry) == 32 && std::is_trivially_copyable_v<Entry> &&
              std::is_standard_layout_v<Entry>);

struct ShardHeader {
  alignas(64) RobustMutex mutex;
  // Written under the mutex, outside the journal: a version that an undone operation took is never
  // given again.
  Version last_version;
  uint64_t
      writer;  // whose journal has this shard's unfinished transaction (J5): Hand::id, 0: nobody's
  alignas(64) Heap::Header heap;
};
static_assert(std::is_standard_layout_v<ShardHeader> && offsetof(ShardHeader, heap) == 64);

// A process's view of a shard.
class Shard {
 public:
  Shard(char* base, ShardHeader& shard_header, uint64_t* buckets, uint64_t bucket_count)
      : heap(base, shard_header.heap),
        header(&shard_header),
        base_(base),
        buckets_(buckets),
        bucket_mask_(bucket_count - 1) {}

  // Where an entry is, or would be: `link` is the word that points to it.
  struct Place {
    uint64_t* link;
    Entry* entry;  // null: absent
    Version version() const { return entry == nullptr ? kAbsent : entry->version; }
  };
  Place Find(uint64_t hash, std::string_view key) const {
    uint64_t* link = &buckets_[BucketOf(hash)];
    while (*link != 0) {
      Entry* entry = At(*link);
      if (entry->Matches(hash, key)) return {link, entry};
      link = &entry->next;
    }
    return {link, nullptr};
  }
  Entry* At(uint64_t offset) const { return reinterpret_cast<Entry*>(base_ + offset); }
  uint64_t OffsetOf(const Entry* entry) const {
    return static_cast<uint64_t>(reinterpret_cast<const char*>(entry) - base_);
  }
  // The low bits of a hash choose the shard, those above 12 the bucket, the upper half tells
  // entries apart.
  uint64_t BucketOf(uint64_t hash) const { return hash >> 12 & bucket_mask_; }
  // Fetches what Find will need first while the mutex is still being taken.
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[BucketOf(hash)]); }
  uint64_t bucket_count() const { return bucket_mask_ + 1; }
  uint64_t bucket(uint64_t index) const { return buckets_[index]; }
  Version NextVersion() { return ++header->last_version; }

  Heap heap;
  ShardHeader* header;

 private:
  char* base_;
  uint64_t* buckets_;
  uint64_t bucket_mask_;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_LOCKED_SHARD_H_

// A coalescing heap in one arena of a segment: boundary tags (Knuth 1973), first fit in bins of
// like sizes (two-level segregated fit, Masmano et al. 2004), split and merge. Every change goes
// through a Journal, so that a death in the middle of a split or merge is undone as a whole.
//
// The arena is a row of blocks without gaps:
//
//     | size, used | size of the block before | payload ...        | size, used | ...
//       8 bytes      8 bytes                    a multiple of 16
//
// A free block's payload begins with its bin's links: next, previous (payload offsets, 0: none).
//
// In front of it stand lists of blocks of equal, small sizes: such a block is freed and taken again
// without a look at its neighbours (as in dlmalloc's fast bins), until a request that the bins
// cannot serve flushes the lists.
//
// H1  The blocks tile the arena exactly; the last one is a used sentinel of 16 bytes.
// H2  Each block's `previous_bytes` is the size of the block before it, 0 for the first.
// H3  No two free blocks are neighbours.
// H4  A block is in a bin if and only if it is free, and the bin is that of its size; links are
//     symmetric.
// H5  A bin's bit is set if and only if the bin is not empty.
// H6  A listed block is tagged as used, is in one list, that of its size, and is in no bin.
//
// Time: O(1), except that a request which only blocks of its own bin could satisfy searches that
// bin, and one that no bin can satisfy first flushes all lists: O(listed blocks).
#ifndef KILL9_VARIANTS_STORES_LOCKED_HEAP_H_
#define KILL9_VARIANTS_STORES_LOCKED_HEAP_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "variants/stores/locked/journal.h"

namespace kill9::locked {

// Offsets from the segment's base.
struct ByteRange {
  uint64_t begin;
  uint64_t end;
  bool Contains(uint64_t offset, uint64_t bytes) const {
    return offset >= begin && offset < end && bytes <= end - offset;
  }
};

class Heap {
 public:
  static constexpr uint64_t kGranule = 16;
  static constexpr uint64_t kBlockHeaderBytes = 16;
  static constexpr uint64_t kMinimumBlockBytes = 32;
  static constexpr uint32_t kBins = 128;
  static constexpr uint64_t kListedBytes = 1024;  // blocks up to this size are listed when freed
  static constexpr uint32_t kLists = kListedBytes / kGranule + 1;

  // In the segment; all fields are guarded by the domain's mutex.
  struct Header {
    uint64_t begin;  // offset of the first block; immutable
    uint64_t end;    // offset of the sentinel; immutable
    uint64_t bitmap[kBins / 64];
    uint64_t bins[kBins];  // payload offset of the first block, 0: empty
    // By block size / 16: the payload offset of the first listed block, 0: empty. A list is linked
    // through the first payload word. Alone in its lines: the hottest part.
    alignas(64) uint64_t lists[kLists];
  };
  static_assert(std::is_trivially_copyable_v<Header> && std::is_standard_layout_v<Header>);

  // Nothing that the arena says of itself is followed before it has been checked: what contradicts
  // H1 to H6 where it is looked at marks the transaction as damaged, and nothing happens.

  // Lays the arena out as one free block. `begin` and `end` are multiples of 16 (offsets from
  // `base`).
  static void Format(char* base, Header& header, uint64_t begin, uint64_t end);

  // `arena`: as given to Format.
  Heap(char* base, Header& header, ByteRange arena)
      : base_(base), header_(&header), begin_(arena.begin), end_(arena.end - kBlockHeaderBytes) {}

  // Returns the payload's offset, or 0 if no free block is large enough. The payload's bytes may be
  // overwritten at once; all else becomes final with the journal's commit.
  // REQUIRES: the transaction is empty so far (a flush of the lists commits).
  uint64_t Allocate(Journal& journal, uint64_t payload_bytes);
  void Free(Journal& journal, uint64_t payload);
  // As Allocate, at the end of the last free block that is large enough: what lives long lies apart
  // from what Allocate gives. Time: O(blocks behind it).
  uint64_t AllocateLast(Journal& journal, uint64_t payload_bytes);
  // As Allocate, with the payload at this offset; 0: not all of that room is free, or it leaves too
  // little before it. Time: O(blocks). REQUIRES: Contains(payload).
  uint64_t AllocateAt(Journal& journal, uint64_t payload, uint64_t payload_bytes);
  // Merges what the lists have. REQUIRES: as Allocate. False: damaged.
  bool MergeListed(Journal& journal);

  // The size of the block that a request is given, header included (up to 16 bytes more if the rest
  // would be too small for a block).
  static constexpr uint64_t BlockBytesFor(uint64_t payload_bytes) {
    return std::max(kMinimumBlockBytes,
                    (payload_bytes + kBlockHeaderBytes + kGranule - 1) / kGranule * kGranule);
  }
  // The size of a block, header included, given its payload.
  uint64_t BlockBytes(uint64_t payload) const { return SizeOf(BlockOf(payload)); }
  // Whether Free would put the block into a list, by a link in its payload's first word.
  bool IsListed(uint64_t payload) const { return BlockBytes(payload) <= kListedBytes; }
  // Whether a block could be there.
  bool Contains(uint64_t payload) const {
    return payload >= begin_ + kBlockHeaderBytes && payload < end_ && payload % kGranule == 0;
  }
  // Whether a transaction can have changed these bytes: they lie in the arena, or in its header.
  bool MayChange(uint64_t offset, uint64_t bytes) const {
    const auto header = static_cast<uint64_t>(reinterpret_cast<const char*>(header_) - base_);
    return ByteRange{begin_, end_ + kBlockHeaderBytes}.Contains(offset, bytes) ||
           ByteRange{header, header + sizeof(Header)}.Contains(offset, bytes);
  }
  uint64_t capacity_bytes() const { return end_ - begin_; }
  uint64_t max_payload_bytes() const { return capacity_bytes() - kBlockHeaderBytes; }

  // Audit: calls `visit` for each block in order, and appends what breaks H1 to H5 to `violations`.
  // `findable` is what the bins and lists say, found independently of the tags. REQUIRES: the
  // domain's mutex is held.
  struct BlockView {
    uint64_t payload;
    uint64_t bytes;
    bool used;      // as tagged
    bool findable;  // by the allocator
  };
  void Walk(absl::FunctionRef<void(const BlockView&)> visit,
            std::vector<std::string>& violations) const;
  // Calls `visit` for each block in order, as tagged: a listed one is used. False: H1 is broken.
  using Visit = absl::FunctionRef<void(uint64_t payload, uint64_t bytes, bool used)>;
  bool ForEachBlock(Visit visit) const;

 private:
  struct Block {
    uint64_t size_used;  // bytes, bit 0: used
    uint64_t previous_bytes;
    uint64_t next;  // these two are payload once the block is used
    uint64_t previous;
  };
  static_assert(sizeof(Block) == kMinimumBlockBytes);

  static uint32_t BinOf(uint64_t bytes);
  static uint64_t SizeOf(const Block* block) { return block->size_used & ~uint64_t{1}; }
  static bool Used(const Block* block) { return (block->size_used & 1) != 0; }
  Block* At(uint64_t offset) const { return reinterpret_cast<Block*>(base_ + offset); }
  Block* BlockOf(uint64_t payload) const { return At(payload - kBlockHeaderBytes); }
  uint64_t PayloadOf(const Block* block) const {
    return static_cast<uint64_t>(reinterpret_cast<const char*>(block) - base_) + kBlockHeaderBytes;
  }
  Block* After(Block* block) const {
    return reinterpret_cast<Block*>(reinterpret_cast<char*>(block) + SizeOf(block));
  }
  // Of a block that is contained: its size can be one.
  bool SizeFits(const Block* block) const {
    const uint64_t bytes = SizeOf(block);
    return bytes >= kMinimumBlockBytes && bytes % kGranule == 0 &&
           bytes <= end_ - (PayloadOf(block) - kBlockHeaderBytes);
  }
  bool IsFreeBlock(uint64_t payload) const {
    return Contains(payload) && !Used(BlockOf(payload)) && SizeFits(BlockOf(payload));
  }
  // Blocks that there can be: a longer list is a ring.
  uint64_t most_blocks() const { return (end_ - begin_) / kMinimumBlockBytes + 1; }
  // The payload of a block that may be large enough; 0: there is none. What it says is not checked.
  uint64_t Find(Journal& journal, uint64_t bytes) const;
  uint64_t Take(Journal& journal, uint64_t bytes);
  // Makes a used block of so many bytes from `begin` on, out of a free one. Its payload; or 0.
  uint64_t Carve(Journal& journal, Block* block, uint64_t begin, uint64_t bytes);
  uint64_t TakeLast(Journal& journal, uint64_t bytes);
  void Merge(Journal& journal, uint64_t payload);
  bool FlushLists(Journal& journal);
  void CheckLists(absl::flat_hash_set<uint64_t>& findable,
                  std::vector<std::string>& violations) const;
  void CheckBins(absl::flat_hash_set<uint64_t>& findable,
                 std::vector<std::string>& violations) const;
  void Unlink(Journal& journal, Block* block);
  // Puts `block` (of the given size, its tag already set) into its bin.
  void Link(Journal& journal, Block* block, uint64_t bytes);

  char* base_;
  Header* header_;
  uint64_t begin_;  // as header_->begin and end say, who are not believed
  uint64_t end_;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_HEAP_H_

// The chunks in which messages lie, where the space of a channel is made of them; and the words of
// a ledger that name what a participant holds.
//
// The space is a row of chunks, each of so many granules. A participant owns chunks and lays small
// messages in one of them, in a row; a large message has a span of chunks of its own. Where a
// message is (its *place*: a word of the design's) says whether it is alive, and nothing else does.
//
// C1  A chunk that is Owned(p) is written by p alone. One that is Retired has messages in a row
//     from its first granule to its `end`, each either at its place or free; whoever finds all of
//     them free may own the chunk. One that is Free has `end` and `span` 0. A Body belongs to the
//     chunk that it names, whose `span` reaches it.
// C2  Of the upper half, the *common* chunks, nobody owns one between two calls unless a message in
//     it was not sent yet. Anybody goes on in a common chunk where another has ended. So what idle
//     members keep is in the lower half: with no message sent, held or begun, every member finds
//     room, for half of the space as well, however many members there are.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_CHUNKS_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_CHUNKS_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "variants/segment/participants.h"

namespace kill9::chunks {

using SharedWord = std::atomic<uint64_t>;
static_assert(SharedWord::is_always_lock_free && sizeof(SharedWord) == 8);

// A message, by the number of its first granule in the space.
using Ref = uint32_t;

inline constexpr size_t kSmallestChunkBytes = 2048;
inline constexpr size_t kLargestChunkBytes = 64 << 10;
inline constexpr uint64_t kChunksWanted = 256;  // fewer than so many only in the smallest segments
inline constexpr uint32_t kMostChunks = 1u << 20;

inline constexpr uint64_t ChunkBytesFor(uint64_t segment_bytes) {
  return std::clamp<uint64_t>(std::bit_floor(segment_bytes / kChunksWanted), kSmallestChunkBytes,
                              kLargestChunkBytes);
}
inline constexpr bool IsChunkBytes(uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= kSmallestChunkBytes && bytes <= kLargestChunkBytes;
}

// The most chunks that fit into so many bytes, of which `free_bytes` are not the segment's header;
// what is left beside them is less than two chunks. `end_with`: where the last byte lies with that
// many.
template <typename EndWith>
uint64_t MostChunks(uint64_t segment_bytes, uint64_t free_bytes, uint64_t chunk_bytes,
                    EndWith end_with) {
  uint64_t chunks = free_bytes / chunk_bytes;
  while (chunks > 0) {
    const uint64_t end = end_with(chunks);
    if (end <= segment_bytes) break;
    // Each chunk takes more than its bytes: as many as surely do not fit, at least one.
    chunks -= std::clamp<uint64_t>((end - segment_bytes) / (2 * chunk_bytes), 1, chunks);
  }
  return chunks;
}

enum class ChunkKind : uint8_t {
  kFree = 0,
  kOwned = 1,    // argument: the participant
  kRetired = 2,  // C1
  kBody = 3,     // argument: the first chunk of the span
};

struct ChunkWord {
  uint64_t bits = 0;

  constexpr ChunkKind kind() const { return static_cast<ChunkKind>(bits & 3); }
  constexpr uint32_t argument() const { return static_cast<uint32_t>(bits >> 2 & 0xfffff); }
  constexpr bool OwnedBy(uint32_t participant) const {
    return kind() == ChunkKind::kOwned && argument() == participant;
  }
  constexpr bool IsBodyOf(uint32_t head) const {
    return kind() == ChunkKind::kBody && argument() == head;
  }
  // The count in the upper 42 bits grows at each change: a word that was read earlier never matches
  // again.
  constexpr ChunkWord Next(ChunkKind next, uint32_t argument = 0) const {
    return {static_cast<uint64_t>(next) | uint64_t{argument} << 2 | ((bits >> 22) + 1) << 22};
  }
  friend constexpr bool operator==(ChunkWord, ChunkWord) = default;
};
static_assert(ChunkWord{}.Next(ChunkKind::kBody, kMostChunks - 1).IsBodyOf(kMostChunks - 1));

struct alignas(64) Chunk {
  SharedWord word;  // changes by CAS, but for Owned(p), which only p changes, or who recovers it
  SharedWord end;   // granules that messages take, from the first (C1); written by the owner
  SharedWord span;  // chunks of the one message that begins here; 0: of this one only. Likewise
  uint64_t reserved[5];
};
static_assert(sizeof(Chunk) == 64 && std::is_standard_layout_v<Chunk>);

// One participant's view of the space, what a design's context begins with.
template <size_t kBytesOfGranule>
class ChunkView {
 public:
  static constexpr size_t kGranuleBytes = kBytesOfGranule;

  uint64_t granule_count() const { return granules_; }
  uint32_t chunk_count() const { return chunk_count_; }
  uint32_t chunk_granules() const { return chunk_granules_; }
  // The first of the common chunks (C2).
  uint32_t common_from() const { return chunk_count_ - std::max<uint32_t>(chunk_count_ / 2, 1); }
  Chunk& chunk(uint32_t number) const { return chunks_[number]; }
  Ref FirstOf(uint32_t chunk) const { return chunk * chunk_granules_; }
  uint32_t ChunkOf(Ref ref) const { return ref >> chunk_shift_; }
  // REQUIRES: ref < granule_count().
  char* bytes(Ref ref) const { return space_ + ref * kGranuleBytes; }
  // Whether so many bytes from there on are in the space.
  bool Fits(Ref ref, uint64_t bytes) const {
    return ref < granules_ && bytes <= (granules_ - ref) * kGranuleBytes;
  }
  // Whether somebody may read what is in the chunk though it is gone: not where only who has taken
  // a message reads it. A design with readers that others do not wait for has its own.
  bool IsPinned(uint32_t) const { return false; }
  static constexpr uint64_t GranulesFor(uint64_t bytes) {
    return std::max<uint64_t>(1, (bytes + kGranuleBytes - 1) / kGranuleBytes);
  }

 protected:
  void SetSpace(Chunk* chunks, char* space, uint64_t chunk_count, uint64_t chunk_bytes) {
    chunks_ = chunks;
    space_ = space;
    chunk_count_ = static_cast<uint32_t>(chunk_count);
    chunk_granules_ = static_cast<uint32_t>(chunk_bytes / kGranuleBytes);
    chunk_shift_ = std::countr_zero(chunk_granules_);
    granules_ = chunk_count * chunk_granules_;
  }

 private:
  Chunk* chunks_ = nullptr;
  char* space_ = nullptr;
  uint64_t granules_ = 0;
  uint32_t chunk_count_ = 0;
  uint32_t chunk_granules_ = 0;  // a power of two
  int chunk_shift_ = 0;
};

// ---- The words of a ledger: they name something in the low half, and their writer's generation in
// the high half, so that a recoverer that comes too late can never clear the word of the next
// owner. Written by the participant; cleared by recoverers once it is dead.

constexpr uint32_t Named(uint64_t word) { return static_cast<uint32_t>(word); }
constexpr uint32_t GenerationIn(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
// Release: what was done for it comes before.
inline void Clear(SharedWord& word) { word.store(0, std::memory_order_release); }

// Of which participant slots.
using WhichSlots = absl::FunctionRef<bool(uint32_t slot)>;

class Namer {
 public:
  explicit Namer(const Participant& participant)
      : index_(participant.slot()), tag_(uint64_t{participant.generation()} << 32) {}
  uint32_t index() const { return index_; }
  // Notes what must be in the ledger if this participant dies at the next instruction. Release: who
  // reads it beside a living participant (audit, counts) sees what was stored before it.
  void Note(SharedWord& word, uint64_t what) const {
    word.store(tag_ | what, std::memory_order_release);
  }
  // The same, before whatever this one looks at next: for names that others look for once they have
  // changed what this one looks at. Seq_cst: with that look, and with theirs.
  void NoteInOrder(SharedWord& word, uint64_t what) const {
    word.store(tag_ | what, std::memory_order_seq_cst);
  }

 private:
  uint32_t index_;
  uint64_t tag_;
};

// One dead participant, as one recoverer sees it. Each change is a CAS from a word that was read
// while the victim was still Dead, hence the victim's; then its name is cleared. Whoever comes
// later finds the change done, or the name cleared.
class DeadParticipant {
 public:
  DeadParticipant(const ParticipantTable& table, uint32_t index, uint32_t generation)
      : table_(table), index_(index), generation_(generation) {}

  uint32_t index() const { return index_; }
  // What the word names, if it is the victim's; else 0 (cleared, or the slot has a new owner).
  uint64_t Read(const SharedWord& word) const {
    // Acquire: pairs with Note (made visible by the death's own order, MarkIfDead).
    const uint64_t value = word.load(std::memory_order_acquire);
    return GenerationIn(value) == generation_ ? value : 0;
  }
  bool StillDead() const {
    return table_.state(index_) == ParticipantState::kDead &&
           table_.generation(index_) == generation_;
  }
  // The generation in the word makes the CAS fail if the slot has a new owner. Release: what was
  // done for the word comes before.
  static void ClearIf(SharedWord& word, uint64_t value) {
    if (value == 0) return;
    word.compare_exchange_strong(value, 0, std::memory_order_release, std::memory_order_relaxed);
  }
  bool MarkRecovered() const { return table_.MarkRecovered(index_, generation_); }

 private:
  const ParticipantTable& table_;
  const uint32_t index_;
  const uint32_t generation_;
};

// Retires all chunks of a dead participant; how many there were. Bodies stay what they are: they go
// with their heads. Dies at any instruction -> the rest is Owned by the dead.
template <typename View>
uint64_t RetireChunksOf(const View& view, const DeadParticipant& dead) {
  uint64_t count = 0;
  for (uint32_t number = 0; number < view.chunk_count(); ++number) {
    SharedWord& shared = view.chunk(number).word;
    // Acquire: pairs with the CAS of ClaimRow or TakeOver, which may be of another's since.
    ChunkWord word{shared.load(std::memory_order_acquire)};
    if (!word.OwnedBy(dead.index()) || !dead.StillDead()) continue;
    // Release: pairs with TakeOver. Its failure: another recoverer was first.
    if (shared.compare_exchange_strong(word.bits, word.Next(ChunkKind::kRetired).bits,
                                       std::memory_order_release, std::memory_order_relaxed)) {
      ++count;
    }
  }
  return count;
}

}  // namespace kill9::chunks

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_CHUNKS_H_

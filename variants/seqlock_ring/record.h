// Records: how one is written into the ring and read out of it while others may overwrite it.
//
//     word 0 mark       position xor the segment's secret; stored last, wiped first
//     word 1 version
//     word 2 sizes      key bytes << 48 | value bytes
//     word 3 checksum   of the value and its size, the key's hash, the position and the version
//     key, padded with zeros to whole words; value
//
// R1  Whoever writes into the ring stores words in ascending order with release (or has wiped the
//     marks of the whole span before, Wipe). Whoever reads loads them with acquire and the mark
//     again afterwards. So a reader that saw any word of a new record also sees that the old mark
//     is gone.
#ifndef KILL9_VARIANTS_SEQLOCK_RING_RECORD_H_
#define KILL9_VARIANTS_SEQLOCK_RING_RECORD_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "variants/seqlock_ring/layout.h"
#include "variants/store.h"

namespace kill9::ring {

inline constexpr size_t kWord = sizeof(uint64_t);
inline constexpr size_t kRecordHeaderBytes = 4 * kWord;
enum RecordWord { kMark, kVersion, kSizes, kChecksum };

constexpr size_t PaddedBytes(size_t bytes) { return (bytes + kWord - 1) / kWord * kWord; }
constexpr uint64_t UnitsFor(size_t key_bytes, size_t value_bytes) {
  return (kRecordHeaderBytes + PaddedBytes(key_bytes) + value_bytes + kUnitBytes - 1) / kUnitBytes;
}

inline std::atomic_ref<uint64_t> WordAt(const char* address) {
  return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(const_cast<char*>(address)));
}
// Acquire, Release: R1, with one another.
inline uint64_t LoadWord(const char* address) {
  return WordAt(address).load(std::memory_order_acquire);
}
inline void StoreWord(char* address, uint64_t word) {
  WordAt(address).store(word, std::memory_order_release);
}

// A checksum of whole words, taken while they are copied: of random damage it misses one in 2^64,
// and none that is confined to one word. Two instructions a word: a library's hash (XXH3) would
// need the bytes once more, and every instruction of a Get keeps the next one's fetches out of the
// processor's window.
class WordSum {
 public:
  explicit constexpr WordSum(uint64_t first = 0) : sum_(first) {}
  [[gnu::always_inline]] constexpr void Add(uint64_t word) { sum_ = std::rotl(sum_, 29) + word; }
  constexpr uint64_t Total() const { return sum_; }

 private:
  uint64_t sum_;
};
// Of values that are long enough, the words are summed in four lanes, for each word of one lane
// waits for the one before it.
inline constexpr size_t kLanes = 4;
inline constexpr size_t kFewestBytesInLanes = 512;

// The first `bytes` bytes of a word, the others zero. REQUIRES: 1 to 7.
constexpr uint64_t FirstBytes(uint64_t word, size_t bytes) {
  return word & ((uint64_t{1} << bytes * 8) - 1);
}

// Moves one word from load(offset, bytes of it) to store(offset, word, bytes of it).
template <typename Load, typename Store>
[[gnu::always_inline]] inline WordSum MoveWord(size_t at, size_t bytes, Load load, Store store,
                                               WordSum sum) {
  const uint64_t word = load(at, bytes);
  store(at, word, bytes);
  sum.Add(word);
  return sum;
}
template <typename Load, typename Store>
[[gnu::noinline]] WordSum MoveInLanes(size_t bytes, Load load, Store store, WordSum sum) {
  WordSum lanes[kLanes];
  for (size_t at = 0; at + kLanes * kWord <= bytes; at += kLanes * kWord) {
#pragma GCC unroll 4
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = MoveWord(at + lane * kWord, kWord, load, store, lanes[lane]);
    }
  }
  for (const WordSum& lane : lanes) sum.Add(lane.Total());
  return sum;
}
// Moves `bytes` bytes as words, and returns the sum of their number and of them.
template <typename Load, typename Store>
[[gnu::always_inline]] inline uint64_t MoveWords(size_t bytes, Load load, Store store) {
  WordSum sum(bytes);
  size_t at = 0;
  if (bytes >= kFewestBytesInLanes) [[unlikely]] {
    sum = MoveInLanes(bytes, load, store, sum);
    at = bytes / (kLanes * kWord) * (kLanes * kWord);
  }
  for (; at + 4 * kWord <= bytes; at += 4 * kWord) {
#pragma GCC unroll 4
    for (size_t word = 0; word < 4; ++word) {
      sum = MoveWord(at + word * kWord, kWord, load, store, sum);
    }
  }
  for (; at + kWord <= bytes; at += kWord) sum = MoveWord(at, kWord, load, store, sum);
  if (at < bytes) sum = MoveWord(at, bytes - at, load, store, sum);
  return sum.Total();
}

// Copies into the ring; the last word is padded with zeros. Returns the sum, as those below.
[[gnu::always_inline]] inline uint64_t CopyIn(char* to, std::string_view from) {
  return MoveWords(
      from.size(),
      [source = from.data()](size_t at, size_t bytes) {
        uint64_t word = 0;
        std::memcpy(&word, source + at, bytes);
        return word;
      },
      [to](size_t at, uint64_t word, size_t) { StoreWord(to + at, word); });
}

[[gnu::always_inline]] inline uint64_t CopyOut(char* to, const char* from, size_t size) {
  return MoveWords(
      size,
      [from](size_t at, size_t bytes) {
        const uint64_t word = LoadWord(from + at);
        return bytes == kWord ? word : FirstBytes(word, bytes);
      },
      [to](size_t at, uint64_t word, size_t bytes) { std::memcpy(to + at, &word, bytes); });
}

// Of a value that nobody else changes.
inline uint64_t SumOfValue(std::string_view value) {
  return MoveWords(
      value.size(),
      [source = value.data()](size_t at, size_t bytes) {
        uint64_t word = 0;
        std::memcpy(&word, source + at, bytes);
        return word;
      },
      [](size_t, uint64_t, size_t) {});
}

inline bool SameBytes(std::string_view bytes, const char* from) {
  const char* mine = bytes.data();
  size_t left = bytes.size();
  for (; left >= kWord; left -= kWord, mine += kWord, from += kWord) {
    uint64_t word;
    std::memcpy(&word, mine, kWord);
    if (word != LoadWord(from)) return false;
  }
  if (left == 0) return true;
  uint64_t word = 0;
  std::memcpy(&word, mine, left);
  return word == LoadWord(from);
}

constexpr uint64_t ChecksumOf(uint64_t value_sum, uint64_t key_hash, uint64_t position,
                              uint64_t version) {
  WordSum sum(value_sum);
  sum.Add(key_hash ^ position);
  sum.Add(version);
  return sum.Total();
}

// A record on its way: written under a hold, named by no entry yet.
struct PendingRecord {
  char* address = nullptr;
  uint64_t position = 0;
  uint64_t key_hash = 0;
  uint64_t value_sum = 0;

  uint64_t entry() const { return MakeEntry(TagOfHash(key_hash), position); }
  // Makes the record readable for whoever finds its entry.
  void Seal(const Geometry& geometry, uint64_t version) const {
    StoreWord(address + kVersion * kWord, version);
    StoreWord(address + kChecksum * kWord, ChecksumOf(value_sum, key_hash, position, version));
    // dies before -> no mark: the position holds nothing; dies after -> a whole record that no
    // entry names; a successor sees -> it only if the entry was published.
    StoreWord(address + kMark * kWord, geometry.MarkOf(position));
  }
};

inline constexpr int kKeySizeShift = 48;
inline constexpr uint64_t kValueSizeMask = (uint64_t{1} << kKeySizeShift) - 1;
constexpr uint64_t SizesOf(size_t key_bytes, size_t value_bytes) {
  return uint64_t{key_bytes} << kKeySizeShift | value_bytes;
}

// Wipes the mark of what was here before, then writes all but version, checksum and mark.
inline void WriteHead(char* address, std::string_view key, uint64_t value_bytes) {
  StoreWord(address + kMark * kWord, 0);
  StoreWord(address + kSizes * kWord, SizesOf(key.size(), value_bytes));
  CopyIn(address + kRecordHeaderBytes, key);
}
// Returns the value's sum.
inline uint64_t WriteValue(char* address, size_t key_bytes, std::string_view value) {
  return CopyIn(address + kRecordHeaderBytes + PaddedBytes(key_bytes), value);
}
// Wipes the marks of all records that begin in the span.
void Wipe(char* address, uint64_t units);

// What a record's header says. `position` is the full one.
struct RecordHead {
  uint64_t mark = 0;
  uint64_t position = 0;
  uint64_t version = 0;
  uint64_t checksum = 0;
  uint64_t key_bytes = 0;
  uint64_t value_bytes = 0;
  uint64_t units = 0;
  char* address = nullptr;

  const char* key() const { return address + kRecordHeaderBytes; }
  const char* value() const { return key() + PaddedBytes(key_bytes); }
};

// The address of the record that an entry names, or null: the entry is damaged.
inline char* AddressOf(const Geometry& geometry, uint64_t word) {
  const uint64_t unit = geometry.UnitOf(word);
  return unit < geometry.ring_units() ? geometry.ring + unit * kUnitBytes : nullptr;
}
// Sizes torn by an overwriting must not lead outside of the ring.
inline bool Fits(const Geometry& geometry, uint64_t position, uint64_t units) {
  return geometry.UnitOf(position) + units <= geometry.ring_units();
}
// False: nothing readable is at the position that `word` (an entry or a staged one) names. What was
// read is to be believed only if StillWhole says so afterwards.
bool ReadHead(const Geometry& geometry, uint64_t word, RecordHead* head);
// The chunks after the first one still have the record's bytes.
bool LaterChunksStand(const Geometry& geometry, uint64_t position, uint64_t units);
// No byte of the record had been overwritten when the last of them was loaded. False is final: a
// record that is not whole never is again.
[[gnu::always_inline]] inline bool StillWhole(const Geometry& geometry, const char* address,
                                              uint64_t mark, uint64_t position, uint64_t units) {
  const bool spans_chunks = (position & geometry.chunk_mask) + units > geometry.chunk_mask + 1;
  return LoadWord(address + kMark * kWord) == mark &&
         (!spans_chunks || LaterChunksStand(geometry, position, units));
}
inline bool StillWhole(const Geometry& geometry, const RecordHead& head) {
  return StillWhole(geometry, head.address, head.mark, head.position, head.units);
}

// Whether Clear has forgotten what lies there.
inline bool IsCleared(const Geometry& geometry, uint64_t position) {
  // Acquire: pairs with Clear. Loaded after the entry: what is not cleared now was not when the
  // entry was loaded, for the floor only rises.
  return position < geometry.header->floor.load(std::memory_order_acquire);
}

// Makes *value as long as `sizes` say. False: the record is not of such a key, or cannot be.
bool FitToValue(const Geometry& geometry, uint64_t position, uint64_t sizes, size_t key_bytes,
                std::string* value);

// Copies out the value of the record that `word` names and that lies at `address`, if it is this
// key's, whole, sound and not cleared. Returns its version; or kAbsent, which is final for that
// word. In line where every instruction counts.
[[gnu::always_inline]] inline Version CopyRecord(const Geometry& geometry, uint64_t word,
                                                 const char* address, std::string_view key,
                                                 uint64_t key_hash, std::string* value) {
  const uint64_t mark = LoadWord(address + kMark * kWord);
  const uint64_t position = mark ^ geometry.secret;
  if (!SamePosition(position, word)) return kAbsent;
  const Version version = LoadWord(address + kVersion * kWord);
  // Where the sizes are those of the key and of what *value was before, what follows from them is
  // not computed from the record: a processor has room for few instructions that wait.
  uint64_t expected = SizesOf(key.size(), value->size());
  asm("" : "+r"(expected));
  if (const uint64_t sizes = LoadWord(address + kSizes * kWord); sizes != expected) {
    if (!FitToValue(geometry, position, sizes, key.size(), value)) return kAbsent;
  }
  const uint64_t checksum = LoadWord(address + kChecksum * kWord);
  const char* const stored_key = address + kRecordHeaderBytes;
  const uint64_t units = UnitsFor(key.size(), value->size());
  if (!Fits(geometry, word, units) || !SameBytes(key, stored_key)) return kAbsent;
  const uint64_t sum = CopyOut(value->data(), stored_key + PaddedBytes(key.size()), value->size());
  if (!StillWhole(geometry, address, mark, position, units)) return kAbsent;
  if (checksum != ChecksumOf(sum, key_hash, position, version)) return kAbsent;
  return IsCleared(geometry, position) ? kAbsent : version;
}

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_SEQLOCK_RING_RECORD_H_

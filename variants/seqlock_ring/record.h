// Records: how one is written into the ring and read out of it while others may overwrite it.
//
//     word 0 mark       position xor the segment's secret; stored last, wiped first
//     word 1 version
//     word 2 sizes      key bytes << 48 | value bytes
//     word 3 checksum   of the value (WordSum), the key's hash, the position and the version
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
// and none that is confined to one word. Four lanes, because a copy moves four words at a time and
// each lane waits for its multiplication. A library's hash (XXH3) would need the bytes once more:
// 60 instructions more for a value of 64 bytes.
class WordSum {
 public:
  // `lane` is a constant where this is called: all is in registers.
  [[gnu::always_inline]] void Add(size_t lane, uint64_t word) {
    lanes_[lane] = std::rotl(lanes_[lane] + word, 29) * kFactor;
  }
  uint64_t Total() const {
    return (lanes_[0] ^ std::rotl(lanes_[1], 19)) + (lanes_[2] ^ std::rotl(lanes_[3], 37));
  }

 private:
  static constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;
  uint64_t lanes_[4] = {1, 2, 3, 4};
};

// The first `bytes` bytes of a word, the others zero. REQUIRES: 1 to 7.
constexpr uint64_t FirstBytes(uint64_t word, size_t bytes) {
  return word & ((uint64_t{1} << bytes * 8) - 1);
}

// Moves `bytes` bytes as words, from load(offset) to store(offset, word, bytes of it), and returns
// their sum.
template <typename Load, typename Store>
[[gnu::always_inline]] inline uint64_t MoveWords(size_t bytes, Load load, Store store) {
  constexpr size_t kAtOnce = 4 * kWord;
  WordSum sum;
  size_t at = 0;
  for (; at + kAtOnce <= bytes; at += kAtOnce) {
#pragma GCC unroll 4
    for (size_t lane = 0; lane < 4; ++lane) {
      const uint64_t word = load(at + lane * kWord, kWord);
      store(at + lane * kWord, word, kWord);
      sum.Add(lane, word);
    }
  }
  for (; at < bytes; at += kWord) {
    const size_t left = std::min(bytes - at, kWord);
    const uint64_t word = load(at, left);
    store(at, word, left);
    sum.Add(0, word);
  }
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
  return (value_sum ^ key_hash) + position * 0xbf58476d1ce4e5b9 + version * 0xd1342543de82ef95;
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

// Wipes the mark of what was here before, then writes all but version, checksum and mark.
inline void WriteHead(char* address, std::string_view key, uint64_t value_bytes) {
  StoreWord(address + kMark * kWord, 0);
  StoreWord(address + kSizes * kWord, uint64_t{key.size()} << kKeySizeShift | value_bytes);
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

// False: nothing readable is at the position that `word` (an entry or a staged one) names. What was
// read is to be believed only if StillWhole says so afterwards.
// `address` is that of `unit`, the entry's. REQUIRES: unit < ring_units.
inline bool ReadHeadAt(const Geometry& geometry, uint64_t word, uint64_t unit, char* address,
                       RecordHead* head) {
  const uint64_t position = LoadWord(address + kMark * kWord) ^ geometry.secret;
  if (ShortPosition(position ^ word) != 0) return false;
  const uint64_t version = LoadWord(address + kVersion * kWord);
  const uint64_t sizes = LoadWord(address + kSizes * kWord);
  const uint64_t checksum = LoadWord(address + kChecksum * kWord);
  const uint64_t key_bytes = sizes >> kKeySizeShift;
  const uint64_t value_bytes = sizes & kValueSizeMask;
  const uint64_t units = UnitsFor(key_bytes, value_bytes);
  *head = {position, version, checksum, key_bytes, value_bytes, units, address};
  // Sizes torn by an overwriting must not lead outside of the ring.
  return key_bytes - 1 < kMaxKeyBytes && unit + units <= geometry.ring_units();
}
inline bool ReadHead(const Geometry& geometry, uint64_t word, RecordHead* head) {
  const uint64_t unit = geometry.UnitOf(word);
  if (unit >= geometry.ring_units()) return false;  // a damaged entry
  return ReadHeadAt(geometry, word, unit, geometry.ring + unit * kUnitBytes, head);
}
// Whether the record goes on in another chunk than the one that it begins in.
inline bool SpansChunks(const Geometry& geometry, const RecordHead& head) {
  return (head.position & (geometry.chunk_units() - 1)) + head.units > geometry.chunk_units();
}
// The chunks after the first one still have the record's bytes.
inline bool LaterChunksStand(const Geometry& geometry, const RecordHead& head) {
  const uint64_t first = geometry.SequenceOf(head.position);
  const uint64_t last = geometry.SequenceOf(head.position + head.units - 1);
  for (uint64_t sequence = first + 1; sequence <= last; ++sequence) {
    // Acquire: as LoadWord; pairs with the release of MarkContent, which precedes all stores there.
    if (geometry.chunks[geometry.ChunkOf(sequence)].content.load(std::memory_order_acquire) !=
        sequence) {
      return false;
    }
  }
  return true;
}
// No byte of the record had been overwritten when the last of them was loaded. False is final: a
// record that is not whole never is again.
inline bool StillWhole(const Geometry& geometry, const RecordHead& head) {
  return LoadWord(head.address + kMark * kWord) == geometry.MarkOf(head.position) &&
         (!SpansChunks(geometry, head) || LaterChunksStand(geometry, head));
}

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_SEQLOCK_RING_RECORD_H_

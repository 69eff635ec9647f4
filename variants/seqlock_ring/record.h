// Records: how one is written into the ring and read out of it while others may overwrite it.
//
//     word 0 mark       position xor the segment's secret; stored last, wiped first
//     word 1 version
//     word 2 sizes      key bytes << 48 | value bytes
//     word 3 checksum   of the value, the key's hash, the position and the version
//     key, padded with zeros to whole words; value
//
// R1  Whoever writes into the ring stores words in ascending order with release (or has wiped the
//     marks of the whole span before, Wipe). Whoever reads loads them with acquire and the mark
//     again afterwards. So a reader that saw any word of a new record also sees that the old mark
//     is gone.
#ifndef KILL9_VARIANTS_SEQLOCK_RING_RECORD_H_
#define KILL9_VARIANTS_SEQLOCK_RING_RECORD_H_

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "variants/hash.h"
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

// Copies into the ring; the last word is padded with zeros.
inline void CopyIn(char* to, std::string_view from) {
  const char* source = from.data();
  size_t left = from.size();
  for (; left >= kWord; left -= kWord, source += kWord, to += kWord) {
    uint64_t word;
    std::memcpy(&word, source, kWord);
    StoreWord(to, word);
  }
  if (left != 0) {
    uint64_t word = 0;
    std::memcpy(&word, source, left);
    StoreWord(to, word);
  }
}

inline void CopyOut(char* to, const char* from, size_t bytes) {
  constexpr size_t kAtOnce = 4 * kWord;
  for (; bytes >= kAtOnce; bytes -= kAtOnce, from += kAtOnce, to += kAtOnce) {
    const uint64_t words[] = {LoadWord(from), LoadWord(from + kWord), LoadWord(from + 2 * kWord),
                              LoadWord(from + 3 * kWord)};
    std::memcpy(to, words, kAtOnce);
  }
  for (; bytes >= kWord; bytes -= kWord, from += kWord, to += kWord) {
    uint64_t word = LoadWord(from);
    std::memcpy(to, &word, kWord);
  }
  if (bytes != 0) {
    uint64_t word = LoadWord(from);
    std::memcpy(to, &word, bytes);
  }
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

constexpr uint64_t Mix(uint64_t word) {  // splitmix64's finalizer
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
  word = (word ^ word >> 27) * 0x94d049bb133111eb;
  return word ^ word >> 31;
}
inline uint64_t HashOfValue(std::string_view value) {
  return XXH3_64bits(value.data(), value.size());
}
constexpr uint64_t ChecksumOf(uint64_t value_hash, uint64_t key_hash, uint64_t position,
                              uint64_t version) {
  return Mix(value_hash ^ (key_hash + position * 0x9e3779b97f4a7c15) ^
             version * 0xd1342543de82ef95);
}

// A record on its way: written under a hold, named by no entry yet.
struct PendingRecord {
  char* address = nullptr;
  uint64_t position = 0;
  uint64_t key_hash = 0;
  uint64_t value_hash = 0;

  uint64_t entry() const { return MakeEntry(TagOfHash(key_hash), position); }
  // Makes the record readable for whoever finds its entry.
  void Seal(const Geometry& geometry, uint64_t version) const;
};

// Wipes the mark of what was here before, then writes all but version, checksum and mark.
void WriteHead(char* address, std::string_view key, uint64_t value_bytes);
void WriteValue(char* address, size_t key_bytes, std::string_view value);
// Wipes the marks of all records that begin in the span.
void Wipe(char* address, uint64_t units);

inline constexpr int kKeySizeShift = 48;
inline constexpr uint64_t kValueSizeMask = (uint64_t{1} << kKeySizeShift) - 1;

// What a record's header says. `position` is the full one.
struct RecordHead {
  uint64_t position = 0;
  uint64_t version = 0;
  uint64_t checksum = 0;
  uint64_t key_bytes = 0;
  uint64_t value_bytes = 0;
  char* address = nullptr;

  uint64_t units() const { return UnitsFor(key_bytes, value_bytes); }
  const char* key() const { return address + kRecordHeaderBytes; }
  const char* value() const { return key() + PaddedBytes(key_bytes); }
};

// False: nothing readable is at the position that `word` (an entry or a staged one) names. What was
// read is to be believed only if StillWhole says so afterwards.
inline bool ReadHead(const Geometry& geometry, uint64_t word, RecordHead* head) {
  const uint64_t unit = geometry.UnitOf(word);
  if (unit >= geometry.ring_units()) return false;  // a damaged entry
  head->address = geometry.ring + unit * kUnitBytes;
  __builtin_prefetch(head->address + kUnitBytes);
  head->position = LoadWord(head->address + kMark * kWord) ^ geometry.secret;
  if ((head->position & kPositionMask) != ShortPosition(word)) return false;
  head->version = LoadWord(head->address + kVersion * kWord);
  const uint64_t sizes = LoadWord(head->address + kSizes * kWord);
  head->checksum = LoadWord(head->address + kChecksum * kWord);
  head->key_bytes = sizes >> kKeySizeShift;
  head->value_bytes = sizes & kValueSizeMask;
  // Sizes torn by an overwriting must not lead outside of the ring.
  return head->key_bytes != 0 && head->key_bytes <= kMaxKeyBytes &&
         head->value_bytes <= geometry.ring_units() * kUnitBytes &&
         unit + head->units() <= geometry.ring_units();
}
// No byte of the record had been overwritten when the last of them was loaded. False is final: a
// record that is not whole never is again.
inline bool StillWhole(const Geometry& geometry, const RecordHead& head) {
  if (LoadWord(head.address + kMark * kWord) != geometry.MarkOf(head.position)) return false;
  const uint64_t units = head.units();
  if ((head.position & (geometry.chunk_units() - 1)) + units <= geometry.chunk_units()) return true;
  const uint64_t first = geometry.SequenceOf(head.position);
  const uint64_t last = geometry.SequenceOf(head.position + units - 1);
  for (uint64_t sequence = first + 1; sequence <= last; ++sequence) {
    // Acquire: as LoadWord; pairs with the release of MarkContent, which precedes all stores there.
    if (geometry.chunks[geometry.ChunkOf(sequence)].content.load(std::memory_order_acquire) !=
        sequence) {
      return false;
    }
  }
  return true;
}

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_SEQLOCK_RING_RECORD_H_

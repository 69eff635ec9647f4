// Records: how one is written into the ring and read out of it while others may overwrite it.
//
//     word 0 mark       position xor the segment's secret; stored last, wiped first
//     word 1 version
//     word 2 sizes      key bytes << 48 | value bytes
//     word 3 checksum   of the value and its size, the key's hash, the position and the version
//     key, padded with zeros to whole words; value
//
// R1  Whoever writes into the ring stores words, one or two at a time, in ascending order with
//     release (or has wiped the marks of the whole span before, Wipe). Whoever reads loads them
//     with acquire and the mark again afterwards. So a reader that saw any word of a new record
//     also sees that the old mark is gone: two that are stored at a time may appear in either
//     order, but the mark of a record that has bytes before them was stored over before.
#ifndef KILL9_VARIANTS_STORES_SEQLOCK_RING_RECORD_H_
#define KILL9_VARIANTS_STORES_SEQLOCK_RING_RECORD_H_

#include <atomic>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "variants/store.h"
#include "variants/stores/seqlock_ring/layout.h"
#include "variants/stores/seqlock_ring/words.h"

namespace kill9::ring {

inline constexpr size_t kRecordHeaderBytes = 4 * kWord;
enum RecordWord { kMark, kVersion, kSizes, kChecksum };

constexpr uint64_t UnitsFor(size_t key_bytes, size_t value_bytes) {
  return (kRecordHeaderBytes + PaddedBytes(key_bytes) + value_bytes + kUnitBytes - 1) / kUnitBytes;
}

constexpr uint64_t ChecksumOf(uint64_t value_sum, uint64_t key_hash, uint64_t position,
                              uint64_t version) {
  return std::rotl(std::rotl(value_sum, 29) + (key_hash ^ position), 29) + version;
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

// Makes *value as long as `sizes` say, less `apart_bytes`. False: the record is not of such a key,
// or cannot be, or is shorter.
bool FitToValue(const Geometry& geometry, uint64_t position, uint64_t sizes, size_t key_bytes,
                size_t apart_bytes, std::string* value);

// Copies out value and version of the record that `word` names and that lies at `address`, if it is
// this key's, whole, sound and not cleared. False is final for that word, and says nothing of
// *version: no number stands for it, for a version that is being overwritten may be any number. If
// `trailer` is not null, the value's last bytes go there instead. In line where every instruction
// counts.
[[gnu::always_inline]] inline bool CopyRecord(const Geometry& geometry, uint64_t word,
                                              const char* address, std::string_view key,
                                              uint64_t key_hash, std::string* value,
                                              terms::Trailer* trailer, Version* version) {
  const size_t apart_bytes = trailer == nullptr ? 0 : sizeof *trailer;
  const uint64_t mark = LoadWord(address + kMark * kWord);
  const uint64_t position = mark ^ geometry.secret;
  if (!SamePosition(position, word)) return false;
  *version = LoadWord(address + kVersion * kWord);
  // Where the sizes are those of the key and of what *value was before, what follows from them is
  // not computed from the record: a processor has room for few instructions that wait.
  uint64_t expected = SizesOf(key.size(), value->size() + apart_bytes);
  asm("" : "+r"(expected));
  if (const uint64_t sizes = LoadWord(address + kSizes * kWord); sizes != expected) {
    if (!FitToValue(geometry, position, sizes, key.size(), apart_bytes, value)) return false;
  }
  const uint64_t checksum = LoadWord(address + kChecksum * kWord);
  const char* const stored_key = address + kRecordHeaderBytes;
  const uint64_t units = UnitsFor(key.size(), value->size() + apart_bytes);
  if (!Fits(geometry, word, units) || !SameBytes(key, stored_key)) return false;
  const char* const stored = stored_key + PaddedBytes(key.size());
  const uint64_t sum = trailer == nullptr
                           ? CopyOut(value->data(), stored, value->size())
                           : CopyOutApart(value->data(), stored, value->size(), trailer);
  if (!StillWhole(geometry, address, mark, position, units)) return false;
  if (checksum != ChecksumOf(sum, key_hash, position, *version)) return false;
  return !IsCleared(geometry, position);
}

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_STORES_SEQLOCK_RING_RECORD_H_

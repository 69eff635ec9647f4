#include "variants/seqlock_ring/record.h"

#include "variants/hash.h"

namespace kill9::ring {
namespace {

constexpr int kKeySizeShift = 48;
constexpr uint64_t kValueSizeMask = (uint64_t{1} << kKeySizeShift) - 1;

constexpr uint64_t Mix(uint64_t word) {  // splitmix64's finalizer
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
  word = (word ^ word >> 27) * 0x94d049bb133111eb;
  return word ^ word >> 31;
}

}  // namespace

uint64_t HashOfValue(std::string_view value) { return XXH3_64bits(value.data(), value.size()); }

uint64_t ChecksumOf(uint64_t value_hash, uint64_t key_hash, uint64_t position, uint64_t version) {
  return Mix(value_hash ^ Mix(key_hash + position * 0x9e3779b97f4a7c15)) ^ Mix(version);
}

void PendingRecord::Seal(const Geometry& geometry, uint64_t version) const {
  StoreWord(address + kVersion * kWord, version);
  StoreWord(address + kChecksum * kWord, ChecksumOf(value_hash, key_hash, position, version));
  // dies before -> no mark: the position holds nothing; dies after -> a whole record that no entry
  // names; a successor sees -> it only if the entry was published.
  StoreWord(address + kMark * kWord, geometry.MarkOf(position));
}

void WriteHead(char* address, std::string_view key, uint64_t value_bytes) {
  StoreWord(address + kMark * kWord, 0);
  StoreWord(address + kSizes * kWord, uint64_t{key.size()} << kKeySizeShift | value_bytes);
  CopyIn(address + kRecordHeaderBytes, key);
}

void WriteValue(char* address, size_t key_bytes, std::string_view value) {
  CopyIn(address + kRecordHeaderBytes + PaddedBytes(key_bytes), value);
}

void Wipe(char* address, uint64_t units) {
  for (uint64_t unit = 0; unit < units; ++unit) StoreWord(address + unit * kUnitBytes, 0);
}

bool ReadHead(const Geometry& geometry, uint64_t word, RecordHead* head) {
  const uint64_t unit = geometry.UnitOf(word);
  if (unit >= geometry.ring_units()) return false;  // a damaged entry
  head->address = geometry.ring + unit * kUnitBytes;
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

bool StillWhole(const Geometry& geometry, const RecordHead& head) {
  if (LoadWord(head.address + kMark * kWord) != geometry.MarkOf(head.position)) return false;
  const uint64_t first = geometry.SequenceOf(head.position);
  const uint64_t last = geometry.SequenceOf(head.position + head.units() - 1);
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

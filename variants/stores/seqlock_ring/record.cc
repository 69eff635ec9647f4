#include "variants/stores/seqlock_ring/record.h"

namespace kill9::ring {

void Wipe(char* address, uint64_t units) {
  for (uint64_t unit = 0; unit < units; ++unit) StoreWord(address + unit * kUnitBytes, 0);
}

bool ReadHead(const Geometry& geometry, uint64_t word, RecordHead* head) {
  char* const address = AddressOf(geometry, word);
  if (address == nullptr) return false;
  head->mark = LoadWord(address + kMark * kWord);
  head->position = head->mark ^ geometry.secret;
  if (!SamePosition(head->position, word)) return false;
  head->version = LoadWord(address + kVersion * kWord);
  const uint64_t sizes = LoadWord(address + kSizes * kWord);
  head->checksum = LoadWord(address + kChecksum * kWord);
  head->key_bytes = sizes >> kKeySizeShift;
  head->value_bytes = sizes & kValueSizeMask;
  head->units = UnitsFor(head->key_bytes, head->value_bytes);
  head->address = address;
  return head->key_bytes - 1 < kMaxKeyBytes && Fits(geometry, word, head->units);
}

bool FitToValue(const Geometry& geometry, uint64_t position, uint64_t sizes, size_t key_bytes,
                size_t apart_bytes, std::string* value) {
  const uint64_t value_bytes = sizes & kValueSizeMask;
  if (sizes >> kKeySizeShift != key_bytes || value_bytes < apart_bytes ||
      !Fits(geometry, position, UnitsFor(key_bytes, value_bytes))) {
    return false;
  }
  value->resize(value_bytes - apart_bytes);
  return true;
}

bool LaterChunksStand(const Geometry& geometry, uint64_t position, uint64_t units) {
  const uint64_t first = geometry.SequenceOf(position);
  const uint64_t last = geometry.SequenceOf(position + units - 1);
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

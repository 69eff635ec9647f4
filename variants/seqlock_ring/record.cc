#include "variants/seqlock_ring/record.h"

namespace kill9::ring {
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

}  // namespace kill9::ring

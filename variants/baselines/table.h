// What the baselines share: a chained hash table and a first-fit heap in a segment, as one would
// write them for a single process. It synchronises nothing: each baseline puts its own idea of that
// around it.
//
//     header | buckets: the offset of each chain's first entry | map: one byte each unit | units
//
// A block is a row of units of 64 bytes: an entry, its key, its value.
//
// T1  A chain ends with 0, and an entry is in the chain of its key's hash.
// T2  The map says kFirst for a block's first unit, kMore for its others, kFree elsewhere.
// T3  A block is linked, or pinned by `references` readers, or free.
#ifndef KILL9_VARIANTS_BASELINES_TABLE_H_
#define KILL9_VARIANTS_BASELINES_TABLE_H_

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment.h"
#include "variants/store.h"

namespace kill9::baselines {

struct TableHeader {
  alignas(64) char guard[128];  // the baseline's own: its lock
  // All else is written and read by whoever the baseline lets in.
  uint64_t bucket_count;  // a power of two
  uint64_t unit_count;
  uint64_t next_unit;  // where the heap looks first
  uint64_t last_version;
  uint64_t entry_count;
  uint64_t reserved[3];
};
static_assert(sizeof(TableHeader) == 192 && std::is_trivially_copyable_v<TableHeader>);

struct Entry {
  uint64_t next;  // offset in the segment; 0: the last of its chain
  Version version;
  uint32_t key_bytes;
  uint32_t value_bytes;
  uint32_t references;  // pins
  uint32_t unlinked;    // 1: the last pin frees it
};
static_assert(sizeof(Entry) == 32 && std::is_trivially_copyable_v<Entry>);

class Table {
 public:
  static constexpr uint64_t kUnitBytes = 64;
  static constexpr size_t kMaxKeyBytes = 1024;

  // What a Put does with a value that fits the block of the one before.
  enum class Overwrite : uint8_t { kInPlace, kNever };

  // REQUIRES: the body is zeroed.
  static absl::Status Format(Segment& segment, uint64_t expected_entries);

  Table(const Segment& segment, Overwrite overwrite);

  TableHeader& header() const { return *header_; }
  size_t max_value_bytes() const;

  // kResourceExhausted: nothing changed.
  absl::StatusOr<Version> Put(std::string_view key, std::string_view value);
  Entry* Find(std::string_view key) const;  // null: absent
  bool Erase(std::string_view key);
  std::string_view KeyOf(const Entry& entry) const;
  std::string_view ValueOf(const Entry& entry) const;
  void ForEachEntry(absl::FunctionRef<bool(const Entry&)> visit) const;

  uint64_t OffsetOf(const Entry& entry) const;
  Entry& At(uint64_t offset) const { return *reinterpret_cast<Entry*>(base_ + offset); }
  void Unpin(Entry& entry);

  // Frees what no chain reaches and nobody pins; returns how many blocks.
  uint64_t Sweep();
  AuditReport Audit() const;

 private:
  enum Unit : uint8_t { kFree = 0, kFirst = 1, kMore = 2 };

  // The link that leads to the key's entry, or the 0 at the end of its chain.
  uint64_t& LinkTo(std::string_view key) const;
  static uint64_t UnitsFor(size_t key_bytes, size_t value_bytes);
  Entry* Allocate(size_t key_bytes, size_t value_bytes);
  void Free(uint64_t unit);
  void Retire(Entry& entry);
  uint64_t UnitOf(const Entry& entry) const;

  const Segment* segment_;
  Overwrite overwrite_;
  char* base_;
  TableHeader* header_;
  uint64_t* buckets_;
  uint8_t* map_;
  char* units_;
};

}  // namespace kill9::baselines

#endif  // KILL9_VARIANTS_BASELINES_TABLE_H_

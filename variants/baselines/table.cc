#include "variants/baselines/table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kill9::baselines {
namespace {

constexpr uint64_t kLeastUnits = 16;
constexpr uint64_t kUnitsPerBucket = 4;

uint64_t BucketsFor(uint64_t body_bytes, uint64_t expected_entries) {
  const uint64_t wanted =
      expected_entries != 0 ? expected_entries : body_bytes / (Table::kUnitBytes * kUnitsPerBucket);
  return std::bit_ceil(std::max<uint64_t>(wanted, 16));
}

}  // namespace

absl::Status Table::Format(Segment& segment, uint64_t expected_entries) {
  TableHeader& header = *reinterpret_cast<TableHeader*>(segment.body().data());
  const uint64_t body_bytes = segment.body().size();
  header.bucket_count = BucketsFor(body_bytes, expected_entries);
  const uint64_t fixed_bytes = sizeof(TableHeader) + header.bucket_count * sizeof(uint64_t);
  if (body_bytes > fixed_bytes + 2 * kUnitBytes) {
    header.unit_count = (body_bytes - fixed_bytes - kUnitBytes) / (kUnitBytes + 1);
  }
  if (header.unit_count >= kLeastUnits) return absl::OkStatus();
  return absl::InvalidArgumentError("the segment is too small for its table");
}

Table::Table(const Segment& segment, Overwrite overwrite)
    : segment_(&segment),
      overwrite_(overwrite),
      base_(segment.base()),
      header_(reinterpret_cast<TableHeader*>(segment.body().data())),
      buckets_(reinterpret_cast<uint64_t*>(header_ + 1)),
      map_(reinterpret_cast<uint8_t*>(buckets_ + header_->bucket_count)) {
  const uint64_t end =
      static_cast<uint64_t>(reinterpret_cast<char*>(map_) - base_) + header_->unit_count;
  units_ = base_ + (end + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
}

size_t Table::max_value_bytes() const {
  return std::min<size_t>(header_->unit_count * kUnitBytes - sizeof(Entry) - kMaxKeyBytes,
                          UINT32_MAX);
}

absl::StatusOr<Version> Table::Put(std::string_view key, std::string_view value) {
  uint64_t& link = LinkTo(key);
  Entry* old = link != 0 ? &At(link) : nullptr;
  if (old != nullptr && overwrite_ == Overwrite::kInPlace &&
      UnitsFor(key.size(), value.size()) == UnitsFor(key.size(), old->value_bytes)) {
    old->value_bytes = static_cast<uint32_t>(value.size());
    std::copy(value.begin(), value.end(), reinterpret_cast<char*>(old + 1) + key.size());
    return old->version = ++header_->last_version;
  }
  Entry* entry = Allocate(key.size(), value.size());
  if (entry == nullptr) return absl::ResourceExhaustedError("no room for the value");
  *entry = {.next = old != nullptr ? old->next : 0,
            .version = ++header_->last_version,
            .key_bytes = static_cast<uint32_t>(key.size()),
            .value_bytes = static_cast<uint32_t>(value.size()),
            .references = 0,
            .unlinked = 0};
  char* bytes = reinterpret_cast<char*>(entry + 1);
  std::copy(key.begin(), key.end(), bytes);
  std::copy(value.begin(), value.end(), bytes + key.size());
  const Version version = entry->version;
  link = OffsetOf(*entry);
  if (old != nullptr) {
    Retire(*old);
  } else {
    ++header_->entry_count;
  }
  return version;
}

Entry* Table::Find(std::string_view key) const {
  const uint64_t link = LinkTo(key);
  return link != 0 ? &At(link) : nullptr;
}

bool Table::Erase(std::string_view key) {
  uint64_t& link = LinkTo(key);
  if (link == 0) return false;
  Entry& entry = At(link);
  link = entry.next;
  --header_->entry_count;
  Retire(entry);
  return true;
}

std::string_view Table::KeyOf(const Entry& entry) const {
  return {reinterpret_cast<const char*>(&entry + 1), entry.key_bytes};
}

std::string_view Table::ValueOf(const Entry& entry) const {
  return {reinterpret_cast<const char*>(&entry + 1) + entry.key_bytes, entry.value_bytes};
}

void Table::ForEachEntry(absl::FunctionRef<bool(const Entry&)> visit) const {
  for (uint64_t bucket = 0; bucket < header_->bucket_count; ++bucket) {
    for (uint64_t at = buckets_[bucket]; at != 0; at = At(at).next) {
      if (!visit(At(at))) return;
    }
  }
}

void Table::Unpin(Entry& entry) {
  if (--entry.references == 0 && entry.unlinked != 0) Free(UnitOf(entry));
}

uint64_t Table::Sweep() {
  std::vector<bool> linked(header_->unit_count);
  header_->entry_count = 0;
  ForEachEntry([&](const Entry& entry) {
    linked[UnitOf(entry)] = true;
    ++header_->entry_count;
    return true;
  });
  uint64_t freed = 0;
  for (uint64_t unit = 0; unit < header_->unit_count; ++unit) {
    if (map_[unit] == kMore && (unit == 0 || map_[unit - 1] == kFree)) map_[unit] = kFree;
    if (map_[unit] != kFirst || linked[unit]) continue;
    Entry& entry = *reinterpret_cast<Entry*>(units_ + unit * kUnitBytes);
    entry.unlinked = 1;
    if (entry.references != 0) continue;
    Free(unit);
    ++freed;
  }
  return freed;
}

AuditReport Table::Audit() const {
  AuditReport report;
  std::vector<bool> linked(header_->unit_count);
  ForEachEntry([&](const Entry& entry) {
    linked[UnitOf(entry)] = true;
    ++report.entries;
    return true;
  });
  AuditReport::Account* account = &report.leaked;
  for (uint64_t unit = 0; unit < header_->unit_count; ++unit) {
    if (map_[unit] == kFirst) {
      const Entry& entry = *reinterpret_cast<const Entry*>(units_ + unit * kUnitBytes);
      account = linked[unit] ? &report.live : entry.references != 0 ? &report.held : &report.leaked;
    }
    AuditReport::Account& of_unit = map_[unit] == kFree ? report.free : *account;
    ++of_unit.blocks;
    of_unit.bytes += kUnitBytes;
  }
  report.capacity = {header_->unit_count, header_->unit_count * kUnitBytes};
  if (report.entries != header_->entry_count) {
    report.violations.push_back(absl::StrCat("the table counts ", header_->entry_count,
                                             " entries and has ", report.entries));
  }
  return report;
}

uint64_t& Table::LinkTo(std::string_view key) const {
  uint64_t* link = &buckets_[segment_->Hash(key) & (header_->bucket_count - 1)];
  while (*link != 0 && KeyOf(At(*link)) != key) link = &At(*link).next;
  return *link;
}

uint64_t Table::UnitsFor(size_t key_bytes, size_t value_bytes) {
  return (sizeof(Entry) + key_bytes + value_bytes + kUnitBytes - 1) / kUnitBytes;
}

Entry* Table::Allocate(size_t key_bytes, size_t value_bytes) {
  const uint64_t wanted = UnitsFor(key_bytes, value_bytes);
  if (wanted > header_->unit_count) return nullptr;
  uint64_t start = header_->next_unit;
  uint64_t run = 0;
  // Once around, and far enough beyond to see a run that begins before the start.
  for (uint64_t seen = 0; seen < header_->unit_count + wanted; ++seen) {
    const uint64_t unit = start + run;
    if (unit >= header_->unit_count) {
      start = 0;
      run = 0;
      continue;
    }
    if (map_[unit] != kFree) {
      start = unit + 1;
      run = 0;
      continue;
    }
    if (++run < wanted) continue;
    std::memset(units_ + start * kUnitBytes, 0, sizeof(Entry));
    map_[start] = kFirst;
    std::memset(map_ + start + 1, kMore, wanted - 1);
    header_->next_unit = start + wanted;
    return reinterpret_cast<Entry*>(units_ + start * kUnitBytes);
  }
  return nullptr;
}

void Table::Free(uint64_t unit) {
  do {
    map_[unit++] = kFree;
  } while (unit < header_->unit_count && map_[unit] == kMore);
}

void Table::Retire(Entry& entry) {
  entry.unlinked = 1;
  if (entry.references == 0) Free(UnitOf(entry));
}

uint64_t Table::UnitOf(const Entry& entry) const {
  return static_cast<uint64_t>(reinterpret_cast<const char*>(&entry) - units_) / kUnitBytes;
}

uint64_t Table::OffsetOf(const Entry& entry) const {
  return static_cast<uint64_t>(reinterpret_cast<const char*>(&entry) - base_);
}

}  // namespace kill9::baselines

#include "stress/benchmarks/endurance/filling.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/random.h"
#include "stress/benchmarks/endurance/subject.h"
#include "variants/heap.h"
#include "variants/registry.h"
#include "variants/store.h"

namespace kill9::endurance {

absl::StatusOr<Json> FillLarge(const Design& design, uint64_t segment_bytes) {
  constexpr size_t kEach = 1u << 20;
  SegmentOptions options;
  options.size_bytes = segment_bytes;
  options.max_participants = 4;
  options.expected_entries = 16384;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::unique_ptr<SharedObject>> object = design.AttachObject(*segment);
  if (!object.ok()) return object.status();
  uint64_t put = 0, there = 0;
  bool forgets = false;
  if (auto* store = dynamic_cast<Store*>(object->get())) {
    forgets = !static_cast<const Variant&>(design).traits().lossless;
    for (; put < segment_bytes / kEach; ++put) {
      const absl::Status status = store->Put(absl::StrCat(put), BytesOf(put, kEach)).status();
      if (absl::IsResourceExhausted(status)) break;
      if (!status.ok()) return Failed("put", status);
    }
    const absl::Status seen = store->ForEach([&](const EntryView& entry) {
      const uint64_t n = std::stoull(std::string(entry.key));
      there += entry.value.size() == kEach && AreBytesOf(n, entry.value);
      return true;
    });
    if (!seen.ok()) return Failed("for_each", seen);
  } else if (auto* heap = dynamic_cast<Heap*>(object->get())) {
    std::vector<BlockHandle> blocks;
    for (;;) {
      const absl::StatusOr<BlockHandle> block = heap->Allocate(kEach, Deadline::None());
      if (absl::IsDeadlineExceeded(block.status()) || absl::IsResourceExhausted(block.status())) {
        break;
      }
      if (!block.ok()) return Failed("allocate", block.status());
      BytesOf(blocks.size(), kEach).copy(heap->Data(*block)->data(), kEach);
      blocks.push_back(*block);
    }
    put = blocks.size();
    for (size_t n = 0; n < blocks.size(); ++n) {
      const absl::StatusOr<std::span<char>> data = heap->Data(blocks[n]);
      there += data.ok() && AreBytesOf(n, {data->data(), kEach});
    }
  } else {
    return absl::UnimplementedError("its segments are small");
  }
  if (absl::Status status = CheckAccount(**object); !status.ok()) return status;
  const bool are_most = there * kEach >= segment_bytes / 8 * 7;
  if (there != put && !(forgets && are_most)) {
    return absl::DataLossError(absl::StrCat(there, " of ", put, " values are there"));
  }
  if (!are_most) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the segment was full with ", put, " MiB of ", segment_bytes >> 20));
  }
  return Json{{"segment_bytes", segment_bytes}, {"value_bytes_there", there * kEach}};
}

absl::StatusOr<Json> FillTable(const Design& design, const Table& table) {
  const auto* variant = dynamic_cast<const Variant*>(&design);
  if (variant == nullptr) return absl::UnimplementedError("it has no entries");
  SegmentOptions options;
  options.size_bytes = (16u << 20) + table.entries * table.entry_bytes;
  options.expected_entries = table.entries;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = variant->Create(options);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::unique_ptr<Store>> store = variant->Attach(*segment);
  if (!store.ok()) return store.status();
  const auto key_of = [](uint64_t n) {
    return std::string(reinterpret_cast<const char*>(&n), sizeof n);
  };
  Json entries = Json::array(), put_cost = Json::array(), get_cost = Json::array();
  double first_put = 0, first_get = 0;
  uint64_t put = 0, lost = 0;
  std::string value;
  const uint64_t each = table.entries / table.steps;
  const uint64_t looks = std::min<uint64_t>(each, 100'000);
  bool is_full = false;
  for (uint64_t step = 0; step < table.steps && !is_full; ++step) {
    const auto of_puts = CpuSecondsOf([&] {
      for (uint64_t n = 0; n < each; ++n, ++put) {
        const absl::Status status = (*store)->Put(key_of(put), BytesOf(put, 8)).status();
        is_full = absl::IsResourceExhausted(status);
        if (is_full) break;
        if (!status.ok()) return Failed("put", status);
      }
      return absl::OkStatus();
    });
    if (!of_puts.ok()) return of_puts.status();
    if (is_full) break;
    Random random(table.seed, step);
    const auto of_gets = CpuSecondsOf([&] {
      for (uint64_t n = 0; n < looks; ++n) {
        const uint64_t key = random.Below(put);
        const absl::Status status = (*store)->Get(key_of(key), &value).status();
        if (absl::IsNotFound(status)) {
          ++lost;
        } else if (!status.ok()) {
          return Failed("get", status);
        } else if (!AreBytesOf(key, value)) {
          return absl::DataLossError("a value of another key");
        }
      }
      return absl::OkStatus();
    });
    if (!of_gets.ok()) return of_gets.status();
    if (step == 0) first_put = *of_puts, first_get = *of_gets;
    entries.push_back(put);
    put_cost.push_back(Rounded(*of_puts / first_put));
    get_cost.push_back(Rounded(*of_gets / first_get));
  }
  // Every one of them, once, with its value.
  uint64_t there = 0, wrong = 0;
  std::vector<bool> is_there(put);
  const absl::Status seen = (*store)->ForEach([&](const EntryView& entry) {
    uint64_t n = put;
    if (entry.key.size() == sizeof n) std::memcpy(&n, entry.key.data(), sizeof n);
    if (n >= put || is_there[n] || entry.value.size() != 8 || !AreBytesOf(n, entry.value)) ++wrong;
    if (n < put) is_there[n] = true;
    return ++there, true;
  });
  if (!seen.ok()) return Failed("for_each", seen);
  if (wrong > 0) return absl::DataLossError(absl::StrCat("not as they were put: ", wrong));
  if (variant->traits().lossless && (lost > 0 || there != put)) {
    return absl::DataLossError(absl::StrCat(there, " of ", put, " entries are there"));
  }
  if (absl::Status status = CheckAccount(**store); !status.ok()) return status;
  if (is_full) {
    return absl::ResourceExhaustedError(absl::StrCat("the segment was full with ", put, " of ",
                                                     table.entries,
                                                     " entries (--entry-bytes gives more room)"));
  }
  return Json{{"entries", entries},
              {"entries_there", there},
              {"put_cost_beside_first", put_cost},
              {"get_cost_beside_first", get_cost}};
}

}  // namespace kill9::endurance

// The room that entries take: of a bounded store, what a segment holds until it is full; of one
// that keeps files, the room that the files came to.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "harness/torture/control.h"
#include "harness/torture/segment_unlinker.h"
#include "stress/benchmarks/limits/measure.h"

namespace kill9::limits {
namespace {

constexpr uint64_t kSegmentBytes = 16u << 20;
constexpr uint64_t kFillingNs = 10'000'000'000;  // where no end must be reached

// Blocks that are really there: files may be sparse.
uint64_t BytesOf(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory, error)) {
    struct stat stat {};
    if (::stat(file.path().c_str(), &stat) == 0)
      bytes += static_cast<uint64_t>(stat.st_blocks) * 512;
  }
  return bytes;
}

}  // namespace

double OverheadBytes(const Variant& variant, size_t value_bytes) {
  SegmentOptions options;
  options.size_bytes = kSegmentBytes;
  SegmentUnlinker unlinker;
  std::string directory;
  if (variant.traits().needs_name) {
    options.location = {SegmentKind::kNamed, "kill9-room-" + std::to_string(getpid())};
    if (!unlinker.Watch(options.location).ok()) return 0;
    directory = *Segment::DirectoryOf(options.location);
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = variant.Create(options);
  if (!segment.ok()) return 0;
  absl::StatusOr<std::unique_ptr<Store>> store = variant.Attach(*segment);
  if (!store.ok()) return 0;
  const uint64_t empty = directory.empty() ? 0 : BytesOf(directory);
  // As many as half the segment would hold without overhead, or as many as it takes in ten seconds;
  // or, where it is bounded, until it says no or forgets.
  const std::string value(value_bytes, 'r');
  const uint64_t bare = 16 + value_bytes;
  const uint64_t most = kSegmentBytes / bare / (directory.empty() ? 1 : 2);
  const uint64_t begin = MonotonicNs();
  const auto goes_on = [&](uint64_t entries) {
    return entries < most && (directory.empty() || MonotonicNs() - begin < kFillingNs);
  };
  uint64_t entries = 0;
  while (goes_on(entries) && (*store)->Put(KeyOf(entries), value).ok()) ++entries;
  if (!variant.traits().lossless) {
    entries = 0;
    const absl::Status counted = (*store)->ForEach([&entries](const EntryView&) {
      ++entries;
      return true;
    });
    if (!counted.ok()) return 0;
  }
  if (entries == 0) return 0;
  const uint64_t bytes = directory.empty() ? kSegmentBytes : BytesOf(directory) - empty;
  return static_cast<double>(bytes) / static_cast<double>(entries) - static_cast<double>(bare);
}

}  // namespace kill9::limits

// The files of a cluster: which of them may be read as they are (cluster.h, C2).
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/cluster/cluster.h"
#include "variants/segment.h"
#include "variants/segment/terms.h"

namespace kill9::server {
namespace {

// What a file notes, in one word; 0, as a new segment has it, is that of a file that is alone. The
// page of terms has shared words at its beginning, and is the program's at its end.
struct Note {
  uint64_t generation = 0;
  size_t index = 0;
  size_t count = 1;
  bool operator==(const Note&) const = default;
};
constexpr size_t kNoteAt = terms::kPageBytes - sizeof(uint64_t);
static_assert(sizeof(terms::SharedWords) <= kNoteAt && std::atomic<uint64_t>::is_always_lock_free);

std::atomic<uint64_t>& WordOf(const Segment& segment) {
  return *reinterpret_cast<std::atomic<uint64_t>*>(segment.terms_area() + kNoteAt);
}

// Acquire and release: whoever reads a note may read what was cleared before it was written.
Note ReadNote(const Segment& segment) {
  const uint64_t word = WordOf(segment).load(std::memory_order_acquire);
  return {word >> 16, (word >> 8) & 0xff, (word & 0xff) + 1};
}

// On the disk when it returns: an error leaves what a crash of the machine would.
void WriteNote(const Segment& segment, const Note& note) {
  WordOf(segment).store(note.generation << 16 | note.index << 8 | (note.count - 1),
                        std::memory_order_release);
  msync(segment.terms_area(), terms::kPageBytes, MS_SYNC);
}

enum class Origin : uint8_t { kWasThere, kNew, kInMemory };

struct Opened {
  std::shared_ptr<Segment> segment;
  Origin origin = Origin::kNew;
};

absl::StatusOr<Opened> OpenOrMake(const Variant& design, const SegmentOptions& options) {
  absl::StatusOr<std::shared_ptr<Segment>> made = design.Create(options);
  if (made.ok()) return Opened{*std::move(made), Origin::kNew};
  if (!absl::IsAlreadyExists(made.status())) return made.status();
  absl::StatusOr<std::shared_ptr<Segment>> opened = design.Open(options.location);
  if (!opened.ok()) return opened.status();
  return Opened{*std::move(opened), Origin::kWasThere};
}

// Without the advice behind it.
std::string WhatIsWrong(const absl::Status& status) {
  const std::string text(status.message());
  return text.substr(0, text.find(';'));
}

// One file of several.
absl::StatusOr<Opened> OpenShare(const Variant& design, SegmentOptions options,
                                 std::vector<std::string>* said) {
  const std::string file = options.location.name;
  absl::StatusOr<Opened> opened = OpenOrMake(design, options);
  if (opened.ok() || absl::IsFailedPrecondition(opened.status())) return opened;
  if (absl::IsDataLoss(opened.status())) {
    const std::string aside = file + ".damaged";
    if (std::rename(file.c_str(), aside.c_str()) == 0) {
      said->push_back(absl::StrCat(WhatIsWrong(opened.status()), "; it is now ", aside,
                                   ", and its share begins cold"));
      opened = OpenOrMake(design, options);
      if (opened.ok()) return opened;
    }
  }
  said->push_back(absl::StrCat(WhatIsWrong(opened.status()),
                               "; its share is in memory, and ends with this program"));
  options.location = {};
  opened = OpenOrMake(design, options);
  if (opened.ok()) opened->origin = Origin::kInMemory;
  return opened;
}

// Clears those that were away, and notes how it is now.
absl::Status Settle(const Variant& design, const std::vector<Opened>& all) {
  const size_t count = all.size();
  uint64_t highest = 0;
  for (const Opened& one : all) {
    if (one.origin == Origin::kWasThere) {
      highest = std::max(highest, ReadNote(*one.segment).generation);
    }
  }
  bool is_as_it_was = true;
  for (size_t i = 0; i < count; ++i) {
    if (all[i].origin != Origin::kWasThere) {
      is_as_it_was = false;
      continue;
    }
    const Note note = ReadNote(*all[i].segment);
    is_as_it_was = is_as_it_was && note == Note{highest, i, count};
    if (note.generation == highest && note.index == i && note.count <= count) continue;
    const absl::StatusOr<std::unique_ptr<Store>> store = design.Attach(all[i].segment);
    if (!store.ok()) return store.status();
    if (absl::Status cleared = (*store)->Clear(); !cleared.ok()) return cleared;
  }
  if (is_as_it_was || (count == 1 && highest == 0)) return absl::OkStatus();
  for (size_t i = 0; i < count; ++i) WriteNote(*all[i].segment, {highest + 1, i, count});
  return absl::OkStatus();
}

}  // namespace

uint64_t ClusterSegments::bytes() const {
  return std::accumulate(segments.begin(), segments.end(), uint64_t{0},
                         [](uint64_t sum, const auto& segment) { return sum + segment->size(); });
}

uint64_t ClusterSegments::least_bytes() const {
  uint64_t least = segments[0]->size();
  for (const auto& segment : segments) least = std::min(least, segment->size());
  return least;
}

absl::StatusOr<ClusterSegments> OpenCluster(const Variant& design,
                                            const std::vector<std::string>& files,
                                            const SegmentOptions& options) {
  const size_t count = std::max<size_t>(1, files.size());
  if (count > kMostFiles) {
    return absl::OutOfRangeError(
        absl::StrCat(count, " files; there may be ", kMostFiles, " at most"));
  }
  if (count > 1 && !options.keeps_terms) {
    return absl::OutOfRangeError("several files need a design that keeps terms");
  }
  for (auto file = files.begin(); file != files.end(); ++file) {
    if (std::find(files.begin(), file, *file) == file) continue;
    return absl::OutOfRangeError(absl::StrCat(*file, " is given twice"));
  }
  ClusterSegments cluster;
  std::vector<Opened> all;
  for (size_t i = 0; i < count; ++i) {
    SegmentOptions share = options;
    share.size_bytes = options.size_bytes / count;
    share.expected_entries = (options.expected_entries + count - 1) / count;
    if (!files.empty()) share.location = {.kind = SegmentKind::kFile, .name = files[i]};
    absl::StatusOr<Opened> opened =
        count == 1 ? OpenOrMake(design, share) : OpenShare(design, share, &cluster.said);
    if (!opened.ok()) return opened.status();
    if (options.keeps_terms && !opened->segment->keeps_terms()) {
      return absl::FailedPreconditionError(
          absl::StrCat(files[i], " keeps no terms: another program made it"));
    }
    all.push_back(*std::move(opened));
    cluster.segments.push_back(all.back().segment);
  }
  if (options.keeps_terms) {
    if (absl::Status settled = Settle(design, all); !settled.ok()) return settled;
  }
  return cluster;
}

}  // namespace kill9::server

// What the variants of variants/stores/locked have in common: all but the number of shards that a
// segment is created with, and what they say of themselves.
#ifndef KILL9_VARIANTS_STORES_LOCKED_LOCKED_VARIANT_H_
#define KILL9_VARIANTS_STORES_LOCKED_LOCKED_VARIANT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "variants/registry.h"
#include "variants/stores/locked/locked_store.h"

namespace kill9::locked {

// Of an entry: the smallest block; what the journal's image has room for; the largest block that is
// listed when it is freed.
inline constexpr uint32_t kEntryEdges[] = {
    Heap::kMinimumBlockBytes - Heap::kBlockHeaderBytes + sizeof(Entry),
    offsetof(Entry, version) + Journal::kImageBytes, Heap::kListedBytes - Heap::kBlockHeaderBytes};
inline constexpr uint32_t kValueEdges[] = {kCopyUnderMutexBytes};
inline constexpr SizeEdges kSizeEdges = {.max_key_bytes = kMaxKeyBytes,
                                         .overhead_bytes = sizeof(Entry),
                                         .key_unit_bytes = 8,
                                         .entry_bytes = kEntryEdges,
                                         .value_bytes = kValueEdges};

class LockedVariant : public Variant {
 public:
  // `name` lives as long as the variant.
  explicit LockedVariant(std::string_view name) : name_(name) {}

  std::string_view name() const final { return name_; }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const final {
    return Segment::Open(location, LayoutOf(name_));
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const final {
    return Segment::FromFd(fd, LayoutOf(name_));
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const final {
    return AttachStore(std::move(segment));
  }

 private:
  std::string_view name_;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_LOCKED_VARIANT_H_

#include "variants/buffers/buffer_pool_design.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "variants/buffers/buffer_pool.h"

namespace kill9 {
namespace {

using buffers::Descriptor;

BufferPoolOptions OptionsOf(const SegmentOptions& segment) {
  constexpr uint64_t kLeastHolds = 4;
  BufferPoolOptions options{.segment = segment};
  const uint64_t table_bytes = segment.size_bytes / 4;
  if (segment.expected_entries != 0) {
    options.buffers_most = segment.expected_entries;
  } else {
    const uint64_t fit = table_bytes / Descriptor::Bytes(options.holds_most);
    options.buffers_most = std::clamp<uint64_t>(fit, 1, options.buffers_most);
  }
  const uint64_t of_each = std::max<uint64_t>(table_bytes / options.buffers_most / 64 * 64, 64);
  options.holds_most =
      std::clamp<uint64_t>((of_each - sizeof(Descriptor)) / sizeof(buffers::SharedWord),
                           kLeastHolds, options.holds_most);
  return options;
}

class BufferPools final : public Design {
 public:
  BufferPools() {
    traits_.recovery_trigger =
        "whoever calls Recover or asks for room that there is not; who attaches to a full table";
    traits_.recovery_cost = "the number of buffers that there can be, times the dead";
  }
  std::string_view name() const override { return BufferPool::kDesignName; }
  std::string_view summary() const override {
    return "buffers with many owners, passed on through a channel without a copy";
  }
  std::string_view kind() const override { return kPoolKind; }
  // Of the messages that carry the buffers.
  std::string_view model() const override { return "channel"; }
  const ObjectTraits& object_traits() const override { return traits_; }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return BufferPool::Create(OptionsOf(options));
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return BufferPool::Open(location);
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return BufferPool::FromFd(fd);
  }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const override {
    return BufferPool::Attach(std::move(segment));
  }

 private:
  ObjectTraits traits_;
};

}  // namespace

const Design& BufferPoolDesign() {
  static const BufferPools design;
  return design;
}

}  // namespace kill9

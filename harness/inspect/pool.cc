#include "harness/inspect/pool.h"

#include <memory>
#include <utility>
#include <vector>

#include "variants/buffers/buffer_pool.h"

namespace kill9::inspect {
namespace {

class BufferPools final : public Design {
 public:
  std::string_view name() const override { return BufferPool::kDesignName; }
  std::string_view summary() const override {
    return "buffers with many owners, in one segment that processes share";
  }
  std::string_view kind() const override { return kPoolKind; }
  std::string_view model() const override { return ""; }
  const ObjectTraits& object_traits() const override { return traits_; }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return BufferPool::Create({.segment = options});
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

Json AsJson(const std::vector<kill9::HoldsOf>& all, const char* holder) {
  Json rows = Json::array();
  for (const kill9::HoldsOf& one : all)
    rows.push_back({{holder, one.holder}, {"holds", one.holds}});
  return rows;
}

}  // namespace

const Design& PoolDesign() {
  static const BufferPools design;
  return design;
}

absl::StatusOr<Json> PoolOf(SharedObject& pool) {
  const absl::StatusOr<BufferPoolAccount> account = static_cast<BufferPool&>(pool).Account();
  if (!account.ok()) return account.status();
  return Json{{"buffers", account->report.entries},
              {"holds", account->holds},
              {"room_bytes", account->room_bytes},
              {"free_bytes", account->free_bytes},
              {"live_bytes", account->live_bytes},
              {"header_bytes", account->header_bytes},
              {"rounding_bytes", account->rounding_bytes},
              {"holds_of_participants", AsJson(account->of_participants, "slot")},
              {"holds_of_messages", AsJson(account->of_messages, "box")}};
}

}  // namespace kill9::inspect

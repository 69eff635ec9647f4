// global_mutex: everything under one process-shared robust mutex.
//
// The simplest design that loses nothing: one lock domain (variants/locked/shard.h) is the whole
// store. Layout, invariants and commit points are those of variants/locked: journal.h (J1-J4),
// heap.h (H1-H5), shard.h (D1-D5), ledger.h (L1-L4), recovery.cc, audit.cc.
#include "variants/locked/locked_store.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr std::string_view kName = "global_mutex";

class GlobalMutexVariant final : public Variant {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "one robust mutex over a hash table and a coalescing heap, repaired from an undo "
           "journal";
  }
  const Traits& traits() const override {
    static const Traits traits{
        .recovery_trigger =
            "the next locker undoes a half-done operation; holds come back by Recover(), by an "
            "attach "
            "that finds no slot, or by an allocation that finds no room",
        .recovery_cost = "one operation's journal, plus what the dead participant held",
    };
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return locked::CreateSegment(options, kName, 1);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, locked::LayoutOf(kName));
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, locked::LayoutOf(kName));
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return locked::AttachStore(std::move(segment));
  }
};

}  // namespace

const Variant& GlobalMutex();
const Variant& GlobalMutex() {
  static const GlobalMutexVariant variant;
  return variant;
}

}  // namespace kill9

// coalescing_heap: blocks that are split and merged, under one robust mutex.
//
// The arena is that of the locked stores (variants/stores/locked/heap.h): boundary tags, bins of
// like sizes, an undo journal that makes each change all or nothing. Layout and invariants:
// layout.h; blocks and owners: space.cc; operations: operations.cc; recovery: recovery.cc; audit:
// audit.cc.
#include "variants/heaps/coalescing_heap/coalescing_heap.h"

#include <memory>
#include <string_view>
#include <utility>

#include "variants/segment/admission/mutex_admission.h"

namespace kill9 {
namespace {

using coalescing_heap::Ledger;
using coalescing_heap::Space;

constexpr std::string_view kName = "coalescing_heap";

SegmentLayout Layout() {
  return {.design = kName, .layout_version = 1, .ledger_bytes = sizeof(Ledger)};
}

class CoalescingHeapDesign final : public HeapDesign {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "blocks are split and merged under one robust mutex; owners are bits in the block";
  }
  const HeapTraits& traits() const override {
    static const HeapTraits traits = [] {
      HeapTraits own;
      own.recovery_trigger =
          "the next locker undoes what a half-done operation left; what the dead owned is let go "
          "of by Recover(), or by a call that would have to wait";
      own.recovery_cost = "the number of blocks";
      return own;
    }();
    return traits;
  }

  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Segment::Create(options, Layout(), &Space::Format);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, Layout());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, Layout());
  }
  absl::StatusOr<std::unique_ptr<Heap>> Attach(std::shared_ptr<Segment> segment) const override {
    if (absl::Status status = Space::Check(*segment); !status.ok()) return status;
    Space space(segment);
    // Whatever was under way in a copy, the next one undoes.
    const auto reset = [&space] {
      coalescing_heap::HeapHeader& header = space.header();
      header.mutex.Reset(!header.mutex.LooksFree() || header.writer != 0);
    };
    // If there is damage, the participant's operations report it.
    absl::StatusOr<Participant> participant =
        ClaimAdmitted(space.participants(), segment->fd(), reset,
                      [&space] { coalescing_heap::RecoverDead(space).IgnoreError(); });
    if (!participant.ok()) return participant.status();
    return std::make_unique<coalescing_heap::CoalescingHeap>(std::move(segment),
                                                             *std::move(participant));
  }
};

}  // namespace

const HeapDesign& CoalescingHeap();
const HeapDesign& CoalescingHeap() {
  static const CoalescingHeapDesign design;
  return design;
}

}  // namespace kill9

// size_class_heap: blocks of size classes in spans, without a lock.
//
// Layout and invariants: layout.h; how a block is found: allocation.cc; owners: operations.cc;
// spans, and how the bits of who has gone are dropped: space.cc; recovery: recovery.cc; audit:
// audit.cc.
#include "variants/heaps/size_class_heap/size_class_heap.h"

#include <ctime>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace kill9 {
namespace {

using size_class_heap::Ledger;
using size_class_heap::Space;

constexpr std::string_view kName = "size_class_heap";

SegmentLayout Layout() {
  return {.design = kName, .layout_version = 4, .ledger_bytes = sizeof(Ledger)};
}

// A slot that nobody names (U6 in layout.h). `try_again`: if there was none, one may be free soon.
absl::StatusOr<Participant> ClaimUnnamed(const std::shared_ptr<Segment>& segment, bool* try_again) {
  // Those that are named are kept until another is found, so that it is another.
  std::vector<Participant> named;
  for (;;) {
    bool all_returned = true;
    absl::StatusOr<Participant> participant =
        segment->participants().ClaimOrRecover([&](const Participant& recoverer) {
          Space(segment, recoverer).RecoverDead(&all_returned);
          return absl::OkStatus();
        });
    if (!participant.ok()) {
      *try_again = !named.empty() || !all_returned;
      return participant.status();
    }
    const Space space(segment, *participant);
    // Seq_cst: before the look at the names; with CanOwn's load after Name (U6).
    space.ledger(participant->slot()).member.store(0, std::memory_order_seq_cst);
    if (!space.IsTarget(participant->slot())) return participant;
    named.push_back(*std::move(participant));
  }
}

class SizeClassHeapDesign final : public HeapDesign {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "lock-free: blocks of size classes in spans; one word of a block says who owns it";
  }
  const HeapTraits& traits() const override {
    static const HeapTraits traits = [] {
      HeapTraits own;
      own.separates_lifetimes = false;
      own.has_allocate_at = false;
      own.allocate = own.free = own.share = Progress::kLockFree;
      own.recovery_trigger =
          "what the dead owned is let go of by Recover(), or by a call that would have to wait";
      own.recovery_cost = "the number of blocks that the spans have, free ones included";
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
    // It waits for who is in recovery, or shares with one who has just left, at most so long.
    constexpr int kTries = 100;
    const timespec pause{0, 1'000'000};
    for (int tried = 0;; ++tried) {
      bool try_again = false;
      absl::StatusOr<Participant> participant = ClaimUnnamed(segment, &try_again);
      if (participant.ok()) {
        return std::make_unique<size_class_heap::SizeClassHeap>(std::move(segment),
                                                                *std::move(participant));
      }
      if (!try_again || tried == kTries) return participant.status();
      nanosleep(&pause, nullptr);
    }
  }
};

}  // namespace

const HeapDesign& SizeClassHeap();
const HeapDesign& SizeClassHeap() {
  static const SizeClassHeapDesign design;
  return design;
}

}  // namespace kill9

// slot_ring: bounded, any number of senders and receivers, lock-free, in the order of all sends.
//
// Read layout.h first (slots, records, chunks, ledgers; R1-R9), then ring.h (each change of a slot
// is a commit point), shared/space.h, operations.cc, shared/waiting_member.h, waiting.cc,
// recovery.cc, audit.cc. The argument for crash safety is in
// docs/decisions/2026-11-28-slot-ring.md.
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9 {
namespace {

class SlotRingDesign final : public ChannelDesign {
 public:
  std::string_view name() const override { return "slot_ring"; }
  std::string_view summary() const override {
    return "lock-free, total order: one CAS of a slot's word sends, takes, and acknowledges";
  }
  const ChannelTraits& traits() const override {
    static const ChannelTraits traits = [] {
      ChannelTraits own;
      own.send = Progress::kLockFree;
      own.receive = Progress::kLockFree;
      own.recovery_trigger =
          "Recover(), an attach that finds no slot, or a call that would otherwise wait";
      own.recovery_cost = "what the dead held, and the number of chunks";
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return slot_ring::CreateSegment(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, slot_ring::LayoutOfSegments());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, slot_ring::LayoutOfSegments());
  }
  absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                  const Membership& membership) const override {
    return slot_ring::AttachMember(std::move(segment), membership);
  }
};

}  // namespace

const ChannelDesign& SlotRing();
const ChannelDesign& SlotRing() {
  static const SlotRingDesign design;
  return design;
}

}  // namespace kill9

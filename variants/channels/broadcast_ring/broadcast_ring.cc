// broadcast_ring: every subscriber reads every message at its own pace, or is told exactly how many
// it missed; the senders wait for nobody.
//
// Read layout.h first (slots, records, chunks, ledgers; B1-B8), then ring.h (each change of a slot
// is a commit point), room.h, reader.h, shared/space.h, sending.cc, receiving.cc,
// shared/waiting_member.h, recovery.cc, audit.cc. The argument for crash safety is in
// docs/decisions/2026-11-28-broadcast-ring.md.
#include <utility>

#include "variants/channels/broadcast_ring/member.h"

namespace kill9::broadcast_ring {

absl::StatusOr<std::unique_ptr<Channel>> AttachMember(std::shared_ptr<Segment> segment,
                                                      const Membership& membership) {
  if (absl::Status status = CheckParameters(*segment); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Channel>> member =
      AttachAs<BroadcastMember>(std::move(segment), membership, &RecoverDead);
  if (!member.ok() || !Receives(membership.role)) return member;
  absl::Status begun = static_cast<BroadcastMember&>(**member).Begin(membership.start);
  if (!begun.ok()) return begun;
  return member;
}

BroadcastMember::BroadcastMember(const Context& context, Participant participant, MemberRole role)
    : WaitingMember(context.shared_segment(), std::move(participant), role, context.header().waits,
                    context.sleepers_page()),
      context_(context),
      max_message_bytes_(Room::Space::MaxBytes(context_)),
      ring_(context_),
      room_(context_, ring_),
      reader_(context_, ring_) {
  Join();
}

absl::Status BroadcastMember::Begin(Membership::Start start) {
  uint64_t position = 0, word = 0;
  const Found found = start == Membership::Start::kNext ? ring_.FindTail(&position)
                                                        : ring_.FindOldest(0, &position, &word);
  if (found == Found::kDamaged) {
    return absl::DataLossError("the segment is damaged: its slots have no end");
  }
  reader_.BeginAt(position);
  BeginAfter(position);
  return absl::OkStatus();
}

BroadcastMember::~BroadcastMember() {
  if (!guard().owns()) return;
  if (has_batch_) DropBatch(&Reader::Drop);
  for (uint32_t i = 0; i < kTakenHolds; ++i) {
    if ((used_taken_ >> i & 1) != 0) reader_.Drop(taken_[i]);
  }
  for (uint32_t i = 0; i < kDraftHolds; ++i) {
    if ((used_drafts_ >> i & 1) != 0) room_.Drop(drafts_[i]);
  }
  room_.Leave();
  WaitingMember::Leave();
}

}  // namespace kill9::broadcast_ring

namespace kill9 {
namespace {

class BroadcastRingDesign final : public ChannelDesign {
 public:
  std::string_view name() const override { return "broadcast_ring"; }
  std::string_view summary() const override {
    return "lock-free broadcast: senders overwrite the oldest, subscribers are told what they "
           "missed";
  }
  std::string_view model() const override { return "broadcast"; }
  const ChannelTraits& traits() const override {
    static const ChannelTraits traits = [] {
      ChannelTraits own;
      own.lossless = false;
      own.delivery = ChannelTraits::Delivery::kBroadcast;
      own.when_full = ChannelTraits::WhenFull::kOverwrite;
      own.acknowledges = false;
      own.send = Progress::kLockFree;
      own.receive = Progress::kLockFree;
      own.recovery_trigger =
          "Recover(), an attach that finds no slot, a receive that would otherwise wait, or a send "
          "that finds nothing to overwrite";
      own.recovery_cost = "the number of chunks";
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return broadcast_ring::CreateSegment(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, broadcast_ring::LayoutOfSegments());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, broadcast_ring::LayoutOfSegments());
  }
  absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                  const Membership& membership) const override {
    return broadcast_ring::AttachMember(std::move(segment), membership);
  }
};

}  // namespace

const ChannelDesign& BroadcastRing();
const ChannelDesign& BroadcastRing() {
  static const BroadcastRingDesign design;
  return design;
}

}  // namespace kill9

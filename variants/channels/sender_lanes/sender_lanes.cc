// sender_lanes: a lane for each sender, lock-free; first in, first out of each sender.
//
// Read layout.h first (lanes, ranges, ledgers; L1-L9), then lane_sender.h (a send is one CAS of
// the lane's tail), lane_receiver.h and hold.h (a take, and an acknowledgement, is one CAS of a
// range's word, for one message or for many), sending.cc, receiving.cc, recovery.cc, audit.cc; room
// and waiting are of channels/shared. The argument for crash safety is in
// docs/decisions/2026-11-28-sender-lanes.md.
#include "variants/channels/sender_lanes/sender_lanes.h"

#include <utility>

#include "variants/channels/sender_lanes/recovery.h"

namespace kill9 {
namespace sender_lanes {

absl::StatusOr<std::unique_ptr<Channel>> AttachMember(std::shared_ptr<Segment> segment,
                                                      const Membership& membership) {
  if (absl::Status status = CheckParameters(*segment); !status.ok()) return status;
  return AttachAs<SenderLanes>(std::move(segment), membership, &RecoverDead);
}

SenderLanes::SenderLanes(const Context& context, Participant participant, MemberRole role)
    : WaitingMember(context.shared_segment(), std::move(participant), role, context.header().waits,
                    context.sleepers_page()),
      context_(context),
      ledger_(context_.ledger()),
      max_message_bytes_(Space::MaxBytes(context_)),
      lane_(context_),
      receiver_(context_),
      space_(context_) {
  if (Sends(role)) {
    SharedWord& used = context_.header().lanes_used;
    // Release: pairs with lanes_used(). Before the first send. Relaxed: it only grows.
    uint64_t seen = used.load(std::memory_order_relaxed);
    while (seen <= context_.index() &&
           !used.compare_exchange_weak(seen, context_.index() + 1, std::memory_order_release,
                                       std::memory_order_relaxed)) {
    }
  }
  Join();
}

SenderLanes::~SenderLanes() {
  if (!guard().owns()) return;
  if (has_batch_) GiveUpBatch(&LaneReceiver::GiveBack).IgnoreError();
  for (uint32_t i = 0; i < kTakenHolds; ++i) {
    if ((used_taken_ >> i & 1) != 0) DoReturn(i).IgnoreError();
  }
  for (uint32_t i = 0; i < kDraftHolds; ++i) {
    if ((used_drafts_ >> i & 1) != 0) DoDropDraft(i);
  }
  space_.Leave();
  WaitingMember::Leave();
}

absl::StatusOr<Occupancy> SenderLanes::DoLook() {
  Occupancy occupancy;
  // Each field is of a moment of its own.
  const auto count = [&](uint64_t slot, uint64_t& messages) {
    ++messages;
    occupancy.bytes += context_.entry(slot).bytes();
  };
  for (uint64_t slot = 0; slot < context_.slot_count(); ++slot) {
    // Acquire: pairs with Claim.
    const Range range = context_.Load(slot, std::memory_order_acquire);
    if (range.kind == RangeKind::kGone) continue;
    for (uint64_t i = 0; i < std::min<uint64_t>(range.extent, context_.SlotsToEnd(slot)); ++i) {
      count(slot + i, range.kind == RangeKind::kTaken ? occupancy.taken : occupancy.waiting);
    }
  }
  for (uint32_t lane = 0; lane < context_.lane_count(); ++lane) {
    context_.Walk(lane, [&](uint64_t position, bool is_fresh) {
      if (is_fresh) count(context_.SlotOf(lane, position), occupancy.waiting);
    });
  }
  occupancy.capacity_bytes = context_.granule_count() * kGranuleBytes;
  occupancy.senders = Count(MemberRole::kSender);
  occupancy.receivers = Count(MemberRole::kReceiver);
  occupancy.closed = IsClosed();
  if (occupancy.closed) Closed().IgnoreError();
  return occupancy;
}

absl::StatusOr<AuditReport> SenderLanes::DoAudit() { return AuditSegment(context_); }

RecoveryReport SenderLanes::RecoverDeadOf(chunks::WhichSlots which) {
  return RecoverDead(context_, which);
}

namespace {

class SenderLanesDesign final : public ChannelDesign {
 public:
  std::string_view name() const override { return "sender_lanes"; }
  std::string_view summary() const override {
    return "lock-free, a lane for each sender: one CAS sends, takes or acknowledges many messages";
  }
  std::string_view model() const override { return "channel-per-sender"; }
  const ChannelTraits& traits() const override {
    static const ChannelTraits traits = [] {
      ChannelTraits own;
      own.order = ChannelTraits::Order::kPerSender;
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
    return CreateSegment(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, LayoutOfSegments());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, LayoutOfSegments());
  }
  absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                  const Membership& membership) const override {
    return AttachMember(std::move(segment), membership);
  }
};

}  // namespace
}  // namespace sender_lanes

const ChannelDesign& SenderLanes();
const ChannelDesign& SenderLanes() {
  static const sender_lanes::SenderLanesDesign design;
  return design;
}

}  // namespace kill9

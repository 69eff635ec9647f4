// Attaching to a slot_ring segment, and leaving it.
#include <utility>

#include "variants/channels/slot_ring/recovery.h"
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9::slot_ring {

absl::StatusOr<std::unique_ptr<Channel>> AttachMember(std::shared_ptr<Segment> segment,
                                                      const Membership& membership) {
  if (absl::Status status = CheckParameters(*segment); !status.ok()) return status;
  return AttachAs<SlotRing>(std::move(segment), membership, &RecoverDead);
}

SlotRing::SlotRing(const Context& context, Participant participant, MemberRole role)
    : WaitingMember(context.shared_segment(), std::move(participant), role, context.header().waits,
                    context.sleepers_page()),
      context_(context),
      ledger_(context_.ledger()),
      max_message_bytes_(Space::MaxBytes(context_)),
      ring_(context_),
      space_(context_) {
  Join();
}

SlotRing::~SlotRing() {
  if (!guard().owns()) return;
  if (has_batch_) GiveUpBatch(&Ring::GiveBack).IgnoreError();
  for (uint32_t i = 0; i < kTakenHolds; ++i) {
    if ((used_taken_ >> i & 1) != 0) DoReturn(i).IgnoreError();
  }
  for (uint32_t i = 0; i < kDraftHolds; ++i) {
    if ((used_drafts_ >> i & 1) != 0) DoDropDraft(i);
  }
  space_.Leave();
  WaitingMember::Leave();
}

}  // namespace kill9::slot_ring

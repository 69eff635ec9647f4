// Attaching to a slot_ring segment, and leaving it.
#include <utility>

#include "variants/channels/slot_ring/recovery.h"
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9::slot_ring {

absl::StatusOr<std::unique_ptr<Channel>> AttachMember(std::shared_ptr<Segment> segment,
                                                      const Membership& membership) {
  if (absl::Status status = CheckParameters(*segment); !status.ok()) return status;
  absl::StatusOr<Participant> participant =
      segment->participants().ClaimOrRecover([&segment](const Participant& recoverer) {
        RecoverAll(Context(segment, recoverer));
        return absl::OkStatus();
      });
  if (!participant.ok()) return participant.status();
  return std::make_unique<SlotRing>(std::move(segment), *std::move(participant), membership.role);
}

SlotRing::SlotRing(std::shared_ptr<Segment> segment, Participant participant, MemberRole role)
    : Channel(participant.guard(), role),
      segment_(std::move(segment)),
      participant_(std::move(participant)),
      context_(segment_, participant_),
      ledger_(context_.ledger()),
      max_message_bytes_(Space::MaxBytes(context_)),
      ring_(context_),
      space_(context_),
      sleeper_(*segment_, context_.sleepers_page()) {
  context_.Note(ledger_.role, static_cast<uint64_t>(role));
  // Relaxed, both: a number that is compared with others of itself.
  if (Sends(role)) context_.header().arrivals[0].fetch_add(1, std::memory_order_relaxed);
  if (Receives(role)) context_.header().arrivals[1].fetch_add(1, std::memory_order_relaxed);
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
  Context::Clear(ledger_.role);
  // The participant's leave tells those who sleep (sleepers.h).
}

}  // namespace kill9::slot_ring

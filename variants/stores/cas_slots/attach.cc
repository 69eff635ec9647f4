// Attaching to a cas_slots segment, and leaving it.
#include <algorithm>

#include "variants/stores/cas_slots/cas_slots_store.h"
#include "variants/stores/cas_slots/recovery.h"

namespace kill9::cas_slots {
namespace {

size_t MaxValueBytes(const Context& context) {
  const size_t overhead = sizeof(BlockHeader) + kMaxKeyBytes;
  const size_t most = Heap::MaxBytes(context);
  return most <= overhead ? 0 : std::min<size_t>(most - overhead, (size_t{1} << 31) - 1);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> AttachStore(std::shared_ptr<Segment> segment) {
  if (absl::Status status = CheckParameters(*segment); !status.ok()) return status;
  if (segment->header().parameters[kAsymmetric] != 0 && !RegisterForBarriers()) {
    return absl::FailedPreconditionError(
        "cannot attach: the segment was made where membarrier(2) works, and here it is forbidden");
  }
  absl::StatusOr<Participant> participant =
      segment->participants().ClaimOrRecover([&segment](const Participant& recoverer) {
        const Context context(segment, recoverer);
        // What the slot's last owner held when it died recovering (P4).
        Context::Clear(context.ledger().recovery_hold);
        Context::Clear(context.ledger().recovery_node);
        RecoverAll(context);
        return absl::OkStatus();
      });
  if (!participant.ok()) return participant.status();
  return std::make_unique<CasSlotsStore>(std::move(segment), *std::move(participant));
}

CasSlotsStore::CasSlotsStore(std::shared_ptr<Segment> segment, Participant participant)
    : Store(segment, participant),
      segment_(std::move(segment)),
      participant_(std::move(participant)),
      context_(segment_, participant_),
      ledger_(context_.ledger()),
      max_value_bytes_(MaxValueBytes(context_) - terms_bytes()),
      heap_(context_) {}

CasSlotsStore::~CasSlotsStore() {
  if (!guard().owns()) return;
  for (uint32_t i = 0; i < kDrafts; ++i) {
    if ((used_drafts_ >> i & 1) != 0) DoDropDraft(i);
  }
  for (uint32_t i = 0; i < kPins; ++i) {
    if ((used_pins_ >> i & 1) != 0) DoReleasePin(i);
  }
  heap_.EmptyCache();
}

}  // namespace kill9::cas_slots

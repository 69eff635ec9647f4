// Attaching to a segment of a locked design, and leaving it.
#include <algorithm>
#include <utility>

#include "variants/stores/locked/locked_store.h"

namespace kill9::locked {

SegmentLayout LayoutOf(std::string_view design) {
  return {.design = design,
          .layout_version = 5,
          .ledger_bytes = sizeof(Ledger),
          .can_keep_terms = true};
}

absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options,
                                                       std::string_view design, uint32_t shards) {
  return Segment::Create(options, LayoutOf(design), [&](Segment& segment, SegmentHeader& header) {
    return Space::Format(segment, header, options.expected_entries, shards);
  });
}

absl::StatusOr<std::unique_ptr<Store>> AttachStore(std::shared_ptr<Segment> segment) {
  if (absl::Status status = Space::Check(*segment); !status.ok()) return status;
  Space space(segment);
  // If there is damage, the participant's operations report it.
  absl::StatusOr<Participant> participant = ClaimAdmitted(
      space.participants(), segment->fd(), [&space] { space.ResetMutexes(); },
      [&space] { space.RecoverDead().IgnoreError(); });
  if (!participant.ok()) return participant.status();
  return std::make_unique<LockedStore>(std::move(segment), *std::move(participant));
}

LockedStore::LockedStore(std::shared_ptr<Segment> segment, Participant participant)
    : Store(segment, participant),
      space_(std::move(segment)),
      participant_(std::move(participant)),
      ledger_(space_.ledger(participant_.slot())),
      journal_owner_(space_.JournalOwnerOf(participant_.slot())),
      max_value_bytes_(
          std::min<size_t>(space_.max_payload_bytes() - Entry::Bytes(kMaxKeyBytes, 0), UINT32_MAX) -
          terms_bytes()),
      hints_(space_.bucket_count(), space_.ref_count()) {
  // P3: the slot holds nothing. Anything found there is damage, and is ignored.
  for (uint64_t& row : ledger_.rows) {
    if (row != 0) row = 0;
  }
  if (ledger_.journal.count != 0) ledger_.journal.count = 0;
}

LockedStore::~LockedStore() {
  if (!guard().owns()) return;
  for (uint64_t& row : ledger_.rows) space_.ReleaseRow(row, journal_owner_).IgnoreError();
}

}  // namespace kill9::locked

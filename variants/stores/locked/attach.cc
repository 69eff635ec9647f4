// Attaching to a segment of a locked design, and leaving it.
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "variants/stores/locked/locked_store.h"

namespace kill9::locked {
namespace {

// 0 if it cannot be told. (The kernel numbers namespaces by 32 bits.)
uint32_t OwnPidNamespace() {
  struct stat stat {};
  return ::stat("/proc/self/ns/pid", &stat) == 0 ? static_cast<uint32_t>(stat.st_ino) : 0;
}

// A robust mutex knows its owner by a thread id, which means something in one PID namespace only:
// if a waiter dies whose id in its own namespace equals the owner's in another, the kernel takes
// the mutex from its living owner (handle_futex_death compares nothing else). So all who live and
// lock are of one namespace: participants, and those who recover in order to become participants.
absl::Status CheckNamespace(const Space& space, uint32_t mine) {
  if (mine == 0) {
    return absl::FailedPreconditionError(
        "cannot attach: /proc/self/ns/pid cannot be read (is /proc mounted?)");
  }
  for (uint32_t slot = 0; slot < space.participants().size(); ++slot) {
    // Seq_cst: of two that attach from two namespaces, at least one sees the other's word (L5).
    const uint64_t word = space.ledger(slot).pid_namespace.load(std::memory_order_seq_cst);
    const uint32_t other = static_cast<uint32_t>(word);
    uint32_t generation = 0;
    if (other == 0 || other == mine ||
        space.participants().state(slot) != ParticipantState::kInUse ||
        space.participants().MarkIfDead(slot, &generation) || word >> 32 != generation) {
      continue;
    }
    return absl::FailedPreconditionError(
        "cannot attach: a participant of another PID namespace is attached, and robust mutexes "
        "cannot tell threads of two namespaces apart; run all participants in one");
  }
  return absl::OkStatus();
}

// Says that the slot's owner is going to lock mutexes, unless somebody of another namespace does.
absl::Status EnterNamespace(const Space& space, const Participant& owner, uint32_t mine) {
  // Seq_cst: with CheckNamespace's load, one sees the other.
  space.ledger(owner.slot())
      .pid_namespace.store(uint64_t{owner.generation()} << 32 | mine, std::memory_order_seq_cst);
  return CheckNamespace(space, mine);
}

}  // namespace

SegmentLayout LayoutOf(std::string_view design) { return {design, 4, sizeof(Ledger)}; }

absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options,
                                                       std::string_view design, uint32_t shards) {
  return Segment::Create(options, LayoutOf(design), [&](Segment& segment, SegmentHeader& header) {
    return Space::Format(segment, header, options.expected_entries, shards);
  });
}

absl::StatusOr<std::unique_ptr<Store>> AttachStore(std::shared_ptr<Segment> segment) {
  if (absl::Status status = Space::Check(*segment); !status.ok()) return status;
  const uint32_t pid_namespace = OwnPidNamespace();
  Space space(segment);
  if (absl::Status status = CheckNamespace(space, pid_namespace); !status.ok()) return status;
  absl::StatusOr<Participant> participant =
      segment->participants().ClaimOrRecover([&](const Participant& recoverer) {
        absl::Status status = EnterNamespace(space, recoverer, pid_namespace);
        if (status.ok()) status = space.Admit(recoverer);
        // If there is damage, the participant's operations report it.
        if (status.ok()) space.RecoverDead().IgnoreError();
        return status;
      });
  if (!participant.ok()) return participant.status();
  if (absl::Status status = EnterNamespace(space, *participant, pid_namespace); !status.ok()) {
    return status;
  }
  if (absl::Status status = space.Admit(*participant); !status.ok()) return status;
  return std::make_unique<LockedStore>(std::move(segment), *std::move(participant));
}

LockedStore::LockedStore(std::shared_ptr<Segment> segment, Participant participant)
    : Store(participant.guard()),
      space_(std::move(segment)),
      participant_(std::move(participant)),
      ledger_(space_.ledger(participant_.slot())),
      journal_owner_(space_.JournalOwnerOf(participant_.slot())),
      max_value_bytes_(
          std::min<size_t>(space_.max_payload_bytes() - Entry::Bytes(kMaxKeyBytes, 0), UINT32_MAX)),
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

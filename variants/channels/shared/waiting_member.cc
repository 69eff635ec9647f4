#include "variants/channels/shared/waiting_member.h"

#include <utility>

#include "variants/segment/processor.h"

namespace kill9 {
namespace {

// Before a waiter sleeps it looks so often whether the other side, often in the middle of its next
// call, has come: to sleep and be woken takes several microseconds. About 20 us in all.
constexpr int kGlances = 1000;

}  // namespace

WaitingMember::WaitingMember(std::shared_ptr<Segment> segment, Participant participant,
                             MemberRole role, WaitWords& words, const SleepersPage& page)
    : Channel(participant.guard(), role),
      segment_(std::move(segment)),
      participant_(std::move(participant)),
      table_(segment_->participants()),
      words_(words),
      sleeper_(*segment_, page) {}

void WaitingMember::Join() {
  chunks::Namer(participant_).Note(RoleOf(participant_.slot()), static_cast<uint64_t>(role()));
  // Relaxed, both: a number that is compared with others of itself.
  if (Sends(role())) words_.arrivals[0].fetch_add(1, std::memory_order_relaxed);
  if (Receives(role())) words_.arrivals[1].fetch_add(1, std::memory_order_relaxed);
}

absl::StatusOr<RecoveryReport> WaitingMember::DoRecover() {
  if (absl::Status status = table_.CanTellTheDead(); !status.ok()) return status;
  return RecoverAndWake();
}

// The participant's leave tells those who sleep (sleepers.h).
void WaitingMember::Leave() { chunks::Clear(RoleOf(participant_.slot())); }

absl::Status WaitingMember::Wait(Deadline deadline, MemberRole opposite, Attempt attempt) {
  for (int i = 0; deadline.waits() && i < kGlances; ++i) {
    CpuRelax();
    if (std::optional<absl::Status> done = attempt(/*glance=*/true)) return *std::move(done);
  }
  if (deadline.waits()) return SleepAndTry(deadline, opposite, attempt);
  // What the dead held may be what is waited for. Of a message only who receives can have held it:
  // each proof of life is a system call, and who receives from many looks often.
  if (opposite == MemberRole::kSender) {
    RecoverAndWake([this](uint32_t slot) { return MayHaveTaken(slot); });
  } else {
    RecoverAndWake();
  }
  if (std::optional<absl::Status> done = attempt(/*glance=*/false)) return *std::move(done);
  return absl::DeadlineExceededError("nothing to be had now");
}

absl::Status WaitingMember::WaitForMessage(Deadline deadline, Attempt attempt) {
  absl::Status status = Wait(deadline, MemberRole::kSender, attempt);
  if (!has_descriptor_ || !absl::IsDeadlineExceeded(status)) return status;
  // From now on the descriptor tells what is new; what came before is looked for once more
  // (sleepers.h).
  sleeper_.ForgetTold();
  sleeper_.Announce(words_.for_message);
  if (std::optional<absl::Status> done = attempt(/*glance=*/false)) return *std::move(done);
  return status;
}

absl::Status WaitingMember::SleepAndTry(Deadline deadline, MemberRole opposite, Attempt attempt) {
  for (;;) {
    const bool was_watching = sleeper_.Watch();
    sleeper_.Announce(AwaitedFrom(opposite));
    const bool announced_end = waits_for_end_;
    if (announced_end) sleeper_.Announce(words_.for_end);
    // After the announcement (sleepers.h). Who died before the watch began is looked for; of a
    // later death the watch tells, at the latest when this one wants to sleep.
    if (!was_watching || sleeper_.death_is_near()) RecoverAndWake();
    if (std::optional<absl::Status> done = attempt(/*glance=*/false)) return *std::move(done);
    if (HaveAllLeft(opposite)) {
      return absl::UnavailableError(opposite == MemberRole::kReceiver
                                        ? "the last receiver has left or died"
                                        : "the last sender has left or died");
    }
    if (waits_for_end_ && !announced_end) continue;
    const bool in_time = sleeper_.Sleep(deadline);
    if (!in_time) {
      // It may not have slept at all, and so not have been told of a death.
      sleeper_.ForgetTold();
      if (sleeper_.death_is_near()) RecoverAndWake();
    }
    if (std::optional<absl::Status> done = attempt(/*glance=*/false)) return *std::move(done);
    if (!in_time) return absl::DeadlineExceededError("nothing came until the deadline");
  }
}

// Members are counted after the dead have been recovered, and after the announcement.
bool WaitingMember::HaveAllLeft(MemberRole opposite) {
  const size_t side = opposite == MemberRole::kReceiver ? 1 : 0;
  // Relaxed: as in Join.
  const uint64_t arrivals =
      words_.arrivals[side].load(std::memory_order_relaxed) - (Is(opposite) ? 1 : 0);
  if (arrivals == told_arrivals_[side] || CountOthers(opposite) > 0) return false;
  told_arrivals_[side] = arrivals;
  return true;
}

bool WaitingMember::MayHaveTaken(uint32_t slot) const {
  // Acquire: pairs with Note, which comes before anything is taken; who recovers the dead clears
  // the role last.
  const uint64_t named = RoleOf(slot).load(std::memory_order_acquire);
  return (chunks::Named(named) & static_cast<uint32_t>(MemberRole::kReceiver)) != 0;
}

uint32_t WaitingMember::CountOthers(MemberRole wanted) const {
  uint32_t count = 0;
  for (uint32_t i = 0; i < table_.size(); ++i) {
    const ParticipantState state = table_.state(i);
    if (i == participant_.slot() ||
        (state != ParticipantState::kInUse && state != ParticipantState::kDead)) {
      continue;
    }
    // Acquire: pairs with Note.
    const uint64_t named = RoleOf(i).load(std::memory_order_acquire);
    if (chunks::GenerationIn(named) != table_.generation(i)) continue;
    count += (chunks::Named(named) & static_cast<uint32_t>(wanted)) != 0 ? 1 : 0;
  }
  return count;
}

RecoveryReport WaitingMember::RecoverAndWake(chunks::WhichSlots which) {
  const RecoveryReport report = RecoverDeadOf(which);
  if (report.participants != 0) {
    WakeReceivers();
    WakeSenders();
  }
  return report;
}

absl::StatusOr<int> WaitingMember::DoReadinessDescriptor() {
  const int descriptor = sleeper_.descriptor();
  if (descriptor < 0) {
    return absl::ResourceExhaustedError("no inotify instance is left for a descriptor");
  }
  if (!has_descriptor_) {
    has_descriptor_ = true;
    // It begins readable: something may be there already.
    sleeper_.Announce(words_.for_message);
    WakeReceivers();
  }
  return descriptor;
}

}  // namespace kill9

// A member of a channel whose calls wait for others: for a message or for room, and until the other
// side has gone. What the lock-free designs share.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_WAITING_MEMBER_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_WAITING_MEMBER_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "variants/channel.h"
#include "variants/channels/shared/chunks.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9 {

// The part of it in the segment.
struct WaitWords {
  // How many members ever attached that send, and that receive. Raised by them, read by who waits.
  chunks::SharedWord arrivals[2];
  SleepersWord for_message;  // who waits for a message
  SleepersWord for_room;
  SleepersWord for_end;  // who waits until nothing is taken any more
};
static_assert(sizeof(WaitWords) == 64 && std::is_standard_layout_v<WaitWords>);

// REQUIRES of a design: its ledger begins with a word that names a MemberRole (chunks.h).
class WaitingMember : public Channel {
 protected:
  // What an attempt came to: nullopt, there was nothing to be had.
  // `glance`: one of many in a short time.
  using Attempt = absl::FunctionRef<std::optional<absl::Status>(bool glance)>;

  // `words` and `page` lie in the segment.
  WaitingMember(std::shared_ptr<Segment> segment, Participant participant, MemberRole role,
                WaitWords& words, const SleepersPage& page);

  // Tries until it is OK or an error, or the deadline.
  absl::Status WaitForRoom(Deadline deadline, Attempt attempt) {
    return Wait(deadline, MemberRole::kReceiver, attempt);
  }
  // The same; and if there is a descriptor, it tells from then on what is new.
  absl::Status WaitForMessage(Deadline deadline, Attempt attempt);

  void WakeReceivers() { sleeper_.Wake(words_.for_message); }
  void WakeSenders() { sleeper_.Wake(words_.for_room); }
  // After an acknowledgement.
  void WakeAfterEnd() {
    WakeSenders();
    sleeper_.Wake(words_.for_end);
  }
  RecoveryReport RecoverAndWake(chunks::WhichSlots which = [](uint32_t) { return true; });
  absl::StatusOr<RecoveryReport> DoRecover() final;
  // Members that send, or that receive, this one and the dead included.
  uint32_t Count(MemberRole role) const { return CountOthers(role) + (Is(role) ? 1 : 0); }

  // To be called at the end of the constructor, and of the destructor, of the design's member.
  void Join();
  void Leave();

  const std::shared_ptr<Segment>& segment() const { return segment_; }
  const Participant& participant() const { return participant_; }

  // Of a receiver that has come to the end of the stream: it also waits for what others hold.
  bool waits_for_end_ = false;

 private:
  absl::StatusOr<int> DoReadinessDescriptor() override;
  // Recovers the dead participants of these slots.
  virtual RecoveryReport RecoverDeadOf(chunks::WhichSlots which) = 0;

  // `opposite`: who must come for it.
  absl::Status Wait(Deadline deadline, MemberRole opposite, Attempt attempt);
  absl::Status SleepAndTry(Deadline deadline, MemberRole opposite, Attempt attempt);
  // Whether the slot's participant receives, or did: who has not said so has taken nothing.
  bool MayHaveTaken(uint32_t slot) const;
  // Whether the last living member of that role has gone since it was told.
  bool HaveAllLeft(MemberRole role);
  uint32_t CountOthers(MemberRole role) const;
  bool Is(MemberRole wanted) const {
    return (static_cast<uint8_t>(role()) & static_cast<uint8_t>(wanted)) != 0;
  }
  chunks::SharedWord& RoleOf(uint32_t slot) const {
    return table_.ledger_as<chunks::SharedWord>(slot);
  }
  SleepersWord& AwaitedFrom(MemberRole opposite) const {
    return opposite == MemberRole::kSender ? words_.for_message : words_.for_room;
  }

  std::shared_ptr<Segment> segment_;
  Participant participant_;
  const ParticipantTable table_;
  WaitWords& words_;
  Sleeper sleeper_;
  uint64_t told_arrivals_[2] = {0, 0};  // of senders, and of receivers, when it was told last
  bool has_descriptor_ = false;
};

// Attaches a Member, made of (Context, Participant, MemberRole), to a segment whose parameters have
// been checked. Recovers the dead by `recover_dead` if no participant slot is free.
template <typename Member, typename Context>
absl::StatusOr<std::unique_ptr<Channel>> AttachAs(
    std::shared_ptr<Segment> segment, const Membership& membership,
    RecoveryReport (*recover_dead)(const Context&, chunks::WhichSlots)) {
  absl::StatusOr<Participant> participant =
      segment->participants().ClaimOrRecover([&](const Participant& recoverer) {
        recover_dead(Context(segment, recoverer), [](uint32_t) { return true; });
        return absl::OkStatus();
      });
  if (!participant.ok()) return participant.status();
  const Context context(std::move(segment), *participant);
  return std::make_unique<Member>(context, *std::move(participant), membership.role);
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_WAITING_MEMBER_H_

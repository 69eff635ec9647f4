// slot_ring: the operations of one member. Invariants R1-R9 are in layout.h.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_SLOT_RING_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_SLOT_RING_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "variants/channel.h"
#include "variants/channels/shared/space.h"
#include "variants/channels/shared/waiting_member.h"
#include "variants/channels/slot_ring/context.h"
#include "variants/channels/slot_ring/ring.h"

namespace kill9::slot_ring {

using Space = chunks::Space<Context>;

// Recovers the dead if no participant slot is free.
absl::StatusOr<std::unique_ptr<Channel>> AttachMember(std::shared_ptr<Segment> segment,
                                                      const Membership& membership);

// The account of a quiet segment; walks all of it.
AuditReport AuditSegment(const Context& context);

class SlotRing final : public WaitingMember {
 public:
  SlotRing(const Context& context, Participant participant, MemberRole role);
  ~SlotRing() override;

  size_t max_message_bytes() const override { return max_message_bytes_; }

 private:
  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline deadline) override;
  absl::StatusOr<size_t> DoSendMany(std::span<const std::string_view> messages,
                                    Deadline deadline) override;
  absl::StatusOr<MessageDraft> DoReserve(size_t size, Deadline deadline) override;
  absl::StatusOr<Sequence> DoCommit(uint64_t hold) override;
  absl::StatusOr<MessageInfo> DoReceive(std::string* message, Deadline deadline) override;
  absl::StatusOr<TakenMessage> DoTake(Deadline deadline) override;
  absl::StatusOr<MessageBatch> DoDrain(size_t most, Deadline deadline) override;
  absl::Status DoAcknowledge(uint64_t hold) override;
  absl::Status DoAcknowledgeBatch(uint64_t hold) override;
  absl::Status DoReturn(uint64_t hold) override;
  absl::Status DoReturnBatch(uint64_t hold) override;
  void DoDropDraft(uint64_t hold) override;
  absl::Status DoClose() override;
  absl::StatusOr<Occupancy> DoLook() override;
  absl::StatusOr<AuditReport> DoAudit() override;

  struct Draft {
    Ref ref = 0;
    size_t size = 0;
  };

  RecoveryReport RecoverDeadOf(chunks::WhichSlots which) override;
  // What a receiver is told that has come to the mark of the end: nullopt, as long as something may
  // come again.
  std::optional<absl::Status> AtTheEnd();
  bool IsAnythingTaken() const;
  bool HasTaken(uint32_t participant, uint64_t slot_number) const;

  absl::StatusOr<Ref> Allocate(size_t size, Deadline deadline);
  absl::StatusOr<Ref> AllocateSlowly(size_t size, Deadline deadline);
  absl::StatusOr<Sequence> SendAllocated(Ref ref);
  // Takes one message, named by `name`.
  absl::Status TakeOne(SharedWord& name, Deadline deadline, Held* held);
  absl::Status TakeSlowly(SharedWord& name, Deadline deadline, Held* held);
  // Takes what is there, into batch_.
  TakeResult FillBatch(size_t most);
  void NameInBatch(uint64_t number);
  absl::Status GiveUpBatch(bool (Ring::*give_up)(const Held&));
  std::string_view BytesOf(const Held& held) const {
    return {context_.bytes(held.slot.ref), held.size};
  }
  static MessageInfo InfoOf(const Held& held) {
    return {.sequence = held.position + 1, .redelivered = held.slot.redelivered()};
  }

  const Context context_;
  Ledger& ledger_;
  const size_t max_message_bytes_;
  Ring ring_;
  Space space_;

  uint64_t used_taken_ = 0;   // bit i: taken[i] names something
  uint64_t used_drafts_ = 0;  // bit i: drafts_[i] is one
  std::array<Held, kTakenHolds> taken_;
  std::array<Draft, kDraftHolds> drafts_;
  // A batch, while it is out.
  bool has_batch_ = false;
  uint64_t batch_covered_ = 0;  // slots from its first one that the ledger names
  uint64_t batch_first_ = 0;
  uint64_t batch_taken_ = 0;  // bit i: taken[i] names one of its messages
  std::vector<Held> batch_;
  std::vector<Message> batch_messages_;
};

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_SLOT_RING_H_

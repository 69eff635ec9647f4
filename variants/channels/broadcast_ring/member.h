// broadcast_ring: the operations of one member. Invariants B1-B8 are in layout.h.
#ifndef KILL9_VARIANTS_CHANNELS_BROADCAST_RING_MEMBER_H_
#define KILL9_VARIANTS_CHANNELS_BROADCAST_RING_MEMBER_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "variants/channel.h"
#include "variants/channels/broadcast_ring/context.h"
#include "variants/channels/broadcast_ring/reader.h"
#include "variants/channels/broadcast_ring/ring.h"
#include "variants/channels/broadcast_ring/room.h"
#include "variants/channels/shared/waiting_member.h"

namespace kill9::broadcast_ring {

// Recovers the dead if no participant slot is free.
absl::StatusOr<std::unique_ptr<Channel>> AttachMember(std::shared_ptr<Segment> segment,
                                                      const Membership& membership);

// Recovers all dead participants. Who waits is not woken.
RecoveryReport RecoverDead(const Context& context, chunks::WhichSlots which);

// The account of a quiet segment; walks all of it.
AuditReport AuditSegment(const Context& context);

class BroadcastMember final : public WaitingMember {
 public:
  BroadcastMember(const Context& context, Participant participant, MemberRole role);
  ~BroadcastMember() override;

  // Finds the place where this subscriber begins. kDataLoss: there is none.
  absl::Status Begin(Membership::Start start);
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
  RecoveryReport RecoverDeadOf(chunks::WhichSlots which) override;

  // Never waits.
  absl::StatusOr<Ref> Allocate(size_t size);
  absl::StatusOr<Sequence> SendAllocated(Ref ref);
  bool IsClosed();
  // Takes by `take` until it is told more than that there is nothing yet.
  absl::Status Await(Deadline deadline, absl::FunctionRef<TakeResult()> take);
  void DropBatch(void (Reader::*drop)(const Held&));
  std::string_view BytesOf(const Held& held) const { return {context_.bytes(held.ref), held.size}; }
  static MessageInfo InfoOf(const Held& held) {
    return {.sequence = held.position + 1, .redelivered = held.redelivered, .missed = held.missed};
  }

  const Context context_;
  const size_t max_message_bytes_;
  Ring ring_;
  Room room_;
  Reader reader_;

  uint64_t used_taken_ = 0;   // bit i: taken_[i] is one
  uint64_t used_drafts_ = 0;  // bit i: drafts_[i] is one
  std::array<Held, kTakenHolds> taken_;
  std::array<Ref, kDraftHolds> drafts_{};
  bool has_batch_ = false;
  std::vector<Held> batch_;
  std::vector<Message> batch_messages_;
};

}  // namespace kill9::broadcast_ring

#endif  // KILL9_VARIANTS_CHANNELS_BROADCAST_RING_MEMBER_H_

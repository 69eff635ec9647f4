// sender_lanes: the operations of one member. Invariants L1-L9 are in layout.h.
#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_SENDER_LANES_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_SENDER_LANES_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "variants/channel.h"
#include "variants/channels/sender_lanes/context.h"
#include "variants/channels/sender_lanes/lane_receiver.h"
#include "variants/channels/sender_lanes/lane_sender.h"
#include "variants/channels/shared/space.h"
#include "variants/channels/shared/waiting_member.h"

namespace kill9::sender_lanes {

using Space = chunks::Space<Context>;

// Recovers the dead if no participant slot is free.
absl::StatusOr<std::unique_ptr<Channel>> AttachMember(std::shared_ptr<Segment> segment,
                                                      const Membership& membership);

// The account of a quiet segment; walks all of it.
AuditReport AuditSegment(const Context& context);

class SenderLanes final : public WaitingMember {
 public:
  SenderLanes(const Context& context, Participant participant, MemberRole role);
  ~SenderLanes() override;

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

  struct Draft {
    Ref ref = 0;
    size_t size = 0;
  };
  static constexpr size_t kMostAtOnce = 64;  // messages of one publication

  bool IsClosed() const {
    // Acquire: pairs with the closer's store.
    return context_.header().closed.load(std::memory_order_acquire) != 0;
  }
  // The end is told: then it is in all lanes (L9).
  absl::Status Closed();
  // Room, and a position in the lane, beside those of the drafts.
  [[gnu::always_inline]] absl::StatusOr<Ref> Allocate(size_t size, Deadline deadline);
  absl::StatusOr<Ref> AllocateSlowly(size_t size, Deadline deadline);
  [[gnu::always_inline]] absl::StatusOr<Sequence> SendAllocated(Ref ref, size_t size);
  // Sends the first messages as long as nothing must be waited for, at most kMostAtOnce.
  absl::StatusOr<size_t> SendRow(std::span<const std::string_view> messages);
  // Takes messages, named by `name`.
  absl::Status TakeOne(SharedWord& name, Deadline deadline, Held* held);
  std::optional<absl::Status> TryToTake(SharedWord& name, Held* held);
  // Puts what was taken of a lane in the order of its sends: of what came back while others were
  // taken, some may be older than those.
  void OrderBatch();
  // Takes what is there, into batch_.
  TakeResult FillBatch(size_t most);
  absl::Status ShowBatch();
  absl::Status GiveUpBatch(bool (LaneReceiver::*give_up)(const Held&));
  // What a receiver is told that has found all lanes closed and empty: nullopt, as long as
  // something may come again.
  std::optional<absl::Status> AtTheEnd();
  bool IsAnythingTaken() const;
  bool HasTaken(uint32_t participant, const SharedWord& name) const;
  // The message of a range with that number. False: it cannot be.
  bool Show(const Held& held, uint32_t number, Message* message) const {
    const Entry entry = context_.entry(held.slot + number);
    if (!context_.Fits(entry.ref(), entry.bytes())) return false;
    *message = {{context_.bytes(entry.ref()), entry.bytes()},
                {.sequence = held.position + number + 1, .redelivered = held.range.redelivered()}};
    return true;
  }

  const Context context_;
  Ledger& ledger_;
  const size_t max_message_bytes_;
  LaneSender lane_;
  LaneReceiver receiver_;
  Space space_;

  uint64_t used_taken_ = 0;   // bit i: taken[i] names something
  uint64_t used_drafts_ = 0;  // bit i: drafts_[i] is one
  uint32_t draft_count_ = 0;
  std::array<Held, kTakenHolds> taken_;
  std::array<Draft, kDraftHolds> drafts_;
  // A batch, while it is out: the range of batch_[i] is named by batch[i].
  bool has_batch_ = false;
  std::vector<Held> batch_;
  std::vector<uint32_t> batch_order_;  // of batch_, as it is shown and given up
  std::vector<Message> batch_messages_;
};

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_SENDER_LANES_H_

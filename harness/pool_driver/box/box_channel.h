// A channel that carries the messages of a pool, and has nothing else of a channel.
#ifndef KILL9_HARNESS_POOL_DRIVER_BOX_BOX_CHANNEL_H_
#define KILL9_HARNESS_POOL_DRIVER_BOX_BOX_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "variants/channel.h"

namespace kill9 {

// Sending, taking, acknowledging and returning are its own.
class BoxChannel : public Channel {
 protected:
  BoxChannel() : Channel(ForkGuard(), MemberRole::kBoth) {}

 private:
  static absl::Status Lacks() { return absl::UnimplementedError("the box does not have this"); }
  absl::StatusOr<size_t> DoSendMany(std::span<const std::string_view>, Deadline) override {
    return Lacks();
  }
  absl::StatusOr<MessageDraft> DoReserve(size_t, Deadline) override { return Lacks(); }
  absl::StatusOr<Sequence> DoCommit(uint64_t) override { return Lacks(); }
  absl::StatusOr<MessageInfo> DoReceive(std::string*, Deadline) override { return Lacks(); }
  absl::StatusOr<MessageBatch> DoDrain(size_t, Deadline) override { return Lacks(); }
  absl::Status DoAcknowledgeBatch(uint64_t) override { return Lacks(); }
  absl::Status DoReturnBatch(uint64_t) override { return Lacks(); }
  void DoDropDraft(uint64_t) override {}
  absl::Status DoClose() override { return Lacks(); }
  absl::StatusOr<Occupancy> DoLook() override { return Lacks(); }
  absl::StatusOr<int> DoReadinessDescriptor() override { return Lacks(); }
  absl::StatusOr<RecoveryReport> DoRecover() override { return Lacks(); }
  absl::StatusOr<AuditReport> DoAudit() override { return Lacks(); }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_BOX_BOX_CHANNEL_H_

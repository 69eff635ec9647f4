// A channel that only copies messages in and out: what it answers to the operations that it does
// not have. Baselines and peers are of this kind; what they lack their traits declare, and nobody
// fakes.
#ifndef KILL9_VARIANTS_CHANNELS_COPYING_CHANNEL_H_
#define KILL9_VARIANTS_CHANNELS_COPYING_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "variants/channel.h"
#include "variants/segment.h"

namespace kill9 {

class CopyingChannel : public Channel {
 protected:
  // REQUIRES: `name` outlives the channel.
  CopyingChannel(std::string_view name, std::shared_ptr<Segment> segment, MemberRole role)
      : Channel(ForkGuard(), role), name_(name), segment_(std::move(segment)) {}

  Segment& segment() const { return *segment_; }

  absl::Status Lacks(std::string_view operation) const {
    return absl::UnimplementedError(
        absl::StrCat(std::string(name_), " does not have ", std::string(operation)));
  }

  // One after the other: there is no batch on the way in.
  absl::StatusOr<size_t> DoSendMany(std::span<const std::string_view> messages,
                                    Deadline deadline) override {
    for (size_t sent = 0; sent < messages.size(); ++sent) {
      const absl::StatusOr<Sequence> sequence = DoSend(messages[sent], deadline);
      if (sequence.ok()) continue;
      if (sent == 0) return sequence.status();
      return sent;
    }
    return messages.size();
  }

 private:
  // Channel's own is private: it is the one that a design implements.
  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline deadline) override = 0;

  absl::StatusOr<MessageDraft> DoReserve(size_t, Deadline) override { return Lacks("Reserve"); }
  absl::StatusOr<Sequence> DoCommit(uint64_t) override { return Lacks("Commit"); }
  absl::StatusOr<TakenMessage> DoTake(Deadline) override { return Lacks("Take"); }
  absl::StatusOr<MessageBatch> DoDrain(size_t, Deadline) override { return Lacks("Drain"); }
  absl::Status DoAcknowledge(uint64_t) override { return Lacks("Acknowledge"); }
  absl::Status DoAcknowledgeBatch(uint64_t) override { return Lacks("Acknowledge"); }
  absl::Status DoReturn(uint64_t) override { return Lacks("Return"); }
  absl::Status DoReturnBatch(uint64_t) override { return Lacks("Return"); }
  void DoDropDraft(uint64_t) override {}
  absl::StatusOr<int> DoReadinessDescriptor() override { return Lacks("ReadinessDescriptor"); }
  absl::StatusOr<RecoveryReport> DoRecover() override { return RecoveryReport{}; }
  absl::StatusOr<AuditReport> DoAudit() override { return Lacks("Audit"); }

  std::string_view name_;
  std::shared_ptr<Segment> segment_;
};

// The traits of one that has only what CopyingChannel has, and nobody who could be recovered.
inline ChannelTraits CopyingChannelTraits(std::string_view recovery_trigger,
                                          std::string_view recovery_cost) {
  ChannelTraits traits;
  traits.acknowledges = false;
  traits.has_take = false;
  traits.has_draft = false;
  traits.has_readiness = false;
  traits.has_audit = false;
  traits.has_recovery = false;
  traits.tells_recovered = false;
  traits.recovery_trigger = recovery_trigger;
  traits.recovery_cost = recovery_cost;
  return traits;
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_CHANNELS_COPYING_CHANNEL_H_

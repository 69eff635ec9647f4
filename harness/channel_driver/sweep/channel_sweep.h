// Channels in the sweep: their operations, starting states and probes.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_SWEEP_CHANNEL_SWEEP_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_SWEEP_CHANNEL_SWEEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "harness/sweep/driver/driver.h"
#include "variants/channel.h"

namespace kill9::sweep {

enum class ChannelOperation : uint8_t {
  kSend,
  kSendLarge,
  kSendMany,
  kReserve,
  kCommit,
  kDrop,
  kReceive,
  kTake,
  kAcknowledge,
  kReturn,
  kDrain,
  kAcknowledgeBatch,
  kReturnBatch,
  kSendRow,  // of more messages than are sent in one piece, some of them large
  kClose,
  kAttach,  // this one and the following are the sweep's own
  kDetach,
  kRecover,
  kCreate,
};

enum class ChannelState : uint8_t {
  kEmpty,
  kOneMessage,
  kSeveral,       // small ones
  kMany,          // small ones, more than a ledger has holds for
  kManyReturned,  // the same, and each has come back
  kLargeMessage,  // the oldest one is large
  kFull,
  kTakenByLive,
  kTakenByDead,
  kHalfSent,             // by a dead sender
  kHalfSentLarge,        // the same, of a large message
  kHalfAcknowledged,     // by a dead receiver
  kAllParticipantsDead,  // whoever attaches must recover first
};

enum ChannelProbe : uint32_t {
  kTrySend,
  kTryDraft,
  kTryTake,
  kTryReceive,
  kTryLook,
  kTryRecover,
  kTryAttach,
};

class ChannelSweep final : public SweepDriver {
 public:
  std::string_view kind() const override { return ChannelDesign::kKind; }
  std::span<const std::string_view> operations() const override;
  std::string_view second() const override { return "send"; }
  std::span<const std::string_view> states() const override;
  std::span<const ProbeName> probes() const override;
  bool Applies(const Design& design, uint32_t operation, uint32_t state) const override;
  uint32_t shape_fields() const override { return kObjectShapeFields; }
  absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Design& design, uint32_t operation,
                                                   uint32_t state,
                                                   const SweepShape& shape) const override;
  Claims ClaimsOf(const Design& design) const override;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_SWEEP_CHANNEL_SWEEP_H_

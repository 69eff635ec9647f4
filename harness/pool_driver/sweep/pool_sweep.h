// Buffer pools in the sweep: their operations, starting states and probes.
#ifndef KILL9_HARNESS_POOL_DRIVER_SWEEP_POOL_SWEEP_H_
#define KILL9_HARNESS_POOL_DRIVER_SWEEP_POOL_SWEEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "harness/sweep/driver/driver.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9::sweep {

enum class PoolOperation : uint8_t {
  kAllocate,
  kAllocateLarge,
  kRelease,  // this one and those up to kGrow are on a buffer of the victim's
  kShare,
  kSend,
  kSendShared,
  kWrite,  // into a copy, where somebody else holds it as well
  kGrow,
  kReceive,
  kDropSent,
  kTakeSeat,
  kLeave,   // detaches with several holds
  kAttach,  // this one and the following are the sweep's own
  kDetach,
  kRecover,
  kCreate,
};

enum class PoolState : uint8_t {
  kEmpty,
  kOneBuffer,       // of a participant that lives
  kWaiting,         // a message with a buffer that nobody else holds
  kSharedWithLive,  // what waits, or the victim works on, is held by somebody else, too
  kSharedWithDead,  // and that one is dead; so is the owner below
  kFull,
  kHeldByDead,
  kHalfAllocated,
  kHalfReleased,
  kHalfSent,
  kHalfReceived,
  kAllParticipantsDead,  // whoever attaches must recover first
};

enum PoolProbe : uint32_t {
  kAskForAllocate,
  kAskForSend,
  kAskForReceive,
  kAskForSeat,
  kAskForRecover,
  kAskForAttach,
};

class PoolSweep final : public SweepDriver {
 public:
  std::string_view kind() const override { return kPoolKind; }
  std::span<const std::string_view> operations() const override;
  std::string_view second() const override { return "allocate"; }
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

#endif  // KILL9_HARNESS_POOL_DRIVER_SWEEP_POOL_SWEEP_H_

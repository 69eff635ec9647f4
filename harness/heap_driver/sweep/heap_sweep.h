// Heaps in the sweep: their operations, starting states and probes.
#ifndef KILL9_HARNESS_HEAP_DRIVER_SWEEP_HEAP_SWEEP_H_
#define KILL9_HARNESS_HEAP_DRIVER_SWEEP_HEAP_SWEEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "harness/sweep/driver/driver.h"
#include "variants/heap.h"

namespace kill9::sweep {

enum class HeapOperation : uint8_t {
  kAllocate,
  kAllocateLarge,
  kAllocateAt,
  kReserve,
  kAllocateReserved,
  kRelease,
  kFree,
  kShare,
  kTransfer,
  kOwners,
  kForEach,
  kLeave,   // detaches as an owner of several blocks
  kAttach,  // this one and the following are the sweep's own
  kDetach,
  kRecover,
  kCreate,
};

enum class HeapState : uint8_t {
  kEmpty,
  kOneBlock,    // of a participant that lives; so of the two below
  kFragmented,  // every second of many small ones
  kFull,
  kSharedWithLive,  // the block that is worked on has a second owner
  kSharedWithDead,  // and that one is dead; so are the owners below
  kHeldByDead,
  kFullOfTheDead,
  kHalfAllocated,
  kHalfFreed,
  kHalfShared,
  kHalfTransferred,
  kAllParticipantsDead,  // whoever attaches must recover first
};

enum HeapProbe : uint32_t {
  kAttemptAllocate,
  kAttemptReserve,
  kAttemptShare,
  kAttemptOwners,
  kAttemptForEach,
  kAttemptRecover,
  kAttemptAttach,
};

class HeapSweep final : public SweepDriver {
 public:
  std::string_view kind() const override { return HeapDesign::kKind; }
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

#endif  // KILL9_HARNESS_HEAP_DRIVER_SWEEP_HEAP_SWEEP_H_

#include "harness/heap_driver/sweep/heap_sweep.h"

#include <algorithm>
#include <memory>

#include "harness/heap_driver/sweep/heap_scene.h"
#include "harness/sweep/driver/smallest_segment.h"

namespace kill9::sweep {
std::span<const std::string_view> HeapSweep::operations() const {
  static constexpr std::string_view kNames[] = {
      "allocate",  "allocate_large", "allocate_at", "reserve",  "allocate_reserved", "release",
      "free",      "share",          "transfer",    "owners",   "for_each",          "leave",
      kAttachName, kDetachName,      kRecoverName,  kCreateName};
  static_assert(std::size(kNames) == static_cast<size_t>(HeapOperation::kCreate) + 1);
  return kNames;
}

std::span<const std::string_view> HeapSweep::states() const {
  static constexpr std::string_view kNames[] = {"empty",
                                                "one_block",
                                                "fragmented",
                                                "full",
                                                "shared_with_live",
                                                "shared_with_dead",
                                                "held_by_dead",
                                                "full_of_the_dead",
                                                "half_allocated",
                                                "half_freed",
                                                "half_shared",
                                                "half_transferred",
                                                "all_participants_dead"};
  static_assert(std::size(kNames) == static_cast<size_t>(HeapState::kAllParticipantsDead) + 1);
  return kNames;
}

std::span<const ProbeName> HeapSweep::probes() const {
  static constexpr ProbeName kNames[] = {
      {"allocate", false}, {"reserve", false}, {"share", false}, {"owners", false},
      {"for_each", false}, {"recover", false}, {"attach", false}};
  return kNames;
}

bool HeapSweep::Applies(const Design& design, uint32_t operation_index,
                        uint32_t state_index) const {
  const HeapTraits& traits = static_cast<const HeapDesign&>(design).traits();
  const HeapOperation operation = static_cast<HeapOperation>(operation_index);
  const HeapState state = static_cast<HeapState>(state_index);
  const bool reserves = operation == HeapOperation::kReserve ||
                        operation == HeapOperation::kAllocateReserved ||
                        operation == HeapOperation::kRelease;
  if (reserves && !traits.has_reserve) return false;
  if (operation == HeapOperation::kAllocateAt && !traits.has_allocate_at) return false;
  // What is created is empty; who attaches to a table of the dead recovers first.
  if (operation == HeapOperation::kCreate) return state == HeapState::kEmpty;
  if (state == HeapState::kAllParticipantsDead) return operation == HeapOperation::kAttach;
  // The operation is on a block of the victim's, for which a full heap has no room.
  const bool needs_block =
      (operation >= HeapOperation::kAllocateReserved && operation <= HeapOperation::kOwners) ||
      operation == HeapOperation::kAllocateAt || operation == HeapOperation::kLeave;
  if (state == HeapState::kFull) return !needs_block;
  // A second owner of the block says something of what is done to that.
  const bool shared = state == HeapState::kSharedWithLive || state == HeapState::kSharedWithDead;
  const bool on_block = operation >= HeapOperation::kFree && operation <= HeapOperation::kLeave;
  if (shared) return on_block || operation == HeapOperation::kRecover;
  return true;
}

Claims HeapSweep::ClaimsOf(const Design& design) const {
  const HeapTraits& traits = static_cast<const HeapDesign&>(design).traits();
  const bool blocks = traits.allocate == Progress::kBlocking ||
                      traits.free == Progress::kBlocking || traits.share == Progress::kBlocking;
  return {.progress = {{"allocate and free",
                        std::min(traits.allocate, traits.free),
                        {"allocate", "reserve"}},
                       {"owners", traits.share, {"owners"}}},
          .blocks = blocks ? "the heap" : "nowhere"};
}

absl::StatusOr<std::unique_ptr<Scene>> HeapSweep::MakeScene(const Design& design,
                                                            uint32_t operation, uint32_t state,
                                                            const SweepShape& shape) const {
  const auto new_scene = [&] {
    return std::make_unique<HeapScene>(static_cast<const HeapDesign&>(design),
                                       static_cast<HeapOperation>(operation),
                                       static_cast<HeapState>(state), shape);
  };
  return MakeInSmallestSegment(states()[state], new_scene,
                               [](HeapScene& scene, uint64_t bytes) { return scene.Make(bytes); });
}

}  // namespace kill9::sweep

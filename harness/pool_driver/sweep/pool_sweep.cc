#include "harness/pool_driver/sweep/pool_sweep.h"

#include <iterator>
#include <memory>

#include "harness/pool_driver/sweep/pool_scene.h"
#include "harness/sweep/driver/smallest_segment.h"

namespace kill9::sweep {

std::span<const std::string_view> PoolSweep::operations() const {
  static constexpr std::string_view kNames[] = {
      "allocate",  "allocate_large", "release",    "share",     "send", "send_shared",
      "write",     "grow",           "receive",    "drop_sent", "seat", "leave",
      kAttachName, kDetachName,      kRecoverName, kCreateName};
  static_assert(std::size(kNames) == static_cast<size_t>(PoolOperation::kCreate) + 1);
  return kNames;
}

std::span<const std::string_view> PoolSweep::states() const {
  static constexpr std::string_view kNames[] = {"empty",
                                                "one_buffer",
                                                "waiting",
                                                "shared_with_live",
                                                "shared_with_dead",
                                                "full",
                                                "held_by_dead",
                                                "half_allocated",
                                                "half_released",
                                                "half_sent",
                                                "half_received",
                                                "all_participants_dead"};
  static_assert(std::size(kNames) == static_cast<size_t>(PoolState::kAllParticipantsDead) + 1);
  return kNames;
}

std::span<const ProbeName> PoolSweep::probes() const {
  static constexpr ProbeName kNames[] = {{"allocate", false}, {"send", false},
                                         {"receive", false},  {"seat", false},
                                         {"recover", false},  {"attach", false}};
  return kNames;
}

bool PoolSweep::Applies(const Design&, uint32_t operation_index, uint32_t state_index) const {
  const auto operation = static_cast<PoolOperation>(operation_index);
  const auto state = static_cast<PoolState>(state_index);
  // What is created is empty; who attaches to a table of the dead recovers first.
  if (operation == PoolOperation::kCreate) return state == PoolState::kEmpty;
  if (state == PoolState::kAllParticipantsDead) return operation == PoolOperation::kAttach;
  const bool is_shared = state == PoolState::kSharedWithLive || state == PoolState::kSharedWithDead;
  const bool on_buffer = operation >= PoolOperation::kRelease && operation <= PoolOperation::kGrow;
  // The victim has the buffer that the message was about: a second owner says something of what is
  // done to it.
  if (is_shared) {
    return on_buffer || operation == PoolOperation::kReceive ||
           operation == PoolOperation::kLeave || operation == PoolOperation::kRecover;
  }
  // In a full pool there is none; and one that waits fills the box.
  if (state == PoolState::kFull) return !on_buffer && operation != PoolOperation::kLeave;
  const bool sends = operation == PoolOperation::kSend || operation == PoolOperation::kSendShared;
  return !sends || state != PoolState::kWaiting;
}

Claims PoolSweep::ClaimsOf(const Design&) const {
  return {.progress = {{"allocate", Progress::kBlocking, {"allocate"}},
                       {"send", Progress::kLockFree, {"send"}},
                       {"seats", Progress::kLockFree, {"seat"}}},
          .blocks = "the pool"};
}

absl::StatusOr<std::unique_ptr<Scene>> PoolSweep::MakeScene(const Design& design,
                                                            uint32_t operation, uint32_t state,
                                                            const SweepShape& shape) const {
  const auto new_scene = [&] {
    return std::make_unique<PoolScene>(design, static_cast<PoolOperation>(operation),
                                       static_cast<PoolState>(state), shape);
  };
  return MakeInSmallestSegment(states()[state], new_scene,
                               [](PoolScene& scene, uint64_t bytes) { return scene.Make(bytes); });
}

}  // namespace kill9::sweep

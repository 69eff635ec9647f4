#include "harness/channel_driver/sweep/channel_sweep.h"

#include <memory>

#include "harness/channel_driver/sweep/channel_scene.h"
#include "harness/sweep/driver/smallest_segment.h"

namespace kill9::sweep {
std::span<const std::string_view> ChannelSweep::operations() const {
  static constexpr std::string_view kNames[] = {
      "send",      "send_large",        "send_many",    "reserve",     "commit",
      "drop",      "receive",           "take",         "acknowledge", "return",
      "drain",     "acknowledge_batch", "return_batch", "send_row",    "close",
      kAttachName, kDetachName,         kRecoverName,   kCreateName};
  static_assert(std::size(kNames) == static_cast<size_t>(ChannelOperation::kCreate) + 1);
  return kNames;
}

std::span<const std::string_view> ChannelSweep::states() const {
  static constexpr std::string_view kNames[] = {"empty",
                                                "one_message",
                                                "several",
                                                "many",
                                                "many_returned",
                                                "large_message",
                                                "full",
                                                "taken_by_live",
                                                "taken_by_dead",
                                                "half_sent",
                                                "half_sent_large",
                                                "half_acknowledged",
                                                "all_participants_dead"};
  static_assert(std::size(kNames) == static_cast<size_t>(ChannelState::kAllParticipantsDead) + 1);
  return kNames;
}

std::span<const ProbeName> ChannelSweep::probes() const {
  static constexpr ProbeName kNames[] = {{"send", false},    {"draft", false}, {"take", false},
                                         {"receive", false}, {"look", false},  {"recover", false},
                                         {"attach", false}};
  return kNames;
}

bool ChannelSweep::Applies(const Design& design, uint32_t operation_index,
                           uint32_t state_index) const {
  const ChannelTraits& traits = static_cast<const ChannelDesign&>(design).traits();
  const ChannelOperation operation = static_cast<ChannelOperation>(operation_index);
  const ChannelState state = static_cast<ChannelState>(state_index);
  const bool drafts = operation == ChannelOperation::kReserve ||
                      operation == ChannelOperation::kCommit ||
                      operation == ChannelOperation::kDrop;
  const bool takes =
      operation >= ChannelOperation::kTake && operation <= ChannelOperation::kReturnBatch;
  if ((drafts && !traits.has_draft) || (takes && !traits.has_take)) return false;
  // The dead hold what they have taken.
  const bool taken = state == ChannelState::kManyReturned || state == ChannelState::kTakenByLive ||
                     state == ChannelState::kTakenByDead ||
                     state == ChannelState::kHalfAcknowledged ||
                     state == ChannelState::kAllParticipantsDead;
  if (taken && !traits.has_take) return false;
  // Many messages are for what has to do with many.
  const bool of_many = operation == ChannelOperation::kAcknowledgeBatch ||
                       operation == ChannelOperation::kReturnBatch ||
                       operation == ChannelOperation::kRecover;
  const bool many = state == ChannelState::kMany || state == ChannelState::kManyReturned;
  if (many) return of_many;
  if (operation == ChannelOperation::kSendRow) {
    return state == ChannelState::kEmpty || state == ChannelState::kLargeMessage ||
           state == ChannelState::kFull;
  }
  // What is created is empty; who attaches to a table of the dead recovers first.
  if (operation == ChannelOperation::kCreate) return state == ChannelState::kEmpty;
  if (state == ChannelState::kAllParticipantsDead) return operation == ChannelOperation::kAttach;
  return true;
}

Claims ChannelSweep::ClaimsOf(const Design& design) const {
  const ChannelTraits& traits = static_cast<const ChannelDesign&>(design).traits();
  const bool blocks = traits.send == Progress::kBlocking || traits.receive == Progress::kBlocking;
  return {.progress = {{"send", traits.send, {"send", "draft"}},
                       {"receive", traits.receive, {"take", "receive"}}},
          .blocks = blocks ? "the channel" : "nowhere"};
}

absl::StatusOr<std::unique_ptr<Scene>> ChannelSweep::MakeScene(const Design& design,
                                                               uint32_t operation, uint32_t state,
                                                               const SweepShape& shape) const {
  const auto new_scene = [&] {
    return std::make_unique<ChannelScene>(static_cast<const ChannelDesign&>(design),
                                          static_cast<ChannelOperation>(operation),
                                          static_cast<ChannelState>(state), shape);
  };
  return MakeInSmallestSegment(states()[state], new_scene, [](ChannelScene& scene, uint64_t bytes) {
    return scene.Make(bytes);
  });
}

}  // namespace kill9::sweep

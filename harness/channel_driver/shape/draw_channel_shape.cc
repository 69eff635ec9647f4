#include "harness/channel_driver/shape/draw_channel_shape.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "harness/torture/shape/draw_segment.h"

namespace kill9 {
namespace {

constexpr uint64_t kKiB = 1u << 10;
constexpr uint64_t kMiB = 1u << 20;
constexpr int kDraws = 24;
// Of the largest message: all who take part can have some on their way.
constexpr uint64_t kLeastLargestMessage = 16 * kKiB;
constexpr uint64_t kMostTrialBytes = 64 * kMiB;

uint64_t DrawSegmentOfMessages(Random& random, uint64_t most) {
  constexpr SegmentRange kAny[] = {{60, 256 * kKiB, 2 * kMiB},
                                   {30, 2 * kMiB, 12 * kMiB},
                                   {9, 12 * kMiB, 48 * kMiB},
                                   {1, 48 * kMiB, 300 * kMiB}};
  return DrawSegmentBytes(random, kAny, most);
}

void DrawMessages(Random& random, uint64_t max_message_bytes, ChannelShape* shape) {
  const uint64_t most = std::min<uint64_t>(max_message_bytes, std::numeric_limits<uint32_t>::max());
  const std::array<uint64_t, 9> largest = {160,  8,         200,        1000, 4 * kKiB,
                                           9000, 64 * kKiB, 128 * kKiB, most};
  shape->largest_bytes = static_cast<uint32_t>(std::min(Draw(random, largest), most));
  shape->smallest_bytes = 8;
  const uint64_t how = random.Below(10);
  shape->sizes = how < 6 ? MessageSizes::kEdges : MessageSizes::kSpread;
  if (how >= 8 && shape->largest_bytes <= 9000) shape->sizes = MessageSizes::kUniform;
  if (how == 9 && shape->largest_bytes <= max_message_bytes / 16) {
    shape->smallest_bytes = shape->largest_bytes;
  }
}

void DrawRoles(Random& random, ChannelShape* shape) {
  struct Roles {
    uint32_t senders, receivers;
  };
  const Roles roles =
      Draw(random, std::array{Roles{0, 0}, Roles{1, 1}, Roles{1, 3}, Roles{3, 1}, Roles{2, 2}}, 3);
  shape->senders = roles.senders;
  shape->receivers = roles.receivers;
}

void DrawWork(Random& random, uint32_t kept, ChannelShape* shape) {
  shape->most_held = Draw<uint32_t>(random, std::array{4u, 1u, 12u, 60u}, 2);
  shape->most_drafts = Draw<uint32_t>(random, std::array{2u, 1u, 8u, 15u}, 2);
  shape->most_batch = Draw<uint32_t>(random, std::array{4u, 1u, 70u, 300u}, 2);
  for (uint32_t action = 0; action < kChannelActions; ++action) {
    if (random.Chance(150)) shape->without |= 1u << action;
  }
  shape->without &= ~kept;
  // Somebody must receive.
  constexpr uint32_t kReceiving = WithoutBit(ChannelAction::kReceive) |
                                  WithoutBit(ChannelAction::kTake) |
                                  WithoutBit(ChannelAction::kBatch);
  if ((shape->without & kReceiving) == kReceiving) shape->without &= ~kReceiving;
}

}  // namespace

ChannelShapeBounds ChannelBoundsOf(const Scenario& scenario) {
  ChannelShapeBounds bounds{.may_idle = !scenario.named_segment && !scenario.inherit_handle};
  // What shall be full, or go round, or be of large messages, is so by its sizes.
  bounds.keeps_segment = scenario.needs.refusals || scenario.name == "lapped_subscribers" ||
                         scenario.name == "full_of_pins" || scenario.name == "closing" ||
                         scenario.name == "last_room" || scenario.name == "bursts" ||
                         scenario.nobody_dies;
  bounds.keeps_sizes = scenario.name == "closing" || scenario.name == "bursts";
  bounds.keeps_work = scenario.needs.refusals || scenario.name == "lapped_subscribers" ||
                      scenario.name == "full_of_pins" || scenario.name == "large_messages" ||
                      scenario.name == "last_message" || scenario.name == "last_room" ||
                      scenario.name == "requests" || scenario.nobody_dies;
  if (scenario.name == "closing" || scenario.name == "empty_channel") {
    bounds.kept = WithoutBit(ChannelAction::kWait);
  }
  // An audit after each death: of a large segment there would be few.
  if (scenario.name == "kill_one_at_a_time") bounds.most_segment_bytes = 4 * kMiB;
  return bounds;
}

absl::StatusOr<uint64_t> TryShape(const ChannelDesign& design, const ChannelShape& shape,
                                  uint64_t seed) {
  SegmentOptions options;
  ApplyTo(shape, &options);
  options.size_bytes = std::min(options.size_bytes, kMostTrialBytes);
  options.hash_seed = seed;
  if (design.traits().needs_name) {
    options.location = {SegmentKind::kNamed, absl::StrCat("kill9-shape-", getpid())};
  }
  const absl::Cleanup unlink = [&options] {
    if (!options.location.name.empty()) Segment::Unlink(options.location).IgnoreError();
  };
  absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::unique_ptr<Channel>> channel = design.Attach(*segment, {});
  if (!channel.ok()) return channel.status();
  return (*channel)->max_message_bytes();
}

absl::Status FitShape(const ChannelDesign& design, const ChannelShape& shape, uint64_t seed,
                      const ChannelShapeBounds& bounds) {
  if (absl::Status status = CheckParticipants(shape.participants, shape.idle,
                                              bounds.least_participants, bounds.most_participants);
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<uint64_t> most = TryShape(design, shape, seed);
  if (!most.ok() || shape.largest_bytes <= *most) return most.status();
  return absl::InvalidArgumentError(absl::StrCat("messages: of up to ", shape.largest_bytes,
                                                 " bytes; such a segment has room for ", *most,
                                                 " at most"));
}

absl::StatusOr<ChannelShape> DrawShape(const ChannelDesign& design, const ChannelShape& usual,
                                       uint64_t hash_seed, const ChannelShapeBounds& bounds,
                                       Random& random) {
  ChannelShape shape = usual;
  if (!bounds.keeps_segment && random.Chance(850)) {
    shape.segment_bytes = DrawSegmentOfMessages(random, bounds.most_segment_bytes);
  }
  if (random.Chance(850)) {
    shape.participants = DrawParticipants(random, usual.participants, bounds.least_participants,
                                          bounds.most_participants);
  }
  if (!bounds.keeps_work) DrawWork(random, bounds.kept, &shape);
  const bool keeps_sizes = bounds.keeps_work || bounds.keeps_sizes;
  if (!keeps_sizes) DrawRoles(random, &shape);
  const uint64_t least = std::max<uint64_t>(kLeastLargestMessage, usual.largest_bytes);
  for (int draws = 0;; ++draws) {
    const absl::StatusOr<uint64_t> most = TryShape(design, shape, hash_seed);
    if (most.ok() && *most >= least) {
      if (!keeps_sizes) DrawMessages(random, *most, &shape);
      if (keeps_sizes && random.Chance(500)) shape.sizes = MessageSizes::kEdges;
      if (bounds.may_idle) {
        shape.idle = DrawIdle(random, shape.participants, bounds.least_participants);
      }
      return shape;
    }
    if (!most.ok() && !absl::IsInvalidArgument(most.status())) return most.status();
    if (draws == kDraws) {
      return absl::InternalError(
          absl::StrCat("no room is enough for the shape ", ShapeText(shape)));
    }
    // Less of a table, or more room; what has its size for a reason gets more only if it must.
    if (shape.participants > bounds.least_participants &&
        (bounds.keeps_segment || random.Chance(500))) {
      shape.participants = std::max(bounds.least_participants, shape.participants / 4);
    } else {
      shape.segment_bytes += shape.segment_bytes / 2;
    }
  }
}

}  // namespace kill9

#include "harness/pool_driver/pool_shape.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "harness/torture/shape/draw_segment.h"
#include "harness/torture/shape/shape_text.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9 {
namespace {

constexpr std::string_view kShapeFields[] = {"segment", "participants", "idle",    "buffers",
                                             "bytes",   "held",         "channel", "without"};
constexpr uint64_t kMostHeldBuffers = 4096;
constexpr uint64_t kMostBuffers = 1u << 20;
constexpr uint64_t kKiB = 1u << 10;
constexpr uint64_t kMiB = 1u << 20;
// A quarter of the segment is their table, with four holds of each at least.
constexpr uint64_t kSegmentBytesOfEach = 4 * 64;

constexpr UpTo kBuffers[] = {{16, "to 16"}, {100, "to 100"}, {1024, "to 1024"}, {kNoLimit, "more"}};
constexpr UpTo kBytes[] = {{200, "to 200 B"},        {4096, "to 4 KiB"},     {9000, "to 9000 B"},
                           {64u << 10, "to 64 KiB"}, {1u << 20, "to 1 MiB"}, {kNoLimit, "more"}};
constexpr UpTo kHolds[] = {{1, "1"}, {16, "to 16"}, {100, "to 100"}, {kNoLimit, "more"}};

// What there is room for of one size, with some to spare.
uint64_t LargestThatFits(uint64_t segment_bytes) { return segment_bytes / 6; }

absl::Status ParsePoolField(const std::string& field, const std::string& text, PoolShape* shape) {
  const auto number = [&](uint64_t least, uint64_t most, auto* to) {
    return shape_text::ParseNumber(field, text, least, most, to);
  };
  if (std::optional<absl::Status> parsed = shape_text::ParseSegmentField(
          field, text, &shape->segment_bytes, &shape->participants, &shape->idle)) {
    return *std::move(parsed);
  }
  if (field == "buffers") return number(0, kMostBuffers, &shape->buffers);
  if (field == "bytes") {
    return shape_text::ParseSizes(field, text, &shape->smallest_bytes, &shape->largest_bytes);
  }
  if (field == "held") return number(1, kMostHeldBuffers, &shape->most_held);
  if (field == "without") {
    return shape_text::ParseSet(field, text, kPoolActionNames, &shape->without);
  }
  size_t index = 0;
  absl::Status status = shape_text::ParseName(field, text, kPoolChannels, &index);
  shape->channel = static_cast<uint32_t>(index);
  return status;
}

}  // namespace

PoolShapeBounds PoolBoundsOf(const Scenario& scenario) {
  PoolShapeBounds bounds{.may_idle = !scenario.named_segment && !scenario.inherit_handle,
                         .always_full = scenario.needs.refusals};
  // An audit after each death: of a large segment there would be few.
  if (scenario.name == "kill_one_at_a_time") bounds.most_segment_bytes = 4 * kMiB;
  if (scenario.name == "last_room" || scenario.nobody_dies) {
    bounds.keeps_work = true;
    bounds.most_segment_bytes = 2 * kMiB;  // its only buffer is as large
  }
  if (scenario.name == "wait_for_room") bounds.keeps_work = true;
  return bounds;
}

std::string ShapeText(const PoolShape& shape) {
  return absl::StrCat(
      "segment=", shape.segment_bytes, ",participants=", shape.participants, ",idle=", shape.idle,
      ",buffers=", shape.buffers, ",bytes=", shape.smallest_bytes, "..", shape.largest_bytes,
      ",held=", shape.most_held, ",channel=", std::string(kPoolChannels[shape.channel]),
      ",without=", shape_text::SetText(kPoolActionNames, shape.without));
}

absl::Status ParseShape(std::string_view text, PoolShape* shape) {
  return shape_text::ParseFields(text, kShapeFields,
                                 [shape](const std::string& field, const std::string& value) {
                                   return ParsePoolField(field, value, shape);
                                 });
}

PoolShape UsualShape(const PoolWorkload& workload, uint64_t segment_bytes, uint32_t participants) {
  return {.segment_bytes = segment_bytes,
          .participants = participants,
          .smallest_bytes = workload.smallest_bytes,
          .largest_bytes = workload.largest_bytes,
          .most_held = workload.most_held};
}

PoolWorkload Shaped(const PoolWorkload& workload, const PoolShape& shape) {
  PoolWorkload shaped = workload;
  shaped.smallest_bytes = shape.smallest_bytes;
  shaped.largest_bytes = shape.largest_bytes;
  shaped.most_held = shape.most_held;
  const auto leave_out = [&shape](PoolAction action, uint16_t* per_mille) {
    if (shape.lacks(action)) *per_mille = 0;
  };
  leave_out(PoolAction::kShare, &shaped.shares);
  leave_out(PoolAction::kWrite, &shaped.writes);
  leave_out(PoolAction::kGrow, &shaped.grows);
  leave_out(PoolAction::kSendShared, &shaped.sends_shared);
  leave_out(PoolAction::kSeat, &shaped.seats);
  leave_out(PoolAction::kWait, &shaped.waits);
  return shaped;
}

void ApplyTo(const PoolShape& shape, SegmentOptions* options) {
  options->size_bytes = shape.segment_bytes;
  options->expected_entries = shape.buffers;
  if (shape.participants != 0) options->max_participants = shape.participants;
}

absl::Status FitShape(const PoolShape& shape, uint64_t seed, const PoolShapeBounds& bounds) {
  if (absl::Status status = CheckParticipants(shape.participants, shape.idle,
                                              bounds.least_participants, bounds.most_participants);
      !status.ok()) {
    return status;
  }
  SegmentOptions options;
  ApplyTo(shape, &options);
  options.hash_seed = seed;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = BufferPoolDesign().Create(options);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::unique_ptr<BufferPool>> pool = BufferPool::Attach(*segment);
  if (!pool.ok()) return pool.status();
  if (shape.largest_bytes <= (*pool)->max_buffer_bytes()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("bytes: buffers of up to ", shape.largest_bytes,
                                                 "; such a segment has room for ",
                                                 (*pool)->max_buffer_bytes(), " at most"));
}

PoolShape DrawShape(const PoolShape& usual, const PoolShapeBounds& bounds, Random& random) {
  PoolShape shape = usual;
  constexpr SegmentRange kAny[] = {
      {60, 384 * kKiB, 3 * kMiB}, {30, 3 * kMiB, 12 * kMiB}, {10, 12 * kMiB, 48 * kMiB}};
  const SegmentRange full[] = {{100, usual.segment_bytes * 6 / 10, usual.segment_bytes * 11 / 10}};
  if (random.Chance(850)) {
    shape.segment_bytes =
        DrawSegmentBytes(random, bounds.always_full ? std::span<const SegmentRange>(full) : kAny,
                         bounds.most_segment_bytes);
  }
  if (random.Chance(850)) {
    // Their table is to leave room.
    const uint64_t most = std::clamp<uint64_t>(shape.segment_bytes / (4 * kKiB),
                                               bounds.least_participants, bounds.most_participants);
    shape.participants = DrawParticipants(random, usual.participants, bounds.least_participants,
                                          static_cast<uint32_t>(most));
  }
  shape.channel = static_cast<uint32_t>(random.Below(std::size(kPoolChannels)));
  shape.idle =
      bounds.may_idle ? DrawIdle(random, shape.participants, bounds.least_participants) : 0;
  const uint64_t most_buffers = shape.segment_bytes / kSegmentBytesOfEach;
  shape.buffers = static_cast<uint32_t>(std::min<uint64_t>(
      Draw(random, std::array<uint64_t, 5>{0, 12, 64, 300, 3000}, 2), most_buffers));
  if (bounds.keeps_work) return shape;
  for (uint32_t action = 0; action < std::size(kPoolActionNames); ++action) {
    if (random.Chance(200)) shape.without |= 1u << action;
  }
  if (bounds.always_full) return shape;
  shape.largest_bytes = static_cast<uint32_t>(std::min<uint64_t>(
      Draw(random, std::array<uint64_t, 7>{1000, 8, 200, 4 * kKiB, 9000, 64 * kKiB, kMiB}, 2),
      LargestThatFits(shape.segment_bytes)));
  if (random.Chance(150)) shape.smallest_bytes = shape.largest_bytes;
  shape.most_held = Draw<uint32_t>(random, std::array{10u, 2u, 4u, 60u, 200u}, 2);
  return shape;
}

std::vector<ShapeDimension> AllPoolShapeClasses() {
  return Joined(AllSegmentClasses(), {{"idle", NamesOf(kIdlers)},
                                      {"buffers", NamesOf(kBuffers)},
                                      {"bytes", NamesOf(kBytes)},
                                      {"held", NamesOf(kHolds)},
                                      {"channel", NamesOf(kPoolChannels)},
                                      {"without", shape_text::AllSetNames(kPoolActionNames)}});
}

std::vector<ShapeDimension> ClassesOf(const PoolShape& shape, uint32_t participants) {
  const uint64_t buffers = shape.buffers != 0 ? shape.buffers : BufferPoolOptions{}.buffers_most;
  return Joined(SegmentClassesOf(shape.segment_bytes, shape.participants, participants),
                {{"idle", {NameOf(kIdlers, shape.idle)}},
                 {"buffers", {NameOf(kBuffers, buffers)}},
                 {"bytes", {NameOf(kBytes, shape.largest_bytes)}},
                 {"held", {NameOf(kHolds, shape.most_held)}},
                 {"channel", {std::string(kPoolChannels[shape.channel])}},
                 {"without", shape_text::SetNames(kPoolActionNames, shape.without)}});
}

}  // namespace kill9

#include "harness/heap_driver/shape/heap_shape.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9 {
namespace {

constexpr std::string_view kSizeNames[] = {"uniform", "spread", "edges"};
static_assert(std::size(kSizeNames) == static_cast<size_t>(BlockSizes::kEdges) + 1);
constexpr std::string_view kFields[] = {"segment", "participants", "idle",    "blocks",
                                        "sizes",   "held",         "reserve", "without"};
constexpr uint64_t kMostHeld = 4096;
constexpr uint64_t kMostReserved = 256;

constexpr UpTo kBlocks[] = {{16, "to 16 B"},     {200, "to 200 B"},        {4096, "to 4 KiB"},
                            {9000, "to 9000 B"}, {64u << 10, "to 64 KiB"}, {1u << 20, "to 1 MiB"},
                            {kNoLimit, "more"}};
constexpr std::string_view kSizeClasses[] = {"uniform", "spread", "edges", "one size"};
constexpr size_t kOneSize = 3;
constexpr UpTo kHeld[] = {{1, "1"}, {16, "to 16"}, {100, "to 100"}, {kNoLimit, "more"}};
constexpr UpTo kReserved[] = {{1, "1"}, {8, "to 8"}, {kNoLimit, "more"}};

absl::Status ParseField(const std::string& field, const std::string& text, HeapShape* shape) {
  const auto number = [&](uint64_t least, uint64_t most, auto* to) {
    return shape_text::ParseNumber(field, text, least, most, to);
  };
  if (std::optional<absl::Status> parsed = shape_text::ParseSegmentField(
          field, text, &shape->segment_bytes, &shape->participants, &shape->idle)) {
    return *std::move(parsed);
  }
  if (field == "blocks") {
    return shape_text::ParseSizes(field, text, &shape->smallest_bytes, &shape->largest_bytes);
  }
  if (field == "held") return number(1, kMostHeld, &shape->most_held);
  if (field == "reserve") return number(1, kMostReserved, &shape->most_reserved);
  if (field == "without") {
    return shape_text::ParseSet(field, text, kHeapActionNames, &shape->without);
  }
  size_t index = 0;
  absl::Status status = shape_text::ParseName(field, text, kSizeNames, &index);
  shape->sizes = static_cast<BlockSizes>(index);
  return status;
}

}  // namespace

std::string ShapeText(const HeapShape& shape) {
  return absl::StrCat("segment=", shape.segment_bytes, ",participants=", shape.participants,
                      ",idle=", shape.idle, ",blocks=", shape.smallest_bytes, "..",
                      shape.largest_bytes,
                      ",sizes=", std::string(kSizeNames[static_cast<size_t>(shape.sizes)]),
                      ",held=", shape.most_held, ",reserve=", shape.most_reserved,
                      ",without=", shape_text::SetText(kHeapActionNames, shape.without));
}

absl::Status ParseShape(std::string_view text, HeapShape* shape) {
  return shape_text::ParseFields(text, kFields,
                                 [shape](const std::string& field, const std::string& value) {
                                   return ParseField(field, value, shape);
                                 });
}

HeapShape UsualShape(const HeapWorkload& workload, uint64_t segment_bytes, uint32_t participants) {
  return {.segment_bytes = segment_bytes,
          .participants = participants,
          .smallest_bytes = workload.smallest_bytes,
          .largest_bytes = workload.largest_bytes,
          .sizes = workload.sizes,
          .most_held = workload.most_held,
          .most_reserved = workload.most_reserved};
}

HeapWorkload Shaped(const HeapWorkload& workload, const HeapShape& shape) {
  HeapWorkload shaped = workload;
  shaped.smallest_bytes = shape.smallest_bytes;
  shaped.largest_bytes = shape.largest_bytes;
  shaped.sizes = shape.sizes;
  shaped.most_held = shape.most_held;
  shaped.most_reserved = shape.most_reserved;
  shaped.shares = !shape.lacks(HeapAction::kShare);
  shaped.transfers = !shape.lacks(HeapAction::kTransfer);
  const auto leave_out = [&shape](HeapAction action, uint16_t* per_mille) {
    if (shape.lacks(action)) *per_mille = 0;
  };
  if (!shaped.shares) leave_out(HeapAction::kTransfer, &shaped.hands_over);
  leave_out(HeapAction::kReserve, &shaped.reserves);
  leave_out(HeapAction::kPlace, &shaped.at_a_place);
  leave_out(HeapAction::kOwners, &shaped.asks_owners);
  leave_out(HeapAction::kLook, &shaped.looks);
  leave_out(HeapAction::kMisuse, &shaped.misuses);
  leave_out(HeapAction::kWait, &shaped.waits);
  leave_out(HeapAction::kWait, &shaped.waits_forever);
  return shaped;
}

void ApplyTo(const HeapShape& shape, SegmentOptions* options) {
  options->size_bytes = shape.segment_bytes;
  if (shape.participants != 0) options->max_participants = shape.participants;
}

std::vector<ShapeDimension> AllHeapShapeClasses() {
  return Joined(AllSegmentClasses(), {{"idle", NamesOf(kIdlers)},
                                      {"blocks", NamesOf(kBlocks)},
                                      {"sizes", NamesOf(kSizeClasses)},
                                      {"held", NamesOf(kHeld)},
                                      {"reserve", NamesOf(kReserved)},
                                      {"without", shape_text::AllSetNames(kHeapActionNames)}});
}

std::vector<ShapeDimension> ClassesOf(const HeapShape& shape, uint32_t participants) {
  const size_t sizes =
      shape.smallest_bytes == shape.largest_bytes ? kOneSize : static_cast<size_t>(shape.sizes);
  return Joined(SegmentClassesOf(shape.segment_bytes, shape.participants, participants),
                {{"idle", {NameOf(kIdlers, shape.idle)}},
                 {"blocks", {NameOf(kBlocks, shape.largest_bytes)}},
                 {"sizes", {std::string(kSizeClasses[sizes])}},
                 {"held", {NameOf(kHeld, shape.most_held)}},
                 {"reserve", {NameOf(kReserved, shape.most_reserved)}},
                 {"without", shape_text::SetNames(kHeapActionNames, shape.without)}});
}

}  // namespace kill9

#include "harness/channel_driver/shape/channel_shape.h"

#include <cstddef>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9 {
namespace {

constexpr std::string_view kMessageSizeNames[] = {"uniform", "spread", "edges"};
static_assert(std::size(kMessageSizeNames) == static_cast<size_t>(MessageSizes::kEdges) + 1);
constexpr std::string_view kChannelFields[] = {"segment", "participants", "idle",      "messages",
                                               "sizes",   "senders",      "receivers", "held",
                                               "drafts",  "batch",        "without"};
constexpr uint64_t kLeastMessageBytes = 8;  // its name's
constexpr uint64_t kMostSenders = 16;
constexpr uint64_t kMostMessagesHeld = 64;
constexpr uint64_t kMostBatch = 1000;

constexpr UpTo kMessages[] = {{8, "of 8 B"},       {200, "to 200 B"},        {4096, "to 4 KiB"},
                              {9000, "to 9000 B"}, {64u << 10, "to 64 KiB"}, {1u << 20, "to 1 MiB"},
                              {kNoLimit, "more"}};
constexpr std::string_view kMessageSizeClasses[] = {"uniform", "spread", "edges", "one size"};
constexpr size_t kOneMessageSize = 3;
constexpr std::string_view kRoles[] = {"everybody both", "one to one", "one to many", "many to one",
                                       "many to many"};
constexpr UpTo kMessagesHeld[] = {{1, "1"}, {8, "to 8"}, {kNoLimit, "more"}};
constexpr UpTo kBatches[] = {{1, "1"}, {64, "to 64"}, {kNoLimit, "more"}};

std::string_view RolesOf(const ChannelShape& shape) {
  if (shape.senders == 0) return kRoles[0];
  return kRoles[1 + (shape.senders > 1 ? 2 : 0) + (shape.receivers > 1 ? 1 : 0)];
}

absl::Status ParseChannelField(const std::string& field, const std::string& text,
                               ChannelShape* shape) {
  const auto number = [&](uint64_t least, uint64_t most, auto* to) {
    return shape_text::ParseNumber(field, text, least, most, to);
  };
  if (std::optional<absl::Status> parsed = shape_text::ParseSegmentField(
          field, text, &shape->segment_bytes, &shape->participants, &shape->idle)) {
    return *std::move(parsed);
  }
  if (field == "messages") {
    absl::Status status =
        shape_text::ParseSizes(field, text, &shape->smallest_bytes, &shape->largest_bytes);
    if (!status.ok() || shape->smallest_bytes >= kLeastMessageBytes) return status;
    return shape_text::Wrong(field, absl::StrCat("a message has its name in it: at least ",
                                                 kLeastMessageBytes, " bytes"));
  }
  if (field == "senders") return number(0, kMostSenders, &shape->senders);
  if (field == "receivers") return number(0, kMostSenders, &shape->receivers);
  if (field == "held") return number(1, kMostMessagesHeld, &shape->most_held);
  if (field == "drafts") return number(1, kMostMessagesHeld, &shape->most_drafts);
  if (field == "batch") return number(1, kMostBatch, &shape->most_batch);
  if (field == "without") {
    return shape_text::ParseSet(field, text, kChannelActionNames, &shape->without);
  }
  size_t index = 0;
  absl::Status status = shape_text::ParseName(field, text, kMessageSizeNames, &index);
  shape->sizes = static_cast<MessageSizes>(index);
  return status;
}

}  // namespace

std::string ShapeText(const ChannelShape& shape) {
  return absl::StrCat(
      "segment=", shape.segment_bytes, ",participants=", shape.participants, ",idle=", shape.idle,
      ",messages=", shape.smallest_bytes, "..", shape.largest_bytes,
      ",sizes=", std::string(kMessageSizeNames[static_cast<size_t>(shape.sizes)]),
      ",senders=", shape.senders, ",receivers=", shape.receivers, ",held=", shape.most_held,
      ",drafts=", shape.most_drafts, ",batch=", shape.most_batch,
      ",without=", shape_text::SetText(kChannelActionNames, shape.without));
}

absl::Status ParseShape(std::string_view text, ChannelShape* shape) {
  absl::Status status = shape_text::ParseFields(
      text, kChannelFields, [shape](const std::string& field, const std::string& value) {
        return ParseChannelField(field, value, shape);
      });
  if (!status.ok() || (shape->senders == 0) == (shape->receivers == 0)) return status;
  return shape_text::Wrong("senders", "senders and receivers are both 0, or neither");
}

ChannelShape UsualShape(const ChannelWorkload& workload, uint64_t segment_bytes,
                        uint32_t participants) {
  return {.segment_bytes = segment_bytes,
          .participants = participants,
          .smallest_bytes = workload.smallest_bytes,
          .largest_bytes = workload.largest_bytes,
          .sizes = workload.sizes,
          .senders = workload.senders,
          .receivers = workload.receivers,
          .most_held = workload.most_held,
          .most_drafts = workload.most_drafts,
          .most_batch = workload.most_batch};
}

ChannelWorkload Shaped(const ChannelWorkload& workload, const ChannelShape& shape) {
  ChannelWorkload shaped = workload;
  shaped.smallest_bytes = shape.smallest_bytes;
  shaped.largest_bytes = shape.largest_bytes;
  shaped.sizes = shape.sizes;
  shaped.senders = static_cast<uint8_t>(shape.senders);
  shaped.receivers = static_cast<uint8_t>(shape.receivers);
  shaped.most_held = shape.most_held;
  shaped.most_drafts = shape.most_drafts;
  shaped.most_batch = shape.most_batch;
  if (shape.lacks(ChannelAction::kDraft)) shaped.most_drafts = 0;
  if (shape.lacks(ChannelAction::kTake)) shaped.takes = 0;
  if (shape.lacks(ChannelAction::kBatch)) shaped.batches = shaped.drains = 0;
  if (shape.lacks(ChannelAction::kReceive)) shaped.receives = 0;
  if (shape.lacks(ChannelAction::kReturn)) shaped.returns = 0;
  if (shape.lacks(ChannelAction::kWait)) shaped.waits = 0;
  return shaped;
}

void ApplyTo(const ChannelShape& shape, SegmentOptions* options) {
  options->size_bytes = shape.segment_bytes;
  if (shape.participants != 0) options->max_participants = shape.participants;
}

std::vector<ShapeDimension> AllChannelShapeClasses() {
  return Joined(AllSegmentClasses(), {{"idle", NamesOf(kIdlers)},
                                      {"messages", NamesOf(kMessages)},
                                      {"sizes", NamesOf(kMessageSizeClasses)},
                                      {"roles", NamesOf(kRoles)},
                                      {"held", NamesOf(kMessagesHeld)},
                                      {"batch", NamesOf(kBatches)},
                                      {"without", shape_text::AllSetNames(kChannelActionNames)}});
}

std::vector<ShapeDimension> ClassesOf(const ChannelShape& shape, uint32_t participants) {
  const size_t sizes = shape.smallest_bytes == shape.largest_bytes
                           ? kOneMessageSize
                           : static_cast<size_t>(shape.sizes);
  return Joined(SegmentClassesOf(shape.segment_bytes, shape.participants, participants),
                {{"idle", {NameOf(kIdlers, shape.idle)}},
                 {"messages", {NameOf(kMessages, shape.largest_bytes)}},
                 {"sizes", {std::string(kMessageSizeClasses[sizes])}},
                 {"roles", {std::string(RolesOf(shape))}},
                 {"held", {NameOf(kMessagesHeld, shape.most_held)}},
                 {"batch", {NameOf(kBatches, shape.most_batch)}},
                 {"without", shape_text::SetNames(kChannelActionNames, shape.without)}});
}

}  // namespace kill9

// The shape of a run on a channel: how large its segment is, how large messages are, how many a
// participant keeps and how many a batch has, who sends and who receives, and which operations are
// absent.
//
// As text, which --shape= takes and a run prints:
//
//     segment=1048583,participants=8,idle=0,messages=8..9000,sizes=edges,senders=1,receivers=3,
//     held=12,drafts=2,batch=70,without=draft+return
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_SHAPE_CHANNEL_SHAPE_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_SHAPE_CHANNEL_SHAPE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "harness/channel_driver/channel_workload.h"
#include "harness/torture/shape/shape_ranges.h"
#include "variants/segment.h"

namespace kill9 {

// What a run can lack.
enum class ChannelAction : uint8_t {
  kDraft,
  kReceive,  // what copies; where messages can be taken
  kTake,     // of one message
  kBatch,
  kReturn,
  kWait,
};
inline constexpr std::string_view kChannelActionNames[] = {"draft", "receive", "take",
                                                           "batch", "return",  "wait"};
inline constexpr uint32_t kChannelActions = std::size(kChannelActionNames);

struct ChannelShape {
  uint64_t segment_bytes = 4u << 20;
  uint32_t participants = 0;    // room for so many; 0: some to spare
  uint32_t idle = 0;            // of them: that are there, and do nothing
  uint32_t smallest_bytes = 8;  // of a message
  uint32_t largest_bytes = 160;
  MessageSizes sizes = MessageSizes::kSpread;
  uint32_t senders = 0;  // who sends or receives only, as of ChannelWorkload
  uint32_t receivers = 0;
  uint32_t most_held = 4;  // messages of a participant
  uint32_t most_drafts = 2;
  uint32_t most_batch = 4;  // messages of a batch
  uint32_t without = 0;     // a bit for each ChannelAction that is absent

  bool lacks(ChannelAction action) const { return (without >> static_cast<int>(action) & 1) != 0; }
  friend bool operator==(const ChannelShape&, const ChannelShape&) = default;
};
constexpr uint32_t WithoutBit(ChannelAction action) { return 1u << static_cast<int>(action); }

std::string ShapeText(const ChannelShape& shape);
// Changes of *shape what the text names. kInvalidArgument says what is wrong with it.
absl::Status ParseShape(std::string_view text, ChannelShape* shape);

// The shape in which a workload is by itself.
ChannelShape UsualShape(const ChannelWorkload& workload, uint64_t segment_bytes,
                        uint32_t participants);
// The workload in a shape.
ChannelWorkload Shaped(const ChannelWorkload& workload, const ChannelShape& shape);
void ApplyTo(const ChannelShape& shape, SegmentOptions* options);

// By which results tell what was covered: all that there are, and those of one shape.
// `participants`: that take part at a time.
std::vector<ShapeDimension> AllChannelShapeClasses();
std::vector<ShapeDimension> ClassesOf(const ChannelShape& shape, uint32_t participants);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_SHAPE_CHANNEL_SHAPE_H_

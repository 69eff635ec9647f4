#include "harness/channel_driver/channel_driver.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "harness/channel_driver/broadcast_board.h"
#include "harness/channel_driver/channel_client.h"
#include "harness/channel_driver/closing.h"
#include "harness/channel_driver/shape/draw_channel_shape.h"
#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"
#include "harness/torture/shape/draw_segment.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9 {
namespace {

Scenario EmptyChannel() {
  return {.name = "empty_channel",
          .summary = "the channel is empty nearly all the time: receivers wait, and die waiting",
          .timer = {.life_us = 2000, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

Scenario LastMessage() {
  return {.name = "last_message",
          .summary = "one message goes round, and all wait for it for ever: no wake-up is spare",
          .timer = {.life_us = 20'000, .in_attach = 10, .in_detach = 0, .in_recovery = 60},
          .outside = OutsideKills::kOne,
          .outside_interval_us = 4000};
}

Scenario LastRoom() {
  return {.name = "last_room",
          .summary = "room for one message goes round, and all wait for it for ever",
          .segment_bytes = 512u << 10,
          .timer = {.life_us = 20'000, .in_attach = 10, .in_detach = 0, .in_recovery = 60},
          .outside = OutsideKills::kOne,
          .outside_interval_us = 4000};
}

Scenario Requests() {
  return {.name = "requests",
          .summary = "each asks, and waits for its answer for ever; others answer, and die",
          .segment_bytes = 1u << 20,
          .timer = {.life_us = 5000, .in_attach = 10, .in_detach = 0, .in_recovery = 60},
          .outside = OutsideKills::kOne,
          .outside_interval_us = 4000};
}

Scenario Bursts() {
  return {.name = "bursts",
          .summary = "all send until the channel is full, and receive until it is empty",
          .segment_bytes = 256u << 10,
          .timer = {.life_us = 8000, .in_attach = 10, .in_detach = 0, .in_recovery = 30}};
}

Scenario LargeMessages() {
  return {.name = "large_messages",
          .summary = "messages up to 128 KiB, so that deaths fall into copies, drafts and growth",
          .segment_bytes = 16u << 20,
          .timer = {.life_us = 3000, .in_attach = 10, .in_detach = 0, .in_recovery = 30}};
}

Scenario Closing() {
  return {.name = "closing",
          .summary =
              "channels are closed while others send, receive and wait, for ever if they "
              "must; one dies; the end is audited; all go on in a new channel",
          .segment_bytes = 1u << 20,
          .outside = OutsideKills::kOne,
          .outside_interval_us = 2000,
          .named_segment = true};
}

// As `nobody_dies`, with an end in each channel.
Scenario LastToClose() {
  return {.name = "last_to_close",
          .summary =
              "nobody dies, and all but one wait for the end of a channel, which that one "
              "has closed while it held the last message",
          .segment_bytes = 512u << 10,
          .audit_interval_us = 25'000,
          .named_segment = true,
          .nobody_dies = true,
          .needs = {.kills_in_operation = false, .recoveries = false}};
}

Scenario LappedSubscribers() {
  return {.name = "lapped_subscribers",
          .summary = "a broadcast goes round again and again: subscribers miss most of it",
          .segment_bytes = 512u << 10,
          .timer = {.life_us = 2000, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

Scenario FullOfPins() {
  return {
      .name = "full_of_pins",
      .summary = "subscribers of a broadcast hold so much that senders have no room, and die so",
      .segment_bytes = 1u << 20,
      .timer = {.life_us = 2000, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

bool IsOfBroadcasts(std::string_view scenario) {
  return scenario == "lapped_subscribers" || scenario == "full_of_pins";
}

bool HasRequests(const ChannelTraits& traits) {
  return traits.delivery != ChannelTraits::Delivery::kBroadcast && traits.has_take;
}

// The work that goes on in a scenario. Where nobody dies, in one run of four all wait for answers:
// whoever is not woken leaves one that asked, and those that it would have answered, asleep.
std::string_view WorkloadOf(std::string_view scenario, uint64_t seed, const ChannelTraits& traits) {
  if (scenario == "full_segment") return "mostly-full";
  if (scenario == "empty_channel") return "mostly-empty";
  if (scenario == "large_messages") return "large";
  if (scenario == "last_message") return "last-message";
  if (scenario == "last_room") return "last-room";
  if (scenario == "nobody_dies") {
    return seed % 4 == 1 && HasRequests(traits) ? "requests" : "all-wait";
  }
  if (scenario == "requests") return "requests";
  if (scenario == "bursts") return "bursts";
  if (scenario == "last_to_close") return "all-wait";
  if (scenario == "closing") return "by-turns";
  if (scenario == "kill_one_at_a_time") return "many-to-many";
  if (scenario == "lapped_subscribers") return "lapped";
  if (scenario == "full_of_pins") return "pinned";
  return "mixed";
}

class ChannelRun final : public PreparedRun {
 public:
  // `participants`: that take part at a time.
  ChannelRun(const ChannelTraits& traits, const ChannelWorkload& workload,
             std::string_view scenario, const ChannelShape& shape, uint32_t participants)
      : traits_(traits),
        workload_(Shaped(workload, shape)),
        scenario_(scenario),
        shape_(shape),
        participants_(participants) {}

  BoardsSize boards_size() const override {
    return {.bytes = sizeof(Boards), .eager_bytes = sizeof(Boards)};
  }
  void UseBoards(char* boards) override {
    Boards& all = *reinterpret_cast<Boards*>(boards);
    if (scenario_ == "closing" || scenario_ == "last_to_close") boards_.closing = &all.closing;
    if (is_broadcast()) boards_.broadcast = &all.broadcast;
    if (workload_.asks) boards_.requests = &all.requests;
    if (workload_.burst != 0) boards_.bursts = &all.bursts;
    if (workload_.last_message) boards_.passed_on = &all.passed_on;
    if (workload_.all_wait) boards_.woken = &all.woken;
  }

  std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                    uint32_t process) const override {
    return std::make_unique<ChannelClient>(context, traits_, workload_, boards_, slot, process);
  }
  void CallEach(SharedObject& inherited, Told told) const override {
    Channel& channel = static_cast<Channel&>(inherited);
    const std::string_view one[] = {"not to be seen"};
    std::string message;
    told("Send", channel.Send(one[0], Deadline::None()).status());
    told("SendMany", channel.SendMany(one, Deadline::None()).status());
    told("Reserve", channel.Reserve(1, Deadline::None()).status());
    told("Receive", channel.Receive(&message, Deadline::None()).status());
    told("Take", channel.Take(Deadline::None()).status());
    told("Drain", channel.Drain(1, Deadline::None()).status());
    told("Look", channel.Look().status());
    told("Close", channel.Close());
  }
  std::string DescribeStep(Function function, uint64_t subject) const override {
    return subject == kCloseSubject ? "Close" : PreparedRun::DescribeStep(function, subject);
  }
  std::string WhatIsMissing() const override {
    if (boards_.closing != nullptr && boards_.woken == nullptr) {
      return WhatIsMissingOf(*boards_.closing);
    }
    if (boards_.requests != nullptr) return WhatIsMissingOf(*boards_.requests);
    if (boards_.bursts != nullptr) return WhatIsMissingOf(*boards_.bursts, !is_broadcast());
    if (boards_.woken != nullptr) {
      MissingEvents missing;
      missing.Require(*boards_.woken, "nobody was woken");
      return missing.Text();
    }
    if (!IsOfBroadcasts(scenario_)) return "";
    return WhatIsMissingOf(*boards_.broadcast, scenario_ == "full_of_pins");
  }
  Json Counts() const override {
    Json counts = Json::object();
    if (boards_.closing != nullptr) counts["closing"] = CountsOf(*boards_.closing);
    if (boards_.broadcast != nullptr) counts["broadcast"] = CountsOf(*boards_.broadcast);
    if (boards_.requests != nullptr) counts["requests"] = CountsOf(*boards_.requests);
    if (boards_.bursts != nullptr) counts["bursts"] = CountsOf(*boards_.bursts);
    if (boards_.woken != nullptr) counts["woken"] = Counted(*boards_.woken);
    return counts;
  }

  uint32_t idle() const override { return shape_.idle; }
  void ShapeSegment(SegmentOptions* options) const override { ApplyTo(shape_, options); }
  std::string shape() const override { return ShapeText(shape_); }
  Json shape_classes() const override { return ToJson(ClassesOf(shape_, participants_)); }

 private:
  struct Boards {
    ClosingBoard closing;
    BroadcastBoard broadcast;
    RequestBoard requests;
    BurstBoard bursts;
    PassedOnBoard passed_on;
    std::atomic<uint64_t> woken;
  };

  bool is_broadcast() const { return traits_.delivery == ChannelTraits::Delivery::kBroadcast; }

  const ChannelTraits& traits_;
  const ChannelWorkload workload_;
  const std::string_view scenario_;
  const ChannelShape shape_;
  const uint32_t participants_;
  ChannelBoards boards_;
};

// Changes *shape as the request says.
absl::Status ShapeTo(const ChannelDesign& design, const Scenario& scenario,
                     const ShapeRequest& request, const ChannelShapeBounds& bounds,
                     ChannelShape* shape) {
  if (request.text != shape_text::kDrawn) {
    if (absl::Status status = ParseShape(request.text, shape); !status.ok()) return status;
    return FitShape(design, *shape, request.seed, bounds);
  }
  // Each design draws one of its own in each scenario.
  Random random = RandomOfShape(request.seed, scenario.name, design.name());
  absl::StatusOr<ChannelShape> drawn = DrawShape(design, *shape, request.seed, bounds, random);
  if (!drawn.ok()) return drawn.status();
  *shape = *drawn;
  return absl::OkStatus();
}

}  // namespace

std::span<const Scenario> ChannelDriver::scenarios() const {
  static const auto* scenarios = new std::vector<Scenario>(CommonScenariosWith(
      {EmptyChannel(), LastMessage(), LastRoom(), Requests(), Bursts(), LargeMessages(), Closing(),
       LastToClose(), LappedSubscribers(), FullOfPins()}));
  return *scenarios;
}

std::vector<std::string_view> ChannelDriver::workloads() const {
  std::vector<std::string_view> names;
  for (const ChannelWorkload& workload : AllChannelWorkloads()) names.push_back(workload.name);
  return names;
}

bool ChannelDriver::RecordsVersions(const Design& design) const {
  return static_cast<const ChannelDesign&>(design).traits().has_sequences;
}

Json ChannelDriver::shape_classes() const { return ToJson(AllChannelShapeClasses()); }

// The usual shape is made without a trial: so it is of other channels, too.
absl::StatusOr<std::unique_ptr<PreparedRun>> ChannelDriver::PrepareShaped(
    const Design& design, const Scenario& scenario, std::string_view workload,
    const ShapeRequest& request) const {
  const ChannelDesign& channel_design = static_cast<const ChannelDesign&>(design);
  const ChannelTraits& traits = channel_design.traits();
  const ChannelWorkload* named = FindChannelWorkload(
      workload.empty() ? WorkloadOf(scenario.name, request.seed, traits) : workload);
  if (named == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("a channel has no workload '", std::string(workload), "'"));
  }
  const bool is_broadcast = traits.delivery == ChannelTraits::Delivery::kBroadcast;
  if ((named->last_message || named->asks || scenario.name == "last_to_close") &&
      !HasRequests(traits)) {
    return absl::UnimplementedError("what one has taken does not come to another");
  }
  if (scenario.name == "last_room" &&
      (traits.when_full != ChannelTraits::WhenFull::kWait || !traits.has_draft)) {
    return absl::UnimplementedError("nobody waits for room in it, or it has no drafts");
  }
  if ((named->all_wait || (scenario.nobody_dies && workload.empty())) &&
      design.role() != Design::Role::kDesign) {
    return absl::UnimplementedError("another library's channel need not wake who waits");
  }
  if (scenario.name == "closing" && design.role() == Design::Role::kPeer) {
    return absl::UnimplementedError("another library's channel need not have a Close");
  }
  if (IsOfBroadcasts(scenario.name) && !is_broadcast) {
    return absl::UnimplementedError("a queue has no subscribers that could miss a message");
  }
  ChannelShape shape = UsualShape(*named, scenario.segment_bytes, request.usual_participants);
  if (request.text != shape_text::kUsual) {
    ChannelShapeBounds bounds = ChannelBoundsOf(scenario);
    bounds.least_participants = request.least_participants;
    bounds.most_participants = request.most_participants;
    bounds.keeps_work |= !workload.empty();
    absl::Status status = ShapeTo(channel_design, scenario, request, bounds, &shape);
    if (!status.ok()) return status;
    const bool keeps_roles = bounds.keeps_work || bounds.keeps_sizes;
    if (keeps_roles && (shape.senders != named->senders || shape.receivers != named->receivers)) {
      return absl::UnimplementedError(
          "who sends and who receives is its own: leave them out of the shape");
    }
  }
  return std::make_unique<ChannelRun>(traits, *named, scenario.name, shape,
                                      request.least_participants);
}

}  // namespace kill9

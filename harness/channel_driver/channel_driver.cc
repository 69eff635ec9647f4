#include "harness/channel_driver/channel_driver.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "harness/channel_driver/broadcast_board.h"
#include "harness/channel_driver/channel_client.h"
#include "harness/channel_driver/closing.h"
#include "harness/result/result.h"

namespace kill9 {
namespace {

Scenario EmptyChannel() {
  return {.name = "empty_channel",
          .summary = "the channel is empty nearly all the time: receivers wait, and die waiting",
          .timer = {.life_us = 2000, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
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

// The work that goes on in a scenario.
std::string_view WorkloadOf(std::string_view scenario) {
  if (scenario == "full_segment") return "mostly-full";
  if (scenario == "empty_channel") return "mostly-empty";
  if (scenario == "large_messages") return "large";
  if (scenario == "closing") return "by-turns";
  if (scenario == "kill_one_at_a_time") return "many-to-many";
  if (scenario == "lapped_subscribers") return "lapped";
  if (scenario == "full_of_pins") return "pinned";
  return "mixed";
}

class ChannelRun final : public PreparedRun {
 public:
  ChannelRun(const ChannelTraits& traits, const ChannelWorkload& workload,
             std::string_view scenario)
      : traits_(traits), workload_(workload), scenario_(scenario) {}

  BoardsSize boards_size() const override {
    return {.bytes = sizeof(Boards), .eager_bytes = sizeof(Boards)};
  }
  void UseBoards(char* boards) override {
    Boards& all = *reinterpret_cast<Boards*>(boards);
    if (scenario_ == "closing") closing_ = &all.closing;
    if (traits_.delivery == ChannelTraits::Delivery::kBroadcast) broadcast_ = &all.broadcast;
  }

  std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                    uint32_t process) const override {
    return std::make_unique<ChannelClient>(context, traits_, workload_, closing_, broadcast_, slot,
                                           process);
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
    if (closing_ != nullptr) return WhatIsMissingOf(*closing_);
    if (!IsOfBroadcasts(scenario_)) return "";
    return WhatIsMissingOf(*broadcast_, scenario_ == "full_of_pins");
  }
  Json Counts() const override {
    Json counts = Json::object();
    if (closing_ != nullptr) counts["closing"] = CountsOf(*closing_);
    if (broadcast_ != nullptr) counts["broadcast"] = CountsOf(*broadcast_);
    return counts;
  }

 private:
  struct Boards {
    ClosingBoard closing;
    BroadcastBoard broadcast;
  };

  const ChannelTraits& traits_;
  const ChannelWorkload& workload_;
  const std::string_view scenario_;
  ClosingBoard* closing_ = nullptr;      // null: nobody closes
  BroadcastBoard* broadcast_ = nullptr;  // null: it is a queue
};

}  // namespace

std::span<const Scenario> ChannelDriver::scenarios() const {
  static const auto* scenarios = new std::vector<Scenario>(CommonScenariosWith(
      {EmptyChannel(), LargeMessages(), Closing(), LappedSubscribers(), FullOfPins()}));
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

absl::StatusOr<std::unique_ptr<PreparedRun>> ChannelDriver::Prepare(
    const Design& design, const Scenario& scenario, std::string_view workload) const {
  const ChannelWorkload* named =
      FindChannelWorkload(workload.empty() ? WorkloadOf(scenario.name) : workload);
  if (named == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("a channel has no workload '", std::string(workload), "'"));
  }
  const ChannelTraits& traits = static_cast<const ChannelDesign&>(design).traits();
  if (scenario.name == "closing" && design.role() == Design::Role::kPeer) {
    return absl::UnimplementedError("another library's channel need not have a Close");
  }
  if (IsOfBroadcasts(scenario.name) && traits.delivery != ChannelTraits::Delivery::kBroadcast) {
    return absl::UnimplementedError("a queue has no subscribers that could miss a message");
  }
  return std::make_unique<ChannelRun>(traits, *named, scenario.name);
}

}  // namespace kill9

#include "harness/channel_driver/channel_driver.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "harness/channel_driver/channel_client.h"

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

// The work that goes on in a scenario.
std::string_view WorkloadOf(std::string_view scenario) {
  if (scenario == "full_segment") return "mostly-full";
  if (scenario == "empty_channel") return "mostly-empty";
  if (scenario == "large_messages") return "large";
  if (scenario == "kill_one_at_a_time") return "many-to-many";
  return "mixed";
}

class ChannelRun final : public PreparedRun {
 public:
  ChannelRun(const ChannelTraits& traits, const ChannelWorkload& workload)
      : traits_(traits), workload_(workload) {}

  std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                    uint32_t process) const override {
    return std::make_unique<ChannelClient>(context, traits_, workload_, slot, process);
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

 private:
  const ChannelTraits& traits_;
  const ChannelWorkload& workload_;
};

}  // namespace

std::span<const Scenario> ChannelDriver::scenarios() const {
  static const auto* scenarios = [] {
    auto* all = new std::vector<Scenario>;
    for (const Scenario& scenario : CommonScenarios()) {
      all->push_back(scenario);
      if (scenario.name == "full_segment") {
        all->insert(all->end(), {EmptyChannel(), LargeMessages()});
      }
    }
    return all;
  }();
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
  return std::make_unique<ChannelRun>(static_cast<const ChannelDesign&>(design).traits(), *named);
}

}  // namespace kill9

#include "harness/pool_driver/pool_driver.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/pool_driver/pool_client.h"
#include "harness/pool_driver/pool_shape.h"
#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"
#include "harness/torture/shape/draw_segment.h"
#include "harness/torture/shape/shape_text.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

// So many take part in the channel at once at most, with those who are on the way.
constexpr uint32_t kMembersOfChannel = 192;
constexpr uint64_t kChannelBytes = 1u << 20;

Scenario PassingOn() {
  return {.name = "passing_on",
          .summary = "buffers go from hand to hand all the time, and those who have them die of it",
          .timer = {.life_us = 1000, .in_attach = 10, .in_detach = 0, .in_recovery = 60}};
}

// The work that goes on in a scenario.
std::string_view PoolWorkloadOf(std::string_view scenario) {
  if (scenario == "passing_on" || scenario == "kill_one_at_a_time") return "passing";
  if (scenario == "full_segment") return "mostly-full";
  if (scenario == "wait_for_room") return "waiting";
  if (scenario == "last_room") return "last-room";
  if (scenario == "nobody_dies") return "all-wait";
  return "mixed";
}

class PoolRun final : public PreparedRun {
 public:
  // `participants`: that take part at a time.
  PoolRun(const PoolWorkload& workload, std::string_view scenario, const PoolShape& shape,
          PoolChannel channel, uint32_t participants)
      : workload_(Shaped(workload, shape)),
        scenario_(scenario),
        shape_(shape),
        channel_(std::move(channel)),
        participants_(participants) {}

  BoardsSize boards_size() const override {
    return {.bytes = sizeof(PoolBoards), .eager_bytes = sizeof(PoolBoards)};
  }
  void UseBoards(char* boards) override { boards_ = reinterpret_cast<PoolBoards*>(boards); }
  std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                    uint32_t process) const override {
    return std::make_unique<PoolClient>(context, workload_, channel_, *boards_, slot, process);
  }
  // A worker's, which has the channel beside it, or the supervisor's.
  void CallEach(SharedObject& inherited, Told told) const override {
    auto* const member = dynamic_cast<PoolMember*>(&inherited);
    BufferPool& pool = member != nullptr ? member->pool() : static_cast<BufferPool&>(inherited);
    told("Allocate", pool.Allocate(8, Deadline::None()).status());
    told("DropSent", pool.DropSent(0).status());
    told("TakeSeat", pool.TakeSeat(0));
    told("Account", pool.Account().status());
    if (member == nullptr) return;
    Buffer none;
    told("Send", pool.Send(member->channel(), none, "", Deadline::None()).status());
    told("Receive", pool.Receive(member->channel(), Deadline::None()).status());
  }

  std::string WhatIsMissing() const override {
    MissingEvents missing;
    if (workload_.sends != 0) {
      missing.Require(boards_->sent, "nobody passed a buffer on");
      missing.Require(boards_->received, "nobody was given a buffer");
    }
    if (workload_.shares != 0 && !workload_.last_room) {
      missing.Require(boards_->shares, "nobody shared a buffer");
    }
    if (scenario_ == "wait_for_room" || scenario_ == "last_room" || workload_.all_wait) {
      missing.Require(boards_->served_after_waiting, "nobody got room by waiting");
    }
    return missing.Text();
  }
  Json Counts() const override { return {{"pool", CountsOf(*boards_)}}; }

  uint32_t idle() const override { return shape_.idle; }
  void ShapeSegment(SegmentOptions* options) const override { ApplyTo(shape_, options); }
  std::string shape() const override { return ShapeText(shape_); }
  Json shape_classes() const override { return ToJson(ClassesOf(shape_, participants_)); }

 private:
  const PoolWorkload workload_;
  const std::string_view scenario_;
  const PoolShape shape_;
  const PoolChannel channel_;
  const uint32_t participants_;
  PoolBoards* boards_ = nullptr;
};

absl::StatusOr<PoolShape> ShapeOfPool(const Design& design, const Scenario& scenario,
                                      const ShapeRequest& request, const PoolShapeBounds& bounds,
                                      const PoolShape& usual) {
  PoolShape shape = usual;
  if (request.text == shape_text::kDrawn) {
    Random random = RandomOfShape(request.seed, scenario.name, design.name());
    shape = DrawShape(usual, bounds, random);
  } else if (absl::Status status = ParseShape(request.text, &shape); !status.ok()) {
    return status;
  }
  if (absl::Status status = FitShape(shape, request.seed, bounds); !status.ok()) return status;
  return shape;
}

absl::StatusOr<PoolChannel> NewChannel(const PoolShape& shape, uint64_t seed) {
  const std::string_view name = kPoolChannels[shape.channel];
  for (const ChannelDesign* design : AllChannels()) {
    if (design->name() != name) continue;
    SegmentOptions options;
    options.size_bytes = kChannelBytes;
    options.max_participants = kMembersOfChannel;
    options.hash_seed = seed;
    absl::StatusOr<std::shared_ptr<Segment>> segment = design->Create(options);
    if (!segment.ok()) return segment.status();
    return PoolChannel{design, *std::move(segment)};
  }
  return absl::NotFoundError(absl::StrCat("there is no channel ", std::string(name)));
}

}  // namespace

std::span<const Scenario> PoolDriver::scenarios() const {
  static const auto* scenarios = new std::vector<Scenario>(
      CommonScenariosWith({PassingOn(), WaitForRoomScenario(), LastRoomScenario()}));
  return *scenarios;
}

std::vector<std::string_view> PoolDriver::workloads() const {
  std::vector<std::string_view> names;
  for (const PoolWorkload& workload : AllPoolWorkloads()) names.push_back(workload.name);
  return names;
}

absl::StatusOr<std::unique_ptr<PreparedRun>> PoolDriver::PrepareShaped(
    const Design& design, const Scenario& scenario, std::string_view workload,
    const ShapeRequest& request) const {
  const PoolWorkload* named =
      FindPoolWorkload(workload.empty() ? PoolWorkloadOf(scenario.name) : workload);
  if (named == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("a pool has no workload '", std::string(workload), "'"));
  }
  PoolShape shape = UsualShape(*named, scenario.segment_bytes, request.usual_participants);
  if (request.text != shape_text::kUsual) {
    PoolShapeBounds bounds = PoolBoundsOf(scenario);
    bounds.least_participants = request.least_participants;
    bounds.most_participants = request.most_participants;
    bounds.keeps_work |= !workload.empty();
    absl::StatusOr<PoolShape> shaped = ShapeOfPool(design, scenario, request, bounds, shape);
    if (!shaped.ok()) return shaped.status();
    shape = *shaped;
  }
  absl::StatusOr<PoolChannel> channel = NewChannel(shape, request.seed);
  if (!channel.ok()) return channel.status();
  return std::make_unique<PoolRun>(*named, scenario.name, shape, *std::move(channel),
                                   request.least_participants);
}

Json PoolDriver::shape_classes() const { return ToJson(AllPoolShapeClasses()); }

}  // namespace kill9

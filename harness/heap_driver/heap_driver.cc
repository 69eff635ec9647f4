#include "harness/heap_driver/heap_driver.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/heap_driver/heap_client.h"
#include "harness/heap_driver/shape/draw_heap_shape.h"
#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"
#include "harness/torture/shape/draw_segment.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9 {
namespace {

using shape_text::kDrawn;
using shape_text::kUsual;

Scenario OwnersDie() {
  return {.name = "owners_die",
          .summary = "blocks are shared and passed on all the time, and their owners die of it",
          .timer = {.life_us = 1000, .in_attach = 10, .in_detach = 0, .in_recovery = 60}};
}

Scenario Fragmentation() {
  return {.name = "fragmentation",
          .summary = "blocks of all sizes up to 32 KiB, many of them kept, in little room",
          .segment_bytes = 8u << 20,
          .timer = {.life_us = 20'000, .in_attach = 5, .in_detach = 0, .in_recovery = 50},
          .needs = {.refusals = true}};
}

Scenario ReservesUsedUp() {
  return {.name = "reserves_used_up",
          .summary = "what was reserved is allocated to the last block, in a heap that is full",
          .segment_bytes = 512u << 10,
          .timer = {.life_us = 3000, .in_attach = 10, .in_detach = 0, .in_recovery = 50},
          .needs = {.refusals = true}};
}

// The work that goes on in a scenario.
std::string_view WorkloadOf(std::string_view scenario) {
  if (scenario == "owners_die" || scenario == "kill_one_at_a_time") return "shared";
  if (scenario == "full_segment") return "mostly-full";
  if (scenario == "fragmentation") return "all-sizes";
  if (scenario == "reserves_used_up") return "reserving";
  if (scenario == "wait_for_room") return "waiting";
  if (scenario == "last_room") return "last-room";
  if (scenario == "nobody_dies") return "all-wait";
  return "mixed";
}

class HeapRun final : public PreparedRun {
 public:
  // `participants`: that take part at a time.
  HeapRun(const HeapTraits& traits, const HeapWorkload& workload, std::string_view scenario,
          const HeapShape& shape, std::vector<uint32_t> edges, uint32_t participants)
      : traits_(traits),
        workload_(Shaped(workload, shape)),
        scenario_(scenario),
        shape_(shape),
        edges_(std::move(edges)),
        participants_(participants) {}

  BoardsSize boards_size() const override {
    return {.bytes = sizeof(HeapBoards), .eager_bytes = offsetof(HeapBoards, letters)};
  }
  void UseBoards(char* boards) override { boards_ = reinterpret_cast<HeapBoards*>(boards); }

  std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                    uint32_t process) const override {
    return std::make_unique<HeapClient>(context, traits_, workload_, edges_, *boards_, slot,
                                        process);
  }
  void CallEach(SharedObject& inherited, Told told) const override {
    Heap& heap = static_cast<Heap&>(inherited);
    const BlockHandle block{.offset = 64, .generation = 1};
    told("Allocate", heap.Allocate(8, Deadline::None()).status());
    told("AllocateAt", heap.AllocateAt(block.offset, 8).status());
    told("Reserve", heap.Reserve(1, 8, Deadline::None()).status());
    told("Free", heap.Free(block));
    told("Share", heap.Share(block, ParticipantId{}));
    told("Transfer", heap.Transfer(block, ParticipantId{}));
    told("Data", heap.Data(block).status());
    told("Owners", heap.Owners(block).status());
    told("ForEach", heap.ForEach([](const HeapBlock&) { return false; }));
    told("Look", heap.Look().status());
    told("Account", heap.Account().status());
  }

  std::string WhatIsMissing() const override {
    MissingEvents missing;
    // Blocks too small for a name are not handed over.
    if (workload_.hands_over != 0 && workload_.largest_bytes >= kSmallestNamedValue) {
      if (workload_.shares) missing.Require(boards_->shares, "nobody shared a block");
      if (workload_.transfers) missing.Require(boards_->transfers, "nobody passed a block on");
      missing.Require(boards_->taken_over, "nobody took over a block");
    }
    if (scenario_ == "owners_die") {
      missing.Require(boards_->found,
                      "nobody was given a block whose giver died before it said so");
    }
    if (scenario_ == "reserves_used_up" && traits_.has_reserve) {
      missing.Require(boards_->from_reserves, "nothing was allocated from a reserve");
    }
    if (scenario_ == "wait_for_room" || scenario_ == "last_room" || workload_.all_wait) {
      missing.Require(boards_->served_after_waiting, "nobody got room by waiting");
    }
    return missing.Text();
  }
  Json Counts() const override { return {{"heap", CountsOf(*boards_)}}; }

  uint32_t idle() const override { return shape_.idle; }
  void ShapeSegment(SegmentOptions* options) const override { ApplyTo(shape_, options); }
  std::string shape() const override { return ShapeText(shape_); }
  Json shape_classes() const override { return ToJson(ClassesOf(shape_, participants_)); }

 private:
  const HeapTraits& traits_;
  const HeapWorkload workload_;
  const std::string_view scenario_;
  const HeapShape shape_;
  const std::vector<uint32_t> edges_;
  const uint32_t participants_;
  HeapBoards* boards_ = nullptr;
};

// Changes *shape as the request says.
absl::StatusOr<HeapShapeTrial> ShapeTo(const HeapDesign& design, const Scenario& scenario,
                                       const ShapeRequest& request, const HeapShapeBounds& bounds,
                                       HeapShape* shape) {
  if (request.text != kDrawn) {
    if (absl::Status status = ParseShape(request.text, shape); !status.ok()) return status;
    return FitShape(design, *shape, request.seed, bounds);
  }
  Random random = RandomOfShape(request.seed, scenario.name, design.name());
  absl::StatusOr<DrawnHeapShape> drawn = DrawShape(design, *shape, request.seed, bounds, random);
  if (!drawn.ok()) return drawn.status();
  *shape = drawn->shape;
  return std::move(drawn->trial);
}

}  // namespace

std::span<const Scenario> HeapDriver::scenarios() const {
  static const auto* scenarios = new std::vector<Scenario>(CommonScenariosWith(
      {OwnersDie(), Fragmentation(), ReservesUsedUp(), WaitForRoomScenario(), LastRoomScenario()}));
  return *scenarios;
}

std::vector<std::string_view> HeapDriver::workloads() const {
  std::vector<std::string_view> names;
  for (const HeapWorkload& workload : AllHeapWorkloads()) names.push_back(workload.name);
  return names;
}

// The usual shape is made without a trial: so it is of other heaps, too.
absl::StatusOr<std::unique_ptr<PreparedRun>> HeapDriver::PrepareShaped(
    const Design& design, const Scenario& scenario, std::string_view workload,
    const ShapeRequest& request) const {
  const HeapWorkload* named =
      FindHeapWorkload(workload.empty() ? WorkloadOf(scenario.name) : workload);
  if (named == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("a heap has no workload '", std::string(workload), "'"));
  }
  const HeapDesign& heap_design = static_cast<const HeapDesign&>(design);
  const HeapTraits& traits = heap_design.traits();
  if (scenario.name == "reserves_used_up" && !traits.has_reserve) {
    return absl::UnimplementedError("it has no reserves");
  }
  if (named->all_wait && design.role() != Design::Role::kDesign) {
    return absl::UnimplementedError("another library's heap need not wake who waits");
  }
  HeapShape shape = UsualShape(*named, scenario.segment_bytes, request.usual_participants);
  std::vector<uint32_t> edges;
  if (request.text != kUsual) {
    HeapShapeBounds bounds = HeapBoundsOf(scenario);
    bounds.least_participants = request.least_participants;
    bounds.most_participants = request.most_participants;
    bounds.keeps_work |= !workload.empty();
    absl::StatusOr<HeapShapeTrial> trial = ShapeTo(heap_design, scenario, request, bounds, &shape);
    if (!trial.ok()) return trial.status();
    edges = std::move(trial->edges);
  }
  return std::make_unique<HeapRun>(traits, *named, scenario.name, shape, std::move(edges),
                                   request.least_participants);
}

Json HeapDriver::shape_classes() const { return ToJson(AllHeapShapeClasses()); }

}  // namespace kill9

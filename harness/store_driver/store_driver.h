// Stores in torture: their workloads and scenarios, and what one run of them shares.
#ifndef KILL9_HARNESS_STORE_DRIVER_STORE_DRIVER_H_
#define KILL9_HARNESS_STORE_DRIVER_STORE_DRIVER_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/store_driver/keys.h"
#include "harness/store_driver/shape/shape.h"
#include "harness/store_driver/store_boards.h"
#include "harness/store_driver/workload.h"
#include "harness/torture/shape/shaped_driver.h"
#include "variants/registry.h"

namespace kill9 {

// What a scenario is about beside deaths.
struct TermsOfRun {
  bool kept = false;  // the segment keeps terms
  bool needs_expired = false;
  bool needs_waits = false;
  bool all_wait = false;  // for one key's lease, all but the one who has it
};

class StoreRun final : public PreparedRun {
 public:
  // `keys`: the texts of the workload's. `participants`: that take part at a time.
  StoreRun(const Variant& variant, const Workload& workload, const StoreShape& shape,
           std::vector<std::string> keys, uint32_t participants, const TermsOfRun& terms = {});

  BoardsSize boards_size() const override { return boards_.size(); }
  void UseBoards(char* boards) override { boards_.Use(boards); }
  std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                    uint32_t process) const override;
  void CallEach(SharedObject& inherited, Told told) const override;
  std::string DescribeStep(Function function, uint64_t subject) const override;
  Json Counts() const override;
  std::string WhatIsMissing() const override;
  void ShapeSegment(SegmentOptions* options) const override {
    ApplyTo(shape_, options);
    options->keeps_terms = terms_.kept;
  }
  std::string shape() const override { return ShapeText(shape_); }
  Json shape_classes() const override;

  const Traits& traits() const { return traits_; }
  const KeyTable& keys() const { return keys_; }
  const WorkloadGenerator& generator() const { return generator_; }
  const StoreBoards& boards() const { return boards_; }
  const TermsOfRun& terms() const { return terms_; }

 private:
  const Traits& traits_;
  const StoreShape shape_;
  const uint32_t participants_;
  const KeyTable keys_;
  const WorkloadGenerator generator_;
  StoreBoards boards_;
  const TermsOfRun terms_;
};

class StoreDriver final : public ShapedDriver<StoreShape> {
 public:
  std::string_view kind() const override { return Variant::kKind; }
  // The common ones; and hot_key, large_values, expiry and leases, which are a store's.
  std::span<const Scenario> scenarios() const override;
  std::vector<std::string_view> workloads() const override;
  bool RecordsVersions(const Design& design) const override;
  absl::StatusOr<std::unique_ptr<PreparedRun>> PrepareShaped(
      const Design& design, const Scenario& scenario, std::string_view workload,
      const ShapeRequest& request) const override;
  Json shape_classes() const override;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_STORE_DRIVER_H_

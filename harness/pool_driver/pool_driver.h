// Pools of buffers in torture: their workloads and scenarios.
#ifndef KILL9_HARNESS_POOL_DRIVER_POOL_DRIVER_H_
#define KILL9_HARNESS_POOL_DRIVER_POOL_DRIVER_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "harness/pool_driver/pool_shape.h"
#include "harness/torture/shape/shaped_driver.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9 {

class PoolDriver final : public ShapedDriver<PoolShape> {
 public:
  std::string_view kind() const override { return kPoolKind; }
  // The common ones; and those of passing on, and of waiting for room.
  std::span<const Scenario> scenarios() const override;
  std::vector<std::string_view> workloads() const override;
  bool RecordsVersions(const Design&) const override { return true; }
  absl::StatusOr<std::unique_ptr<PreparedRun>> PrepareShaped(
      const Design& design, const Scenario& scenario, std::string_view workload,
      const ShapeRequest& request) const override;
  Json shape_classes() const override;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_POOL_DRIVER_H_

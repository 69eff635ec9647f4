// Heaps in torture: their workloads and scenarios.
#ifndef KILL9_HARNESS_HEAP_DRIVER_HEAP_DRIVER_H_
#define KILL9_HARNESS_HEAP_DRIVER_HEAP_DRIVER_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "harness/heap_driver/shape/heap_shape.h"
#include "harness/torture/shape/shaped_driver.h"
#include "variants/heap.h"

namespace kill9 {

class HeapDriver final : public ShapedDriver<HeapShape> {
 public:
  std::string_view kind() const override { return HeapDesign::kKind; }
  // The common ones; and those of shared blocks, of fragmentation, of reserves and of waiting.
  std::span<const Scenario> scenarios() const override;
  std::vector<std::string_view> workloads() const override;
  absl::StatusOr<std::unique_ptr<PreparedRun>> PrepareShaped(
      const Design& design, const Scenario& scenario, std::string_view workload,
      const ShapeRequest& request) const override;
  Json shape_classes() const override;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_HEAP_DRIVER_HEAP_DRIVER_H_

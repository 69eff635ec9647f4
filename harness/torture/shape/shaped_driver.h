// A driver of a kind whose runs have shapes.
#ifndef KILL9_HARNESS_TORTURE_SHAPE_SHAPED_DRIVER_H_
#define KILL9_HARNESS_TORTURE_SHAPE_SHAPED_DRIVER_H_

#include <memory>
#include <string>
#include <string_view>

#include "harness/torture/driver.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9 {

// REQUIRES of Shape: absl::Status ParseShape(std::string_view text, Shape* shape), beside it.
template <typename Shape>
class ShapedDriver : public TortureDriver {
 public:
  absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(const Design& design,
                                                       const Scenario& scenario,
                                                       std::string_view workload) const final {
    ShapeRequest usual;
    usual.usual_participants = 0;
    return PrepareShaped(design, scenario, workload, usual);
  }
  absl::Status CheckShape(const std::string& text) const final {
    if (text == shape_text::kUsual || text == shape_text::kDrawn) return absl::OkStatus();
    Shape shape;
    return ParseShape(text, &shape);
  }
  absl::StatusOr<std::unique_ptr<PreparedRun>> PrepareShaped(
      const Design& design, const Scenario& scenario, std::string_view workload,
      const ShapeRequest& request) const override = 0;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SHAPE_SHAPED_DRIVER_H_

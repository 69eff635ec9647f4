// Channels in torture: their workloads and scenarios.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_DRIVER_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_DRIVER_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "harness/channel_driver/shape/channel_shape.h"
#include "harness/torture/shape/shaped_driver.h"
#include "variants/channel.h"

namespace kill9 {

class ChannelDriver final : public ShapedDriver<ChannelShape> {
 public:
  std::string_view kind() const override { return ChannelDesign::kKind; }
  // The common ones; and those of members that wait, and of large messages.
  std::span<const Scenario> scenarios() const override;
  std::vector<std::string_view> workloads() const override;
  bool RecordsVersions(const Design& design) const override;
  absl::StatusOr<std::unique_ptr<PreparedRun>> PrepareShaped(
      const Design& design, const Scenario& scenario, std::string_view workload,
      const ShapeRequest& request) const override;
  Json shape_classes() const override;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_DRIVER_H_

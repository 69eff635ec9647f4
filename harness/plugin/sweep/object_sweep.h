// Objects that are no stores in the sweep: of each model, every function that its workload has,
// from the beginning, from a state in which something is there, and after a death in the middle.
#ifndef KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SWEEP_H_
#define KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SWEEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/sweep/driver/driver.h"

namespace kill9::sweep {

class ObjectSweep final : public SweepDriver {
 public:
  // REQUIRES: one of ModelsOfObjects() (harness/plugin/object_calls.h).
  explicit ObjectSweep(std::string_view model);

  std::string_view kind() const override { return model_; }
  std::span<const std::string_view> operations() const override { return operations_; }
  std::string_view second() const override { return operations_.front(); }
  std::span<const std::string_view> states() const override;
  std::span<const ProbeName> probes() const override { return probes_; }
  uint32_t interferences() const override { return 1; }
  bool Applies(const Design& design, uint32_t operation, uint32_t state) const override;
  absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Design& design, uint32_t operation,
                                                   uint32_t state,
                                                   const SweepShape& shape) const override;

 private:
  const std::string model_;
  std::vector<Function> functions_;
  std::vector<std::string_view> operations_;
  std::vector<ProbeName> probes_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SWEEP_H_

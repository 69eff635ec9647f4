// The sweep of stores.
#ifndef KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SWEEP_H_
#define KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SWEEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "harness/store_driver/sweep/store_operations.h"
#include "harness/sweep/driver/driver.h"

namespace kill9::sweep {

class StoreSweep final : public SweepDriver {
 public:
  std::string_view kind() const override;
  std::span<const std::string_view> operations() const override { return StoreOperationNames(); }
  std::string_view second() const override { return "put_larger"; }
  std::span<const std::string_view> states() const override { return StoreStateNames(); }
  std::span<const ProbeName> probes() const override { return StoreProbeNames(); }
  uint32_t interferences() const override { return 4; }
  bool Applies(const Design& design, uint32_t operation, uint32_t state) const override;
  uint32_t shape_fields() const override { return kStoreShapeFields; }
  absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Design& design, uint32_t operation,
                                                   uint32_t state,
                                                   const SweepShape& shape) const override;
  bool HasPlace(uint32_t operation) const override;
  Claims ClaimsOf(const Design& design) const override;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SWEEP_H_

#include "harness/store_driver/sweep/store_sweep.h"

#include "harness/store_driver/sweep/store_scene.h"
#include "variants/registry.h"

namespace kill9::sweep {

std::string_view StoreSweep::kind() const { return Variant::kKind; }

bool StoreSweep::Applies(const Design& design, uint32_t operation, uint32_t state) const {
  return sweep::Applies(static_cast<const Variant&>(design).traits(),
                        static_cast<StoreOperation>(operation), static_cast<StoreState>(state));
}

absl::StatusOr<std::unique_ptr<Scene>> StoreSweep::MakeScene(const Design& design,
                                                             uint32_t operation,
                                                             uint32_t state) const {
  return MakeStoreScene(static_cast<const Variant&>(design), static_cast<StoreOperation>(operation),
                        static_cast<StoreState>(state));
}

}  // namespace kill9::sweep

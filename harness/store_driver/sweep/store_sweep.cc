#include "harness/store_driver/sweep/store_sweep.h"

#include "harness/store_driver/sweep/store_scene.h"
#include "variants/registry.h"

namespace kill9::sweep {
namespace {

std::string_view BlocksWhere(const Traits& traits) {
  switch (traits.blocks) {
    case Traits::Reach::kNowhere:
      return "nowhere";
    case Traits::Reach::kStripe:
      return traits.borrows_room ? "its stripe; without room, those it looks through"
                                 : "its stripe";
    case Traits::Reach::kStore:
      return "the store";
  }
  return "";
}

}  // namespace

std::string_view StoreSweep::kind() const { return Variant::kKind; }

bool StoreSweep::Applies(const Design& design, uint32_t operation, uint32_t state) const {
  return sweep::Applies(static_cast<const Variant&>(design).traits(),
                        static_cast<StoreOperation>(operation), static_cast<StoreState>(state));
}

bool StoreSweep::HasPlace(uint32_t operation) const {
  return !TakesNoKey(static_cast<StoreOperation>(operation));
}

Claims StoreSweep::ClaimsOf(const Design& design) const {
  const Traits& traits = static_cast<const Variant&>(design).traits();
  Claims claims{.progress = {{"read", traits.read, {"get"}},
                             {"write", traits.write, {"put", "erase", "cas", "draft"}}},
                .blocks = BlocksWhere(traits)};
  if (traits.has_pin) claims.progress.push_back({"pin", traits.pin, {"pin"}});
  return claims;
}

absl::StatusOr<std::unique_ptr<Scene>> StoreSweep::MakeScene(const Design& design,
                                                             uint32_t operation, uint32_t state,
                                                             const SweepShape& shape) const {
  return MakeStoreScene(static_cast<const Variant&>(design), static_cast<StoreOperation>(operation),
                        static_cast<StoreState>(state), shape);
}

}  // namespace kill9::sweep

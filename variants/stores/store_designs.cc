#include <algorithm>
#include <array>

#include "variants/registry.h"

namespace kill9 {

// One line each. Every design's folder defines `const Variant& <Name>()`.
#define KILL9_STORES(VARIANT) \
  VARIANT(GlobalMutex)        \
  VARIANT(StripedLocks)       \
  VARIANT(SeqlockRing)        \
  VARIANT(CasSlots)

#define KILL9_DECLARE(Name) const Variant& Name();
KILL9_STORES(KILL9_DECLARE)
#undef KILL9_DECLARE

std::span<const Variant* const> StoreDesigns() {
#define KILL9_LIST(Name) &Name(),
  static const std::array designs = {KILL9_STORES(KILL9_LIST)};
#undef KILL9_LIST
  return designs;
}

const Variant* FindStoreDesign(std::string_view name) {
  const auto designs = StoreDesigns();
  const auto found = std::find_if(designs.begin(), designs.end(),
                                  [name](const Variant* one) { return one->name() == name; });
  return found == designs.end() ? nullptr : *found;
}

}  // namespace kill9

#include "variants/registry.h"

#include <array>

// The designs: one line each. Every design's folder defines `const Variant& <Name>()`.
#define KILL9_VARIANTS(VARIANT) \
  VARIANT(GlobalMutex)          \
  VARIANT(StripedLocks)         \
  VARIANT(SeqlockRing)          \
  VARIANT(CasSlots)

namespace kill9 {

#define KILL9_DECLARE(Name) const Variant& Name();
KILL9_VARIANTS(KILL9_DECLARE)
#undef KILL9_DECLARE

std::span<const Variant* const> AllVariants() {
#define KILL9_LIST(Name) &Name(),
  static const std::array kVariants = {KILL9_VARIANTS(KILL9_LIST)};
#undef KILL9_LIST
  return kVariants;
}

const Variant* FindVariant(std::string_view name) {
  for (const Variant* variant : AllVariants()) {
    if (variant->name() == name) return variant;
  }
  return nullptr;
}

}  // namespace kill9

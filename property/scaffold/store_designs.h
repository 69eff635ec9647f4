// The stores of our own, for tests of each of them.
#ifndef KILL9_PROPERTY_SCAFFOLD_STORE_DESIGNS_H_
#define KILL9_PROPERTY_SCAFFOLD_STORE_DESIGNS_H_

#include <vector>

#include "variants/registry.h"

namespace kill9 {

inline std::vector<const Variant*> StoreDesigns() {
  std::vector<const Variant*> designs;
  for (const Variant* variant : AllVariants()) {
    if (variant->role() == Design::Role::kDesign) designs.push_back(variant);
  }
  return designs;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_STORE_DESIGNS_H_

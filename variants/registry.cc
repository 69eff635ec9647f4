#include "variants/registry.h"

#include <array>

namespace kill9 {

const Variant& GlobalMutex();

std::span<const Variant* const> AllVariants() {
  static const std::array kVariants = {
      &GlobalMutex(),
  };
  return kVariants;
}

const Variant* FindVariant(std::string_view name) {
  for (const Variant* variant : AllVariants()) {
    if (variant->name() == name) return variant;
  }
  return nullptr;
}

}  // namespace kill9

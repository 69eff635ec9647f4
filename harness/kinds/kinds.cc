#include "harness/kinds/kinds.h"

#include "variants/registry.h"

namespace kill9 {

absl::Status RegisterOwn(const Own& own) {
  if (absl::Status status = AddModels(own.models); !status.ok()) return status;
  return AddDesigns(own.designs);
}

}  // namespace kill9

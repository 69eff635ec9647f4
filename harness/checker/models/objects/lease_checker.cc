#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/lease.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheLeaseChecker() {
  static const EngineChecker<LeaseModel> checker;
  return checker;
}

}  // namespace kill9

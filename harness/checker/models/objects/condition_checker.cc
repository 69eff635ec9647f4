#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/condition.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheConditionChecker() {
  static const EngineChecker<ConditionModel> checker;
  return checker;
}

}  // namespace kill9

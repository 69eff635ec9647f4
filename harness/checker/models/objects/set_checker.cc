#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/set.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheSetChecker() {
  static const EngineChecker<SetModel> checker;
  return checker;
}

}  // namespace kill9

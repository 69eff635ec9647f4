#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/list.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheListChecker() {
  static const EngineChecker<ListModel> checker;
  return checker;
}

}  // namespace kill9

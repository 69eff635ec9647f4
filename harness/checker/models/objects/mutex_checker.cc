#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/mutex.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheMutexChecker() {
  static const EngineChecker<MutexModel> checker;
  return checker;
}

const ModelChecker& TheRobustMutexChecker() {
  static const EngineChecker<RobustMutexModel> checker;
  return checker;
}

}  // namespace kill9

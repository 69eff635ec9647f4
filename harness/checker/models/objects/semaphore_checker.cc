#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/semaphore.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheSemaphoreChecker() {
  static const EngineChecker<SemaphoreModel> checker;
  return checker;
}

}  // namespace kill9

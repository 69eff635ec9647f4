#include "harness/checker/models/cache.h"
#include "harness/checker/models/checkers.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheCacheChecker() {
  static const EngineChecker<CacheModel> checker;
  return checker;
}

}  // namespace kill9

#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/counter.h"
#include "harness/checker/window.h"

namespace kill9 {

const ModelChecker& TheCounterChecker() {
  static const EngineChecker<CounterModel> checker;
  return checker;
}

}  // namespace kill9

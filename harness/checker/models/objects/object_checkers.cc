// The checkers of the objects' models: one search for all of them (object_model.h).
#include "harness/checker/models/checkers.h"
#include "harness/checker/models/objects/condition.h"
#include "harness/checker/models/objects/counter.h"
#include "harness/checker/models/objects/lease.h"
#include "harness/checker/models/objects/list.h"
#include "harness/checker/models/objects/mutex.h"
#include "harness/checker/models/objects/object_model.h"
#include "harness/checker/models/objects/semaphore.h"
#include "harness/checker/models/objects/set.h"
#include "harness/checker/window.h"

namespace kill9 {
namespace {

template <typename Model>
const ModelChecker& CheckerOf() {
  static const RulesOf<Model> rules;
  static const EngineChecker<ObjectModel> checker(WordsOf<Model>(), {.rules = &rules});
  return checker;
}

}  // namespace

const ModelChecker& TheConditionChecker() { return CheckerOf<ConditionModel>(); }
const ModelChecker& TheCounterChecker() { return CheckerOf<CounterModel>(); }
const ModelChecker& TheLeaseChecker() { return CheckerOf<LeaseModel>(); }
const ModelChecker& TheListChecker() { return CheckerOf<ListModel>(); }
const ModelChecker& TheMutexChecker() { return CheckerOf<MutexModel>(); }
const ModelChecker& TheRobustMutexChecker() { return CheckerOf<RobustMutexModel>(); }
const ModelChecker& TheSemaphoreChecker() { return CheckerOf<SemaphoreModel>(); }
const ModelChecker& TheSetChecker() { return CheckerOf<SetModel>(); }

}  // namespace kill9
